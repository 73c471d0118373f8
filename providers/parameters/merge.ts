import { childrenOf, type Node, walk } from "./tree.ts";

/**
 * The constants that must have been the same: an expression that is grouped by, made distinct or ordered by has to be the same as the one
 * in the list. pg_stat_statements takes each away by itself, or in one of the two places only: `date_trunc($1, at) … GROUP BY
 * date_trunc('day', at)`. By parameter the other one that stands for it, or the SQL of the constant.
 */
export function sameConstants(tree: unknown): Map<number, number | string> {
  const same = new Map<number, number | string>();
  const end = (one: Hole): Hole => {
    const next = typeof one === "number" ? same.get(one) : undefined;
    return next === undefined ? one : end(next);
  };
  walk(tree, (kind, select) => {
    if (kind !== "SelectStmt") return;
    const distinct = childrenOf(select["distinctClause"]);
    const anchors = [select["groupClause"], distinct];
    // A plain DISTINCT holds an empty node.
    if (select["distinctClause"] !== undefined) anchors.push(select["targetList"]);
    const known = new Map<string, Hole[][]>();
    walk(anchors, (_, value) => {
      const { shape, holes } = shapeOf(value);
      if (holes.length > 0) known.set(shape, [...(known.get(shape) ?? []), holes]);
    });
    const listed = [select["targetList"], select["havingClause"], select["sortClause"], distinct];
    walk(listed, (_, value) => {
      const { shape, holes } = shapeOf(value);
      const fits = (other: readonly Hole[]): boolean =>
        holes.every(
          (one, nth) =>
            typeof one === "number" || typeof other[nth] === "number" || one === other[nth],
        );
      for (const [nth, one] of (known.get(shape)?.find(fits) ?? []).entries())
        join(same, end(one), end(holes[nth] ?? one));
    });
  });
  return new Map([...same.keys()].map((param) => [param, end(param)]));
}

/** A parameter's number, or the SQL of a constant. */
type Hole = number | string;

function join(same: Map<number, Hole>, one: Hole, other: Hole): void {
  if (one === other) return;
  const [kept, gone] =
    typeof one === "string" || (typeof other === "number" && one < other)
      ? [one, other]
      : [other, one];
  if (typeof gone === "number") same.set(gone, kept);
}

/** An expression but for its constants and parameters, and these. */
function shapeOf(value: Node): { shape: string; holes: Hole[] } {
  const holes: Hole[] = [];
  const shape = JSON.stringify(value, (key, part: unknown) => {
    if (/^(location|list_start|list_end|funcformat)$/.test(key)) return undefined;
    // `extract(year from d)` is a way to write it before 14.
    if (key === "sval" && part === "date_part") return "extract";
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    const { ParamRef, A_Const } = part as { ParamRef?: Node; A_Const?: Node };
    if (ParamRef === undefined && A_Const === undefined) return part;
    holes.push(A_Const === undefined ? Number(ParamRef?.["number"] ?? 0) : literal(A_Const));
    return "$";
  });
  return { shape, holes };
}

/** A field that is missing has its type's first value: 0, false, empty. */
function literal(constant: Node): string {
  const { ival, fval, boolval, sval, bsval } = constant as Record<
    string,
    Record<string, unknown> | undefined
  >;
  // A minus of its own may stand before it.
  const number = ival?.["ival"] ?? fval?.["fval"] ?? 0;
  if (ival !== undefined || fval !== undefined)
    return String(number).startsWith("-") ? `(${String(number)})` : String(number);
  if (boolval !== undefined) return String(boolval["boolval"] ?? false);
  if (sval !== undefined) return quoted(String(sval["sval"] ?? ""));
  if (bsval !== undefined) {
    const bits = String(bsval["bsval"] ?? "b");
    return `${bits.slice(0, 1)}${quoted(bits.slice(1))}`;
  }
  return "NULL";
}

function quoted(text: string): string {
  const plain = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${plain.replaceAll("\\", "\\\\")}` : plain;
}
