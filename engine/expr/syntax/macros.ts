import { ExprError, MACROS, type Node } from "../ast.ts";

/** A macro's first argument names the variable. */
export function checkMacro(node: Node & { op: "rcall" }): void {
  const [name, , [variable, ...rest]] = node.args;
  const takes = MACROS[name];
  if (!variable || takes === undefined || !takes.includes(rest.length + 1)) return;
  if (variable.op === "id" && variable.fromRoot !== true) return;
  throw new ExprError(
    variable,
    `the first argument of ${name}() names the variable`,
    `Write ${name}(x, ...), and x for an item in what follows.`,
  );
}

/** The argument of `has` must be written as a field. */
export function checkHas(name: string, args: Node[]): void {
  const [field, more] = args;
  if (name !== "has" || !field || more || field.op === ".") return;
  throw new ExprError(
    field,
    "has() takes a field: has(a.b)",
    "To ask for a key in a variable: key in a.",
  );
}
