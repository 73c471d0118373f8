import type { Json, StepContext } from "../../engine/types.ts";
import { PgdbaError } from "../../engine/errors.ts";
import { parseBytes } from "../../engine/expr/units.ts";
import {
  type Catalogue,
  type IndexDef,
  indexSql,
  type Planner,
} from "../../providers/twin/twin.ts";
import { defineStep } from "../define.ts";
import { Candidates, type Sized } from "./lib/candidates.ts";
import { choose } from "./lib/choose.ts";
import { buildStatements, indexName, plain } from "./lib/ddl.ts";
import type { Limits } from "./lib/limits.ts";
import { readInput, type WorkloadInput } from "./lib/input.ts";
import { limitsOf, openOnServer, openTwin, type Study, study } from "./lib/open.ts";
import { Prover, type Work } from "./lib/prover.ts";
import { findRemovable } from "./lib/removable.ts";
import { SUGGEST_INPUT, SUGGEST_OUTPUT } from "./lib/suggest-schema.ts";
import { usesOf } from "./lib/usage.ts";
import { countedOf, writesOf } from "./lib/writes.ts";

/** A predicate that keeps at least this share of a table makes no partial index. */
const SELECTIVE = 0.1;

export default defineStep({
  type: "index.suggest",
  summary:
    "Suggest a small set of indexes for a workload, each proved by the planner's cost on a twin of the server",
  docs: `Reads the workload from pg_stat_statements (or takes it as given), parses it with PostgreSQL's own grammar, and tries indexes on the
*planner's twin*: a clone of the tables, statistics and planner settings without their data, in a PostgreSQL of the server's version on
this machine (18 where there is no other). The server itself is asked for its catalogues only, and needs no extension. With \`prove: hypopg\` the server's own planner is asked, on a
session of its own, with the indexes that its extension hypopg pretends; nothing is written there either.

Costs are the planner's units, a statement's times its calls; what keeping an index costs is counted by the rows the workload writes. An
index is suggested only when the plan of a statement uses it and the workload gets cheaper by \`min_improvement\`. Indexes that become
useless are named, each proved by planning the workload without it. What could not be planned is in \`unproven\`, what the twin lacks in
\`limits\`: extended statistics, tables whose statistics the role may not read, a planner of another version. Where a value lies at the
end of a histogram the real planner looks into an index for the least or greatest one; the twin has no data and keeps to the histogram.`,
  example: `- index.suggest:
    budget: 2GB
    max_indexes: 5
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: SUGGEST_INPUT,
  output: SUGGEST_OUTPUT,
  async run(ctx, input) {
    const given = input as unknown as Input;
    const { asked, isWanted } = readInput(given);
    const found = await study<Planner>(
      ctx,
      asked,
      given.prove === "hypopg" ? openOnServer : openTwin,
    );
    try {
      return await advise(ctx, found, found.planner, {
        budget:
          given.budget === undefined || given.budget === null ? null : parseBytes(given.budget),
        maxIndexes: given.max_indexes ?? null,
        // Never nothing: an index without any use is not suggested, whatever is asked for.
        leastGain: (total) => Math.max((total * (given.min_improvement ?? 1)) / 100, 0.01),
        isWanted,
      });
    } finally {
      await found.planner.close();
    }
  },
});

// By hand: nullable lists are too much for inference from the schema.
interface Input extends WorkloadInput {
  prove?: "twin" | "hypopg" | null;
  budget?: string | null;
  max_indexes?: number | null;
  min_improvement?: number | null;
}

interface Options extends Limits {
  isWanted(def: { schema: string; table: string }): boolean;
}

async function advise(
  ctx: StepContext,
  found: Study,
  planner: Planner,
  options: Options,
): Promise<Json> {
  const { catalogue, workload, activity } = found;
  const unproven = found.refused.map(({ sql, reason }) => ({ sql, reason }));
  const work: Work[] = [];
  for (const statement of found.parsed) {
    ctx.signal.throwIfAborted();
    try {
      await planner.explain(statement.sql);
      const uses = await usesOf(statement.tree, catalogue);
      work.push({ ...statement, uses, relations: relationsOf(uses, catalogue) });
    } catch (error) {
      if (!(error instanceof PgdbaError)) throw error;
      unproven.push({ sql: statement.sql, reason: error.message });
    }
  }
  const writes = writesOf(work, activity, catalogue);
  const prover = new Prover(planner, work, writes, ctx.signal);
  const candidates = new Candidates(catalogue, writes);
  for (const [number, { uses }] of work.entries()) {
    for (const use of uses) {
      const table = { schema: use.table.schema, table: use.table.name };
      if (options.isWanted(table))
        await candidates.propose(use, number, (predicate) =>
          isSelective(planner, use.table, predicate),
        );
    }
  }
  ctx.log(`trying ${candidates.all().length} candidates`);
  const chosen = await choose(prover, candidates, options, (message) => ctx.log(message));
  const before = await prover.total([]);
  const after = await prover.total(chosen);
  const removable = (await findRemovable(prover, catalogue, chosen, activity)).filter((index) => {
    const [schema = "", table = ""] = index.table.split(".");
    return options.isWanted({ schema, table });
  });
  return {
    suggestions: await suggestions(prover, chosen, catalogue, found),
    removable: await Promise.all(
      removable.map(async (index) => ({ ...index, statement: await plain(index.statement) })),
    ),
    queries: await queries(prover, chosen),
    cost: {
      before: rounded(before),
      after: rounded(after),
      saved_percent: before === 0 ? 0 : rounded(100 * (1 - after / before)),
    },
    bytes: chosen.reduce((sum, one) => sum + one.bytes, 0),
    workload: { source: workload.source, statements: work.length, hidden: workload.hidden },
    unproven,
    limits: limitsOf(planner),
    effort: {
      candidates: candidates.all().length,
      plans: prover.plans,
      statements_sent: found.reads,
    },
  };
}

function rounded(cost: number): number {
  return Math.round(cost * 100) / 100;
}

async function isSelective(
  planner: Planner,
  table: Catalogue["relations"][number],
  predicate: string,
): Promise<boolean> {
  const rows = async (where: string): Promise<number> => {
    const plan = await planner.explain(
      `SELECT FROM "${table.schema.replaceAll('"', '""')}"."${table.name.replaceAll('"', '""')}"${where}`,
    );
    return plan["Plan Rows"];
  };
  try {
    return (await rows(` WHERE ${predicate}`)) < SELECTIVE * (await rows(""));
  } catch {
    // What can't be planned by itself is no predicate of an index either.
    return false;
  }
}

/** The tables of a statement and the partitioned ones above them: an index on a parent reaches its partitions. */
function relationsOf(uses: Work["uses"], catalogue: Catalogue): Set<number> {
  const all = new Set<number>();
  const note = (oid: number): void => {
    if (all.has(oid)) return;
    all.add(oid);
    for (const parent of catalogue.relations.find((relation) => relation.oid === oid)?.parents ??
      [])
      note(parent);
  };
  for (const use of uses) note(use.table.oid);
  return all;
}

async function suggestions(
  prover: Prover,
  chosen: readonly Sized[],
  catalogue: Catalogue,
  { activity }: Study,
): Promise<Json[]> {
  const total = await prover.total(chosen);
  const taken = new Set(catalogue.indexes.map((index) => `${index.schema}.${index.name}`));
  const list: { saved: number; entry: Json }[] = [];
  for (const one of chosen) {
    const name = indexName(one.def, taken);
    taken.add(`${one.def.schema}.${name}`);
    const saved = (await prover.total(chosen.filter((other) => other !== one))) - total;
    const usedBy: string[] = [];
    for (const [number, { sql }] of prover.work.entries()) {
      const { used } = await prover.plan(number, chosen);
      if (one.names.some((part) => used.has(part))) usedBy.push(sql);
    }
    const table = catalogue.relations.find(
      (relation) => relation.schema === one.def.schema && relation.name === one.def.table,
    );
    const counted = table === undefined ? undefined : countedOf(table, activity, catalogue);
    list.push({
      saved,
      entry: {
        name,
        table: `${one.def.schema}.${one.def.table}`,
        definition: await plain(indexSql(one.def)),
        statements: await buildStatements(one.def, name, catalogue),
        bytes: one.bytes,
        saves: rounded(saved),
        used_by: usedBy,
        replaces: replaced(one.def, catalogue),
        write_overhead: {
          rows: rounded(prover.rowsWritten(one.def)),
          cost: rounded(prover.writeCost(one.def)),
          table_inserts: counted?.inserts ?? null,
          table_updates: counted?.updates ?? null,
          table_hot_updates: counted?.hot_updates ?? null,
          days: activity.days,
        },
        notes: notesOf(one.def),
      },
    });
  }
  return list.toSorted((a, b) => b.saved - a.saved).map(({ entry }) => entry);
}

/** Existing indexes that are a left prefix of this one. */
function replaced(def: IndexDef, catalogue: Catalogue): string[] {
  const table = catalogue.relations.find(
    (relation) => relation.schema === def.schema && relation.name === def.table,
  );
  const columns = catalogue.columns.filter((column) => column.relid === table?.oid);
  const keys = def.keys.map(
    (key) =>
      (key.suffix === undefined
        ? columns.find((column) => column.name === key.column)?.num
        : undefined) ?? -1,
  );
  return catalogue.indexes
    .filter(
      (index) =>
        index.relid === table?.oid &&
        !index.unique &&
        index.valid &&
        index.plain &&
        index.method === def.method &&
        index.predicate === null &&
        def.where === null,
    )
    .filter((index) => index.columns.every((num, at) => num !== 0 && keys[at] === num))
    .map((index) => `${index.schema}.${index.name}`);
}

function notesOf(def: IndexDef): string[] {
  const notes: string[] = [];
  if (def.keys.some((key) => key.column === null))
    notes.push(
      "An index on an expression has statistics of its own: run ANALYZE on the table when it is built.",
    );
  if (def.method !== "btree")
    notes.push(
      `The size of a ${def.method} index depends on the values inside of the column and is a rough estimate.`,
    );
  return notes;
}

async function queries(prover: Prover, chosen: readonly Sized[]): Promise<Json[]> {
  const nameOf = new Map<string, string>();
  for (const one of chosen)
    for (const name of one.names) nameOf.set(name, await plain(indexSql(one.def)));
  const list = [];
  for (const [number, { sql, calls, queryid }] of prover.work.entries()) {
    const before = await prover.plan(number, []);
    const after = await prover.plan(number, chosen);
    const indexes = [...new Set([...after.used].map((name) => nameOf.get(name) ?? name))];
    list.push({ sql, queryid, calls, cost_before: before.cost, cost_after: after.cost, indexes });
  }
  return list.toSorted(
    (a, b) => b.calls * (b.cost_before - b.cost_after) - a.calls * (a.cost_before - a.cost_after),
  );
}
