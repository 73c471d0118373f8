import type { Json, Target } from "../../../engine/types.ts";
import {
  type Catalogue,
  type IndexDef,
  indexSql,
  type Planner,
} from "../../../providers/planner/twin/twin.ts";
import { isUnanalysed } from "../../../providers/planner/twin/index-size.ts";
import { commandLine } from "../../command-line.ts";
import { bareOrQuoted } from "../../../providers/planner/twin/names.ts";
import type { TableUse } from "../workload/scope.ts";
import type { Sized } from "./candidate.ts";
import { doubtful } from "./doubtful.ts";
import type { Point } from "./curve.ts";
import { buildStatements, indexName, plain } from "../ddl/ddl.ts";
import { limitsOf, type Study } from "./open.ts";
import type { Prover, Selection } from "./prover.ts";
import type { Removable } from "./removable.ts";
import type { Sampled } from "../workload/shapes.ts";
import { type Refused, unprovenOf } from "../workload/workload.ts";
import { countedOf } from "../workload/writes.ts";

/** Statements that an answer lists of those that were not looked at. */
const LISTED = 100;

export interface Result {
  prover: Prover;
  curve: readonly Point[];
  suggested: readonly Sized[];
  removable: readonly Removable[];
  unproven: readonly Refused[];
  untried: readonly Sampled[];
  candidates: number;
  seconds: number;
  complete: boolean;
}

/** Gives the answer that `SUGGEST_OUTPUT` describes. */
export async function answer(
  target: Target,
  found: Study & { planner: Planner },
  result: Result,
): Promise<Json> {
  const { prover, suggested, curve } = result;
  const before = await prover.select([]);
  const after = await prover.select(suggested);
  return {
    suggestions: await suggestions(target, prover, after, found),
    removable: await Promise.all(
      result.removable.map(async (index) => ({
        ...index,
        statement: await plain(index.statement),
      })),
    ),
    queries: await queries(prover, before, after),
    cost: {
      before: rounded(before.cost),
      after: rounded(after.cost),
      saved_percent: percent(before.cost, after.cost),
    },
    curve: [
      {
        index: null,
        indexes: 0,
        cost: rounded(before.cost),
        saved_percent: 0,
        bytes: 0,
        suggested: true,
      },
      ...(await Promise.all(
        curve.map(async ({ index, cost, bytes }, at) => ({
          index: await plain(indexSql(index.def)),
          indexes: at + 1,
          cost: rounded(cost),
          saved_percent: percent(before.cost, cost),
          bytes,
          suggested: at < suggested.length,
        })),
      )),
    ],
    bytes: suggested.reduce((sum, one) => sum + one.bytes, 0),
    workload: {
      source: found.workload.source,
      statements: [...new Set(prover.work.map(({ shape }) => shape))].reduce(
        (sum, { members }) => sum + members.length,
        0,
      ),
      hidden: found.workload.hidden,
    },
    unproven: unprovenOf(result.unproven),
    nothing_to_advise: found.idle.map(({ sql, reason }) => ({ sql, reason })),
    limits: limitsOf(found.planner),
    search: {
      complete: result.complete,
      seconds: rounded(result.seconds),
      not_tried: result.untried.length,
      statements: result.untried.slice(0, LISTED).map(({ sql }) => sql),
    },
    effort: {
      candidates: result.candidates,
      plans: prover.plans,
      statements_sent: found.reads,
    },
  };
}

function rounded(cost: number): number {
  return Math.round(cost * 100) / 100;
}

function percent(before: number, after: number): number {
  return before === 0 ? 0 : rounded(100 * (1 - after / before));
}

/** The pgdba command that builds it; null where that takes several statements, as on a partitioned table. */
function commandFor(target: Target, statements: readonly string[]): string | null {
  const [only] = statements;
  if (only === undefined || statements.length !== 1) return null;
  return commandLine(target, ["index", "create", "--definition", only]);
}

