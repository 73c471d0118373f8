import { marked } from "../own.ts";
import type { Json, JsonObject } from "../../../engine/types.ts";
import type { Run } from "../session.ts";
import { TOUCHED } from "./relations-sql.ts";
import { NAMED, PLACED } from "./questions.ts";
import { EXECUTED, ONLY_PLANNED, STATEMENT } from "./judge.ts";
import { type Called, type Names, quoted } from "./names.ts";
import { asCatalogue } from "./as-catalogue.ts";
import { type Level, PLANNED, SHOWN, UNSEEN, type Way } from "./pending.ts";
import { nodesIn, relationOf, stringsIn, targetsOf } from "./plan-nodes.ts";
import { type Reached, Search } from "./search.ts";
import type { Statement } from "./statement.ts";
import { wordsIn } from "./words.ts";

/** The needs of executing a statement, and its lasting effects. */
export interface Verdict {
  /** It changes rows or sequences, or locks rows: it can't run READ ONLY. */
  writes: boolean;
  changesRows: boolean;
  movesSequences: boolean;
  reached: Reached;
}

/**
 * Planning evaluates functions that are not volatile, and some that are: estimators call operators with what the statistics hold,
 * and the parser reads literals of domains' arrays. So a statement is judged before any server has planned it, by its parse tree and
 * the catalogues alone. What only executing it would run does not count.
 * @throws PgdbaError step_refused, naming what stands against it
 */
export async function guardPlanning(run: Run, statement: Statement): Promise<Reached> {
  const { names, text } = statement;
  const search = new Search(run, ONLY_PLANNED);
  if (names === null) search.addText(text, { by: STATEMENT, level: PLANNED });
  else await addNames(run, search, names, PLANNED);
  search.addTypes(wordsIn(text).words, { by: STATEMENT, level: PLANNED });
  await asCatalogue(run, () => search.finish(PLANNED));
  return search.reached;
}

/**
 * Decides whether a statement may be executed and rolled back: whether all that it does ends with the transaction. Decided by the
 * plan as the server shows it (inlined functions resolved), by the catalogues for what a plan does not show (views, policies,
 * triggers, CHECK constraints, defaults, casts, domains), and by the statement's own parse tree. In doubt it is refused.
 *
 * What the server is told of a function is believed for built-in ones and those of extensions. For others, STABLE and IMMUTABLE are
 * believed as far as their text bears it out.
 * @throws PgdbaError step_refused, naming what stands against it
 */
export async function guard(run: Run, explained: Json, statement: Statement): Promise<Verdict> {
  const { names, text } = statement;
  if (names === null)
    throw EXECUTED.refuse(
      "this version of pgdba can't read its syntax, so that it can't tell what it does",
    );
  const nodes = [...nodesIn(explained)];
  refuseForeign(nodes);
  const search = new Search(run, EXECUTED);
  await addNames(run, search, names, SHOWN);
  const way: Way = { by: STATEMENT, level: SHOWN };
  search.addTypes(wordsIn(text).words, way);
  // The plan of an INSERT shows the defaults; a nextval of the statement's own is among its names.
  for (const shown of stringsIn(explained)) search.addExpression(shown, { ...way, fills: true });
  const changed = nodes.filter((node) => node["Node Type"] === "ModifyTable");
  await asCatalogue(run, async () => {
    const read = nodes.flatMap(relationOf);
    const { rows } = await run(marked(PLACED), [
      read.map((one) => one.schema),
      read.map((one) => one.name),
    ]);
    for (const { oid } of rows) search.relations.add(String(oid), way);
    await addTouched(run, search, changed);
    await search.finish(SHOWN);
  });
  const changesRows = changed.length > 0;
  const locks = nodes.some((node) => node["Node Type"] === "LockRows");
  const movesSequences = search.sequences;
  const writes = changesRows || locks || movesSequences;
  return { writes, changesRows, movesSequences, reached: search.reached };
}

/** Adds what the statement names, by the search_path that it is run with. */
export async function addNames(
  run: Run,
  search: Search,
  names: Names,
  level: Level,
): Promise<void> {
  const types = names.types.filter(({ schema }) => schema !== "pg_catalog");
  const { rows } = await run(marked(NAMED), [names.relations.map(quoted), types.map(quoted)]);
  const { places, relations, unknown } = rows[0] as unknown as {
    places: string[];
    relations: string[];
    unknown: boolean;
  };
  const bare = [...names.relations, ...types].some(({ schema }) => schema === null);
  // With several schemas, one that is searched earlier may come to have what the name means.
  if (unknown || (bare && places.filter((place) => !place.startsWith("pg_")).length > 1))
    search.open = true;
  const way: Way = { by: STATEMENT, level };
  const placed = ({ schema }: Called): Way => ({ ...way, places: placesOf(schema, places) });
  for (const one of names.functions) search.addCall(one.name, placed(one));
  for (const name of names.columns) search.functions.add(name, { ...way, places, ofRow: true });
  for (const one of names.operators)
    search.addOperators([one.name], placed(one), one.schema !== null);
  search.addTypes(names.words, way);
  for (const oid of relations) search.relations.add(oid, way);
}

/** pg_temp has another name in each session, and is not searched unless it is named. */
export function placesOf(schema: string | null, searched: string[]): string[] | undefined {
  return schema === null ? searched : schema === "pg_temp" ? undefined : [schema];
}

async function addTouched(run: Run, search: Search, changed: JsonObject[]): Promise<void> {
  const targets = changed.flatMap((node) => {
    const fills = node.Operation === "Insert" || node.Operation === "Merge";
    return targetsOf(node).map((target) => ({ ...target, fills }));
  });
  if (targets.length === 0) return;
  const { rows } = await run(marked(TOUCHED), [
    targets.map(({ schema }) => schema),
    targets.map(({ name }) => name),
    targets.map(({ fills }) => fills),
  ]);
  for (const { relation, what, text, by } of rows) {
    const way: Way = { by: String(by), level: UNSEEN };
    if (what === "foreign") throw EXECUTED.refuse(`it would change ${way.by}, a foreign table`);
    if (what === "relation") search.relations.add(String(relation), way);
    else if (what === "support") search.functions.add(String(text), way);
    else if (text !== null)
      search.addExpression(String(text), { ...way, fills: what === "default" });
  }
}

/** A foreign table may be a view, elsewhere, that acts: reading a file is all that is known to do no more than reading. */
function refuseForeign(nodes: JsonObject[]): void {
  for (const node of nodes) {
    if (node["Node Type"] !== "Foreign Scan") continue;
    if (typeof node["Foreign File"] === "string") continue;
    throw EXECUTED.refuse("it acts on a foreign table, where a rollback here undoes nothing");
  }
}
