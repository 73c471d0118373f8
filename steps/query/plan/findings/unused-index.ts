import type { RelationFacts } from "../finding.ts";

/** The costs by which the planner weighs an index, as PostgreSQL has them. */
const RANDOM_PAGE = 4;
const SEQUENTIAL_PAGE = 1;
const INDEX_ROW = 0.005;

/** The settings that keep the planner from indexes, as they are set; empty where it takes one that is worth it. */
export function againstIndexes(settings: Readonly<Record<string, string>>): string[] {
  const cost = (name: string, usual: number): number => Number(settings[name] ?? usual);
  const dear =
    cost("random_page_cost", RANDOM_PAGE) / cost("seq_page_cost", SEQUENTIAL_PAGE) >
    RANDOM_PAGE / SEQUENTIAL_PAGE;
  return [
    ...["enable_indexscan", "enable_bitmapscan"].filter((name) => settings[name] === "off"),
    ...(dear ? ["random_page_cost", "seq_page_cost"].filter((name) => name in settings) : []),
    ...(cost("cpu_index_tuple_cost", INDEX_ROW) > INDEX_ROW ? ["cpu_index_tuple_cost"] : []),
  ].map((name) => `${name} = ${settings[name]}`);
}

/** A sentence about settings that keep the planner from whatever index there is; empty where none does. */
export function settingsFirst(settings: Readonly<Record<string, string>>): string {
  const against = againstIndexes(settings);
  return against.length === 0
    ? ""
    : `${against.join(" and ")} ${against.length === 1 ? "keeps" : "keep"} the planner from indexes here: look first what it takes without ${against.length === 1 ? "it" : "them"} (--settings). `;
}

/** Columns that a scan compares. */
export interface Compared {
  equal: readonly string[];
  ranges: readonly string[];
}

/** What to do where an index begins with what is compared, and the plan reads the table all the same; null where there is no such index. */
export function unusedIndex(
  { equal, ranges }: Compared,
  known: RelationFacts | undefined,
  settings: Readonly<Record<string, string>>,
): string | null {
  const columns = new Set([...equal, ...ranges]);
  const fitting = (known?.indexes ?? []).flatMap(({ name, plain, columns: all }) => {
    const end = all.findIndex((column) => !columns.has(column));
    const found = new Set(end === -1 ? all : all.slice(0, end));
    if (plain === false || found.size === 0) return [];
    const isWhole =
      equal.every((column) => found.has(column)) &&
      (ranges.length === 0 || ranges.some((column) => found.has(column)));
    return [{ name: `${name} (${all.join(", ")})`, isWhole }];
  });
  const first = fitting.find(({ isWhole }) => isWhole) ?? fitting[0];
  if (first === undefined) return null;
  const against = againstIndexes(settings);
  if (against.length > 0)
    return `${first.name} is there, and ${against.join(" and ")} ${against.length === 1 ? "keeps" : "keep"} the planner from it: look what it takes without ${against.length === 1 ? "it" : "them"} (--settings), and take back what was set for the role, the database or the server.`;
  if (!first.isWhole) return null;
  return `${first.name} is there, and the planner takes reading the table for cheaper: look with --settings '{"enable_seqscan": "off"}' whether that is so. If not, ANALYZE the table, or lower random_page_cost where its pages are on fast disks or in memory.`;
}
