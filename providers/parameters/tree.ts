/** A part of a parse tree, of PostgreSQL's own grammar. */
export type Node = Record<string, unknown>;

/** Calls `visit` for every node, the outermost first. */
export function walk(node: unknown, visit: (kind: string, value: Node) => void): void {
  for (const child of childrenOf([node])) {
    const [kind = "", value] = Object.entries(child)[0] ?? [];
    visit(kind, value as Node);
    walk(value, visit);
  }
}

/** A node is wrapped in an object named after its kind; fields begin with a small letter. */
function isNode(value: object): value is Node {
  const [key = "", ...more] = Object.keys(value);
  return more.length === 0 && /^[A-Z]/.test(key);
}

/** The nodes directly in a value, through lists and fields that are no nodes of their own. */
export function childrenOf(value: unknown): Node[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((field: unknown) => {
    if (typeof field !== "object" || field === null) return [];
    return !Array.isArray(field) && isNode(field) ? [field] : childrenOf(field);
  });
}
