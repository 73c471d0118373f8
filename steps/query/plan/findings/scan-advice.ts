import { type Condition, conditionsOf, isRelabelling } from "../conditions.ts";
import type { ParseExpression, RelationFacts } from "../finding.ts";
import { type Plan, type PlanNode, text } from "../tree.ts";
import { unusedIndex } from "./unused-index.ts";

/** The advice for a scan that throws away most of what it reads, by the conditions of its filter. */
export function scanAdvice(
  node: PlanNode,
  parse: ParseExpression,
  { known, settings }: { known: RelationFacts | undefined; settings: Plan["settings"] },
): string {
  const table = node.relation?.name ?? "the table";
  const parsed = parse(text(node, "filter") ?? "");
  const conditions = (parsed === null ? [] : conditionsOf(parsed, node.relation?.alias ?? "")).map(
    (one) => unlabelled(one, known?.types ?? {}),
  );
  const advice = [
    ...plainAdvice(conditions, node, { table, known, settings }),
    ...new Set(conditions.flatMap((one) => special(one, table))),
  ];
  if (advice.length > 0) return advice.join(" ");
  return parsed === null && node.type === "Seq Scan"
    ? `Create an index on the columns of ${table} that the filter compares: columns compared for equality first; or a partial one when its constants never change.`
    : `An index does not look such a condition up. A partial one (CREATE INDEX CONCURRENTLY ON ${table} (…) WHERE …) holds just the rows wanted, when the constants of the filter never change.`;
}

/** A varchar that the server calls text to compare it is a plain column. */
export function unlabelled(one: Condition, types: Record<string, string>): Condition {
  const from = one.kind === "cast" ? types[one.column] : undefined;
  return one.kind === "cast" && from !== undefined && isRelabelling(from, one.type)
    ? { kind: "plain", column: one.column, equal: true }
    : one;
}

interface Table {
  table: string;
  known: RelationFacts | undefined;
  settings: Plan["settings"];
}

function plainAdvice(
  conditions: Condition[],
  node: PlanNode,
  { table, known, settings }: Table,
): string[] {
  const plain = conditions.filter((one) => one.kind === "plain");
  const columns = [
    ...new Set(
      plain.toSorted((a, b) => Number(b.equal) - Number(a.equal)).map(({ column }) => column),
    ),
  ].join(", ");
  if (columns === "") return [];
  // The columns of its filter are in the index, or it would have to read the table.
  if (node.type === "Index Only Scan")
    return [
      `${node.index ?? "The index"} holds ${columns}, but not in front: create one that begins with (${columns}).`,
    ];
  const index = known?.indexes?.find(({ name }) => name === node.index);
  // A unique index with one column more would no longer keep the old columns unique.
  if (node.type !== "Seq Scan" && index?.unique === true)
    return [
      `Create an index on ${table} (${[...new Set([...index.columns, ...columns.split(", ")])].join(", ")}), so that rows are sorted out before the table is read; ${node.index} stays as it is, since it is unique.`,
    ];
  if (node.type !== "Seq Scan")
    return [
      `Extend ${node.index ?? "the index"} by ${columns}, so that rows are sorted out before the table is read.`,
    ];
  const named = (equal: boolean) =>
    plain.filter((one) => one.equal === equal).map(({ column }) => column);
  const unused = unusedIndex({ equal: named(true), ranges: named(false) }, known, settings);
  if (unused !== null) return [unused];
  return [
    `Create an index on the columns of ${table} that the filter compares (${columns}), those compared for equality first; or a partial one when its constants never change.`,
  ];
}

export function special(one: Condition, table: string): string[] {
  if (one.kind === "pattern")
    return [
      one.anchored
        ? `A pattern that begins with letters is served by CREATE INDEX CONCURRENTLY ON ${table} (${one.column} text_pattern_ops).`
        : `A pattern that may begin anywhere needs trigrams, whatever other index there is: CREATE EXTENSION pg_trgm; CREATE INDEX CONCURRENTLY ON ${table} USING gin (${one.column} gin_trgm_ops).`,
    ];
  if (one.kind === "cast")
    return [
      `Compare ${one.column} itself, not cast to ${one.type}: give the value the type of the column; then an index on ${one.column} serves it.`,
    ];
  if (one.kind === "expression")
    return [
      `Compare ${one.column} itself, or create an index on the expression as it stands: CREATE INDEX CONCURRENTLY ON ${table} ((…)), then ANALYZE ${table}.`,
    ];
  return [];
}
