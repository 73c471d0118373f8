import { PgdbaError } from "../errors.ts";
import { evaluate } from "../expr/cel.ts";
import type { Variables } from "../types.ts";

/** The value of a condition. What is neither true nor false is a mistake, not a no. @throws PgdbaError expression_failed */
export function holds(source: string, vars: Variables): boolean {
  const value = evaluate(source, vars);
  if (typeof value === "boolean") return value;
  throw new PgdbaError("expression_failed", `A condition is neither true nor false: ${source}`, {
    hint: "Compare the value with something, e.g. `size(list) > 0`.",
    data: { value },
  });
}
