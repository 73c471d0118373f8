import type { Binary } from "./ast.ts";
import { Dict, Duration, List, typeName, type Value } from "./values.ts";
import type { Work } from "./work.ts";

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);

/** A fault in a value, not yet tied to a place in the source. */
export class ValueError extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

export const isNumber = (value: Value): value is bigint | number =>
  typeof value === "bigint" || typeof value === "number";

/** `value` when it fits 64 bits. @throws ValueError */
export function checkedInt(value: bigint): bigint {
  if (value > MAX_INT || value < MIN_INT) {
    throw new ValueError(
      "the result does not fit a 64-bit int",
      "Calculate with doubles: write 1.0 instead of 1.",
    );
  }
  return value;
}

/** Deep equality; values of different types are unequal, ints and doubles compare by value. */
function equals(a: Value, b: Value, work: Work): boolean {
  work.charge(1);
  if (isNumber(a) && isNumber(b)) return a == b; // oxlint-disable-line eqeqeq -- exact across int and double
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Duration) return b instanceof Duration && a.ms === b.ms;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && a.toHex() === b.toHex();
  if (a instanceof List) {
    if (!(b instanceof List) || a.size !== b.size) return false;
    for (let i = 0; i < a.size; i++) if (!equals(a.at(i), b.at(i), work)) return false;
    return true;
  }
  if (a instanceof Dict) {
    if (!(b instanceof Dict)) return false;
    const keys = a.keys();
    return (
      keys.length === b.keys().length &&
      keys.every((key) => b.has(key) && equals(a.get(key)!, b.get(key)!, work))
    );
  }
  return a === b;
}

/** Negative, zero or positive as `a` stands before, with or after `b`; undefined when they have no order (or one is NaN). */
export function compare(a: Value, b: Value): number | undefined {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : a == b ? 0 : Number.NaN; // oxlint-disable-line eqeqeq
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime();
  if (a instanceof Duration && b instanceof Duration) return a.ms - b.ms;
  return undefined;
}

function contains(item: Value, within: Value, work: Work): boolean {
  if (within instanceof List) {
    for (const other of within) if (equals(item, other, work)) return true;
    return false;
  }
  if (within instanceof Dict) return typeof item === "string" && within.has(item);
  const hint =
    typeof within === "string"
      ? "Ask text.contains(part)."
      : "The right side of 'in' is a list or a map.";
  throw new ValueError(`'in' can't look into a ${typeName(within)}`, hint);
}

function add(a: Value, b: Value, work: Work): Value | undefined {
  if (typeof a === "string" && typeof b === "string") {
    work.text(a.length + b.length);
    return a + b;
  }
  if (a instanceof List && b instanceof List) {
    work.charge(a.size + b.size);
    return List.of([...a, ...b]);
  }
  if (a instanceof Date && b instanceof Duration) return new Date(a.getTime() + b.ms);
  if (a instanceof Duration && b instanceof Date) return new Date(a.ms + b.getTime());
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ms + b.ms);
  return undefined;
}

function subtract(a: Value, b: Value): Value | undefined {
  if (a instanceof Date && b instanceof Date) return new Duration(a.getTime() - b.getTime());
  if (a instanceof Date && b instanceof Duration) return new Date(a.getTime() - b.ms);
  if (a instanceof Duration && b instanceof Duration) return new Duration(a.ms - b.ms);
  return undefined;
}

function integers(op: Binary, a: bigint, b: bigint): bigint {
  if ((op === "/" || op === "%") && b === 0n) {
    throw new ValueError("division by zero", "Guard it: b == 0 ? 0 : a / b");
  }
  if (op === "+") return checkedInt(a + b);
  if (op === "-") return checkedInt(a - b);
  if (op === "*") return checkedInt(a * b);
  return op === "/" ? checkedInt(a / b) : a % b;
}

function doubles(op: Binary, a: number, b: number): number | undefined {
  if (op === "+") return a + b;
  if (op === "-") return a - b;
  if (op === "*") return a * b;
  return op === "/" ? a / b : undefined;
}

/** `a op b`. Ints stay ints (division truncates), an int with a double gives a double. @throws ValueError */
export function binary(op: Binary, a: Value, b: Value, work: Work): Value {
  if (op === "==" || op === "!=") return equals(a, b, work) === (op === "==");
  if (op === "in") return contains(a, b, work);
  if (op === "<" || op === "<=" || op === ">" || op === ">=") return ordered(op, a, b);
  let result: Value | undefined;
  if (typeof a === "bigint" && typeof b === "bigint") result = integers(op, a, b);
  else if (isNumber(a) && isNumber(b)) result = doubles(op, Number(a), Number(b));
  else if (op === "+") result = add(a, b, work);
  else if (op === "-") result = subtract(a, b);
  if (result === undefined) throw unfit(op, a, b);
  return result;
}

function ordered(op: "<" | "<=" | ">" | ">=", a: Value, b: Value): boolean {
  const order = compare(a, b);
  if (order === undefined) throw unfit(op, a, b);
  if (op === "<") return order < 0;
  if (op === "<=") return order <= 0;
  return op === ">" ? order > 0 : order >= 0;
}

function unfit(op: Binary, a: Value, b: Value): ValueError {
  return new ValueError(
    `'${op}' does not take ${typeName(a)} and ${typeName(b)}`,
    conversionHint(typeName(a), typeName(b)),
  );
}

/** How to bring two values together that do not fit an operator; also used by the static check. */
export function conversionHint(left: string, right: string): string {
  const both = [left, right];
  if (both.includes("null")) return "Test for null first: x != null && ...";
  if (both.includes("string") && (both.includes("int") || both.includes("double"))) {
    return "Convert one side: int(text), double(text), bytes(text), lsn(text), duration_ms(text) or string(number).";
  }
  return "Both sides must be of one type.";
}