async function suggestions(
  target: Target,
  prover: Prover,
  after: Selection,
  { catalogue, activity }: Study,
): Promise<Json[]> {
  const { chosen } = after;
  const taken = new Set(catalogue.indexes.map((index) => `${index.schema}.${index.name}`));
  const usedBy = new Map<Sized, string[]>(chosen.map((one) => [one, []]));
  const usesBy = new Map<Sized, TableUse[]>(chosen.map((one) => [one, []]));
  for (const [number, { sql, uses }] of prover.work.entries()) {
    const { used } = await prover.plan(number, chosen);
    for (const one of chosen)
      if (one.names.some((part) => used.has(part))) {
        usedBy.get(one)?.push(sql);
        usesBy.get(one)?.push(...uses);
      }
  }
  const list: { saved: number; entry: Json }[] = [];
  for (const one of chosen) {
    const name = indexName(one.def, taken);
    taken.add(`${one.def.schema}.${name}`);
    const saved = -(await prover.gain(
      after,
      chosen.filter((other) => other !== one),
    ));
    const table = catalogue.relations.find(
      (relation) => relation.schema === one.def.schema && relation.name === one.def.table,
    );
    const counted = table === undefined ? undefined : countedOf(table, activity, catalogue);
    const statements = await buildStatements(one.def, name, catalogue);
    list.push({
      saved,
      entry: {
        name,
        table: `${one.def.schema}.${one.def.table}`,
        definition: await plain(indexSql(one.def)),
        statements,
        command: commandFor(target, statements),
        bytes: one.bytes,
        saves: rounded(saved),
        used_by: usedBy.get(one) ?? [],
        replaces: replaced(one.def, catalogue),
        write_overhead: {
          rows: rounded(prover.rowsWritten(one.def)),
          cost: rounded(prover.writeCost(one.def)),
          table_inserts: counted?.inserts ?? null,
          table_updates: counted?.updates ?? null,
          table_hot_updates: counted?.hot_updates ?? null,
          days: activity.days,
        },
        notes: [
          ...one.notes,
          ...notesOf(one.def, table),
          ...doubts(target, usesBy.get(one) ?? [], { table, catalogue }),
        ],
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

function notesOf(def: IndexDef, table: Catalogue["relations"][number] | undefined): string[] {
  const notes: string[] = [];
  if (table !== undefined && isUnanalysed(table))
    notes.push(
      `${def.schema}.${def.table} was never analysed: its rows, and so the size and what it saves, are guessed. ANALYZE it, and ask again.`,
    );
  if (def.keys.some((key) => key.column === null))
    notes.push(
      "An index on an expression has statistics of its own: run ANALYZE on the table when it is built.",
    );
  if (def.method === "hash")
    notes.push(
      "A hash index serves equality alone. It was chosen since nothing bounds the values, and a B-tree refuses a row whose key is longer than a third of a page.",
    );
  else if (def.method !== "btree")
    notes.push(
      `The size of a ${def.method} index depends on the values inside of the column and is a rough estimate.`,
    );
  return notes;
}

/** What the figures rest on, where the planner is known to guess badly. */
function doubts(
  target: Target,
  uses: readonly TableUse[],
  { table, catalogue }: { table: Catalogue["relations"][number] | undefined; catalogue: Catalogue },
): string[] {
  const columns = table === undefined ? null : doubtful(uses, table, catalogue);
  if (table === undefined || columns === null) return [];
  const made = commandLine(target, [
    "statistics",
    "create",
    `${bareOrQuoted(table.schema)}.${bareOrQuoted(table.name)}`,
    "--columns",
    columns.join(","),
  ]);
  return [
    `The costs are doubtful: the planner takes the conditions on ${columns.join(", ")} of ${table.schema}.${table.name} as independent, and comes to less than one row. See first with \`pgdba query analyze … --analyze\` whether that is right; where it is not, \`${made}\` mends it, and this is to be asked again.`,
  ];
}

async function queries(prover: Prover, before: Selection, after: Selection): Promise<Json[]> {
  const nameOf = new Map<string, string>();
  for (const one of after.chosen)
    for (const name of one.names) nameOf.set(name, await plain(indexSql(one.def)));
  const list: { saved: number; entry: Json }[] = [];
  for (const [number, { sql, calls, queryid }] of prover.work.entries()) {
    const cost_before = before.costs[number] ?? 0;
    const cost_after = after.costs[number] ?? 0;
    const { used } = await prover.plan(number, after.chosen);
    const indexes = [...new Set([...used].map((name) => nameOf.get(name) ?? name))];
    const saved = calls * (cost_before - cost_after);
    list.push({ saved, entry: { sql, queryid, calls, cost_before, cost_after, indexes } });
  }
  return list.toSorted((a, b) => b.saved - a.saved).map(({ entry }) => entry);
}
