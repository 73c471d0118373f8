import type { Binary } from "./ast.ts";
import { ValueError } from "./value-error.ts";
import {
  Dict,
  Duration,
  keyOf,
  List,
  Timestamp,
  typeName,
  TypeValue,
  Uint,
  type Value,
} from "./values.ts";
import type { Work } from "./work.ts";

export { ValueError } from "./value-error.ts";

const MAX_INT = 2n ** 63n - 1n;
const MIN_INT = -(2n ** 63n);
const MAX_UINT = 2n ** 64n - 1n;

export const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === "bigint" || typeof value === "number" || value instanceof Uint;

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

/** @throws ValueError for what is negative or beyond 64 bits */
export function checkedUint(value: bigint): Uint {
  if (value >= 0n && value <= MAX_UINT) return new Uint(value);
  throw new ValueError(
    value < 0n
      ? "the result is below zero, a uint is not"
      : "the result does not fit a 64-bit uint",
    "Calculate with ints or doubles: write 1 or 1.0 instead of 1u.",
  );
}

/** Deep equality; values of different types are unequal, numbers of all types compare by value. */
function equals(a: Value, b: Value, work: Work): boolean {
  if (typeof a !== "object" || a === null) {
    work.charge(typeof a === "string" ? 1 + (a.length >> 8) : 1);
    if (typeof a === typeof b || !isNumber(a)) return a === b;
    return isNumber(b) && orderOfNumbers(a, b) === 0;
  }
  work.charge(1 + (lengthOf(a) >> 8));
  if (a instanceof Uint) return isNumber(b) && orderOfNumbers(a, b) === 0;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof List) {
    if (!(b instanceof List) || a.size !== b.size) return false;
    for (let i = 0; i < a.size; i++) if (!equals(a.at(i), b.at(i), work)) return false;
    return true;
  }
  if (a instanceof Dict) {
    if (!(b instanceof Dict)) return false;
    const keys = a.keys().map((key) => keyOf(key)!);
    work.charge(keys.length);
    return (
      keys.length === b.size &&
      keys.every((key) => b.has(key) && equals(a.get(key)!, b.get(key)!, work))
    );
  }
  return a === b;
}

const lengthOf = (value: Value): number =>
  typeof value === "string" || value instanceof Uint8Array ? value.length : 0;

const numeric = (value: bigint | number | Uint): bigint | number =>
  value instanceof Uint ? value.value : value;

/** As doubles where one of them is a double. NaN has no order, not even to itself. */
function orderOfNumbers(a: bigint | number | Uint, b: bigint | number | Uint): number {
  let left = numeric(a);
  let right = numeric(b);
  if (typeof left !== typeof right) {
    left = Number(left);
    right = Number(right);
  }
  return left < right ? -1 : left > right ? 1 : left === right ? 0 : Number.NaN;
}

/** By code points. UTF-16 has the characters beyond 16 bits before U+E000 to U+FFFF; here they come after. */
function orderOfTexts(a: string, b: string): number {
  if (a === b) return 0;
  let at = 0;
  while (a.charCodeAt(at) === b.charCodeAt(at)) at++;
  const left = a.charCodeAt(at);
  const right = b.charCodeAt(at);
  if (Number.isNaN(left)) return -1;
  if (Number.isNaN(right)) return 1;
  const isWide = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;
  if (isWide(left) !== isWide(right)) return isWide(left) ? 1 : -1;
  return left - right;
}

/** Negative, zero or positive as `a` stands before, with or after `b`; undefined when they have no order (or one is NaN). */
export function compare(a: Value, b: Value, work: Work): number | undefined {
  work.charge(lengthOf(a) >> 6);
  if (isNumber(a) && isNumber(b)) return orderOfNumbers(a, b);
  if (typeof a === "string" && typeof b === "string") return orderOfTexts(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Timestamp && b instanceof Timestamp) return Number(a.ns - b.ns);
  if (a instanceof Duration && b instanceof Duration) return Number(a.ns - b.ns);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return undefined;
}

