import type { JsonSchema } from "../../types.ts";
import type { Binary, Node } from "../ast.ts";
import { conversionHint } from "../operators.ts";
import {
  BOOL,
  comparable,
  describe,
  DURATION,
  DYNAMIC,
  elementOf,
  mayBe,
  NUMBER,
  solidTypes,
  TIMESTAMP,
  union,
} from "../schema-types.ts";
import type { Problems } from "./problems.ts";

const COMPARISONS: readonly Binary[] = ["==", "!=", "<", "<=", ">", ">=", "in"];

/** `left op right`. */
export function checkBinary(
  problems: Problems,
  node: Node & { op: Binary },
  left: JsonSchema,
  right: JsonSchema,
): JsonSchema {
  const { op } = node;
  const compares = COMPARISONS.includes(op);
  const unfit = (): JsonSchema =>
    problems.report(
      node,
      "type-mismatch",
      `${problems.text(node)} ${compares ? "compares" : "combines"} ${describe(left)} with ${describe(right)}`,
      conversionHint(describe(left), describe(right)),
    );
  if (op === "in") {
    const element = elementOf(right);
    if (!mayBe(right, "array", "object"))
      problems.report(
        node.args[1],
        "type-mismatch",
        `'in' can't look into ${describe(right)}`,
        mayBe(right, "string")
          ? "Ask text.contains(part)."
          : "The right side of 'in' is a list or a map.",
      );
    else if (!mayBe(left, "null") && !comparable(left, element)) unfit();
    return BOOL;
  }
  if (op === "==" || op === "!=") {
    if (!mayBe(left, "null") && !mayBe(right, "null") && !comparable(left, right)) unfit();
    return BOOL;
  }
  const result = combine(op, left, right);
  if (result) return result;
  unfit();
  return compares ? BOOL : DYNAMIC;
}

/** Operand types and what they give. `number` with `integer` is one type to compare, and gives a number. */
function combine(op: Binary, left: JsonSchema, right: JsonSchema): JsonSchema | undefined {
  const types = (schema: JsonSchema): string[] => [...(solidTypes(schema) ?? ALL)];
  const results = types(left).flatMap((a) => types(right).flatMap((b) => resultOf(op, a, b)));
  const known = [...new Set(results)];
  if (known.length === 0) return undefined;
  if (known.length === 1)
    return op === "+" && known[0] === "array"
      ? { type: "array", items: union([elementOf(left), elementOf(right)]) }
      : { type: known[0]! };
  if (known.every(isNumeric)) return NUMBER;
  return known.length >= 4 ? DYNAMIC : { type: known };
}

const ALL = [
  "string",
  "boolean",
  "integer",
  "number",
  "uint",
  "bytes",
  "array",
  TIMESTAMP.type as string,
  DURATION.type as string,
];

const isNumeric = (type: string): boolean =>
  type === "integer" || type === "number" || type === "uint";

function resultOf(op: Binary, a: string, b: string): string[] {
  if (COMPARISONS.includes(op)) {
    const isOrdered = a === b && !["array", "object", "type"].includes(a);
    return isOrdered || (isNumeric(a) && isNumeric(b)) ? ["boolean"] : [];
  }
  if (a === "uint" || b === "uint") return a === b ? ["uint"] : [];
  if (a === "integer" && b === "integer") return ["integer"];
  // A JSON number that happens to be whole is an int when it is evaluated, so `%` may work.
  if (isNumeric(a) && isNumeric(b)) return ["number"];
  if (op === "+" && a === b && ["string", "bytes", "array", "duration"].includes(a)) return [a];
  if (op === "-" && a === b && (a === "timestamp" || a === "duration")) return ["duration"];
  if (a === "timestamp" && b === "duration" && (op === "+" || op === "-")) return ["timestamp"];
  return op === "+" && a === "duration" && b === "timestamp" ? ["timestamp"] : [];
}
