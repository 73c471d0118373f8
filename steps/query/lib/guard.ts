import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, JsonObject } from "../../../engine/types.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import { isObject } from "../plan/tree.ts";
import { BUILTIN, EXTENSIONS, SEQUENCES } from "./harmless.ts";
import { FUNCTIONS, HIDDEN, OPERATORS, RELATIONS, TOUCHED } from "./guard-sql.ts";
import type { Statement } from "./statement.ts";
import { callsIn, wordsIn } from "./words.ts";

/** What executing a statement needs and leaves behind. */
export interface Verdict {
  /** It changes rows or sequences, or locks rows: it can't run READ ONLY. */
  writes: boolean;
  changesRows: boolean;
  movesSequences: boolean;
}

/** Functions that may be called (or operators), by name, and by what. */
type Calls = Map<string, string>;
/** A text that may hold calls, and whose it is. */
type Text = [text: string, by: string];

interface FunctionRow {
  oid: number;
  name: string;
  shown: string;
  builtin: boolean;
  volatile: boolean;
  language: string;
  extension: string | null;
  source: string | null;
  parts: string[];
}

/**
 * Decides whether a statement may be executed and rolled back: whether all that it does ends with the transaction. Decided by the
 * plan as the server shows it (views, policies and inlined functions resolved), by the catalogues for what a plan does not
 * show (triggers, CHECK constraints, defaults, casts, domains), and by the statement's own parse tree. In doubt it is refused.
 *
 * What the server is told of a function is believed for built-in ones and those of extensions. For others, STABLE and IMMUTABLE are
 * believed as far as their text bears it out.
 * @throws PgdbaError step_refused, naming what stands against it
 */
export async function guard(run: Run, explained: Json, statement: Statement): Promise<Verdict> {
  const { names } = statement;
  if (names === null)
    throw refusal(
      "this version of pgdba can't read its syntax, so that it can't tell what it does",
    );
  const nodes = [...nodesIn(explained)];
  refuseForeign(nodes);
  const changed = nodes.filter((node) => node["Node Type"] === "ModifyTable").flatMap(targetsOf);
  const texts: Text[] = [...stringsIn(explained)].map((text) => [text, "the statement"]);
  const bodies: Text[] = [];

  const hidden = await run(HIDDEN);
  for (const row of hidden.rows) texts.push([String(row.text), String(row.by)]);
  const calls: Calls = new Map();
  if (changed.length > 0) {
    const touched = await run(TOUCHED, [
      changed.map(([schema]) => schema),
      changed.map(([, name]) => name),
    ]);
    for (const row of touched.rows) {
      if (row.text === null) throw refusal(`it would change ${String(row.by)}, a foreign table`);
      texts.push([String(row.text), String(row.by)]);
    }
    // What ON CONFLICT, MERGE and a view's CHECK OPTION evaluate is not in the plan.
    for (const name of names.columns) calls.set(name, "the statement");
    bodies.push(...(await viewsAmong(run, names.relations, new Set())));
  }

  const operators: Calls = new Map(names.operators.map((name) => [name, "the statement"]));
  for (const name of names.functions) calls.set(name, "the statement");
  for (const [text, by] of texts) {
    const found = callsIn(text);
    for (const name of found.functions) if (!calls.has(name)) calls.set(name, by);
    for (const name of found.operators) if (!operators.has(name)) operators.set(name, by);
  }
  await implementing(run, operators, calls);

  const movesSequences = await follow(run, calls, bodies);
  const changesRows = changed.length > 0;
  const locks = nodes.some((node) => node["Node Type"] === "LockRows");
  return { writes: changesRows || locks || movesSequences, changesRows, movesSequences };
}