function contains(item: Value, within: Value, work: Work): boolean {
  if (within instanceof List) {
    for (let i = 0; i < within.size; i++) if (equals(item, within.at(i), work)) return true;
    return false;
  }
  if (within instanceof Dict) {
    const key = keyOf(item);
    return key !== undefined && within.has(key);
  }
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
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    work.text(a.length + b.length);
    return new Uint8Array(Buffer.concat([a, b]));
  }
  if (a instanceof Timestamp && b instanceof Duration) return a.plus(b);
  if (a instanceof Duration && b instanceof Timestamp) return b.plus(a);
  if (a instanceof Duration && b instanceof Duration) return Duration.of(a.ns + b.ns);
  return undefined;
}

function subtract(a: Value, b: Value): Value | undefined {
  if (a instanceof Timestamp && b instanceof Timestamp) return a.minus(b);
  if (a instanceof Timestamp && b instanceof Duration) return Timestamp.of(a.ns - b.ns);
  if (a instanceof Duration && b instanceof Duration) return Duration.of(a.ns - b.ns);
  return undefined;
}

/** Without bounds; `%` fails where `/` does. */
function integers(op: Binary, a: bigint, b: bigint): bigint {
  if ((op === "/" || op === "%") && b === 0n) {
    throw new ValueError("division by zero", "Guard it: b == 0 ? 0 : a / b");
  }
  if (op === "+") return a + b;
  if (op === "-") return a - b;
  if (op === "*") return a * b;
  if (op === "/") return a / b;
  if (b === -1n) checkedInt(-a); // as a / b does not fit
  return a % b;
}

function doubles(op: Binary, a: number, b: number): number | undefined {
  if (op === "+") return a + b;
  if (op === "-") return a - b;
  if (op === "*") return a * b;
  return op === "/" ? a / b : undefined;
}

/** `a op b`. Ints stay ints (division truncates), an int with a double gives a double; uints are by themselves. @throws ValueError */
export function binary(op: Binary, a: Value, b: Value, work: Work): Value {
  if (op === "==" || op === "!=") return equals(a, b, work) === (op === "==");
  if (op === "in") return contains(a, b, work);
  if (op === "<" || op === "<=" || op === ">" || op === ">=") return ordered(op, a, b, work);
  let result: Value | undefined;
  if (typeof a === "bigint" && typeof b === "bigint") result = checkedInt(integers(op, a, b));
  else if (a instanceof Uint || b instanceof Uint) {
    if (a instanceof Uint && b instanceof Uint)
      result = checkedUint(integers(op, a.value, b.value));
  } else if (isNumber(a) && isNumber(b)) result = doubles(op, Number(a), Number(b));
  else if (op === "+") result = add(a, b, work);
  else if (op === "-") result = subtract(a, b);
  if (result === undefined) throw unfit(op, a, b);
  return result;
}

function ordered(op: "<" | "<=" | ">" | ">=", a: Value, b: Value, work: Work): boolean {
  const isPlain =
    (typeof a === "bigint" || typeof a === "number") &&
    (typeof b === "bigint" || typeof b === "number");
  if (isPlain) return typeof a === typeof b ? holds(op, a, b) : holds(op, Number(a), Number(b));
  const order = compare(a, b, work);
  if (order === undefined) throw unfit(op, a, b);
  return holds(op, order, 0);
}

function holds<T extends bigint | number>(op: "<" | "<=" | ">" | ">=", a: T, b: T): boolean {
  if (op === "<") return a < b;
  if (op === "<=") return a <= b;
  return op === ">" ? a > b : a >= b;
}

function unfit(op: Binary, a: Value, b: Value): ValueError {
  return new ValueError(
    `'${op}' does not take ${typeName(a)} and ${typeName(b)}`,
    conversionHint(typeName(a), typeName(b)),
  );
}

/** The advice for two values that do not fit an operator; also used by the static check. */
export function conversionHint(left: string, right: string): string {
  const both = [left, right];
  if (both.includes("null")) return "Test for null first: x != null && ...";
  if (both.includes("string") && (both.includes("int") || both.includes("double"))) {
    return "Convert one side: int(text), double(text), bytes(text), lsn(text), duration_ms(text) or string(number).";
  }
  if (both.includes("uint"))
    return "Convert one side: uint(number), int(number) or double(number).";
  return "Both sides must be of one type.";
}
