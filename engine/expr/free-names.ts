import { bindOf, children, macroOf, type Node } from "./ast.ts";
import { parse } from "./parse.ts";

/** True when an expression reads no variables but `names`. An expression that can't be parsed may read any. */
export function readsOnly(source: string, names: readonly string[]): boolean {
  try {
    return freeNames(parse(source)).every((name) => names.includes(name));
  } catch {
    return false;
  }
}

/** The variables that come from outside of the expression. */
function freeNames(node: Node, own: readonly string[] = []): string[] {
  if (node.op === "id") return own.includes(node.args) && !node.fromRoot ? [] : [node.args];
  const macro = macroOf(node);
  if (macro) {
    const inner = [...own, macro.variable];
    const bodies = [macro.body, ...(macro.filter ? [macro.filter] : [])];
    return [...freeNames(macro.list, own), ...bodies.flatMap((body) => freeNames(body, inner))];
  }
  const bind = bindOf(node);
  if (bind)
    return [...freeNames(bind.value, own), ...freeNames(bind.body, [...own, bind.variable])];
  return children(node).flatMap((child) => freeNames(child, own));
}