/** Judges all functions that may be called, and those that they call in turn. True when one moves a sequence. */
async function follow(run: Run, calls: Calls, bodies: Text[]): Promise<boolean> {
  const judged = new Set<number>();
  let pending = calls;
  let texts = bodies;
  const seen = new Set<string>();
  let sequences = false;
  while (pending.size > 0 || texts.length > 0) {
    const operators: Calls = new Map();
    for (const [text, by] of texts) {
      const found = wordsIn(text);
      for (const word of found.words) if (!pending.has(word)) pending.set(word, by);
      for (const name of found.operators) operators.set(name, by);
    }
    await implementing(run, operators, pending);
    const { rows } = await run(FUNCTIONS, [[...pending.keys()], [...judged]], { maxRows: 100_000 });
    const next: Calls = new Map();
    const deeper = texts.length === 0 ? [] : await viewsAmong(run, [...pending.keys()], seen);
    for (const row of rows as unknown as FunctionRow[]) {
      judged.add(row.oid);
      const by = pending.get(row.name) ?? "the statement";
      sequences ||= row.builtin && SEQUENCES.has(row.name);
      refuseUnsafe(row, by);
      for (const part of row.parts) next.set(part, row.shown);
      if (row.source !== null) deeper.push([row.source, row.shown]);
    }
    pending = next;
    texts = deeper;
  }
  return sequences;
}

/** Adds the functions behind operators to the calls. */
async function implementing(run: Run, operators: Calls, calls: Calls): Promise<void> {
  if (operators.size === 0) return;
  const { rows } = await run(OPERATORS, [[...operators.keys()]]);
  for (const row of rows) calls.set(String(row.function), `operator ${String(row.operator)}`);
}

function refuseUnsafe(row: FunctionRow, by: string): void {
  const { builtin, extension, language, name, shown } = row;
  const whose = by === "the statement" ? "it calls" : `${by} calls`;
  const listed = builtin
    ? BUILTIN.has(name) || SEQUENCES.has(name)
    : EXTENSIONS[extension ?? ""]?.includes(name);
  if (listed === true) return;
  if (row.volatile)
    throw refusal(`${whose} ${shown}, which is volatile: what it does may outlive a rollback`);
  if (builtin || extension !== null || row.parts.length > 0) return;
  if (language !== "sql" && language !== "plpgsql")
    throw refusal(`${whose} ${shown}, a function in ${language}, whose doings can't be seen`);
  if (/\bexecute\b/i.test(row.source ?? ""))
    throw refusal(`${whose} ${shown}, which runs SQL that it makes up`);
}

/** Definitions of the views with such names, each once. @throws PgdbaError step_refused for a foreign table that has one of them */
async function viewsAmong(run: Run, names: string[], seen: Set<string>): Promise<Text[]> {
  const { rows } = await run(RELATIONS, [names, [...seen]], { maxRows: 100_000 });
  return rows.map(({ kind, shown, definition }) => {
    if (kind === "f")
      throw refusal(`it may read ${String(shown)}, a foreign table, within a function or view`);
    seen.add(String(shown));
    return [String(definition), String(shown)];
  });
}

/** Reading elsewhere is all that a foreign table may do, and only by wrappers that are known to do no more. */
function refuseForeign(nodes: JsonObject[]): void {
  for (const node of nodes) {
    if (node["Node Type"] !== "Foreign Scan") continue;
    const remote = node["Remote SQL"];
    const reads =
      typeof remote === "string" &&
      remote.startsWith("SELECT ") &&
      !/ FOR (UPDATE|SHARE)$/.test(remote);
    if (reads || typeof node["Foreign File"] === "string") continue;
    throw refusal("it acts on a foreign table, where a rollback here undoes nothing");
  }
}

function* nodesIn(value: Json): Generator<JsonObject> {
  if (Array.isArray(value)) for (const item of value) yield* nodesIn(item);
  if (!isObject(value)) return;
  if (value["Node Type"] !== undefined) yield value;
  for (const child of Object.values(value)) yield* nodesIn(child);
}

function* stringsIn(value: Json): Generator<string> {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) for (const item of value) yield* stringsIn(item);
  else if (isObject(value)) for (const child of Object.values(value)) yield* stringsIn(child);
}

/** Schema and name of the tables that a ModifyTable changes. */
function targetsOf(node: JsonObject): [string, string][] {
  const others = Array.isArray(node["Target Tables"]) ? node["Target Tables"].filter(isObject) : [];
  return [node, ...others].flatMap((one): [string, string][] =>
    typeof one["Relation Name"] === "string" ? [[String(one.Schema), one["Relation Name"]]] : [],
  );
}

function refusal(why: string): PgdbaError {
  return new PgdbaError("step_refused", `The statement is not executed: ${why}`, {
    hint: "Leave analyze out for the plan with its estimates, or take the function, trigger or table out of the statement.",
  });
}
