import type { Candidate, Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import type { Prover } from "./prover.ts";

/** Rounds in which what the planner took is put aside, to see what it takes next. */
const ROUNDS = 3;
/** Under a budget the planner also chooses among those that take at most these shares of it. */
const SHARES = [1, 1 / 4, 1 / 16];
/** Statements whose candidates are made at once. */
const BATCH = 30;
/** With more candidates than this, those that no plan took are not kept. */
const MANY = 300;
/** Candidates on one table that are compared with each other: the best by themselves. */
const PER_TABLE = 48;

export interface Shortlist {
  /** The candidates that the planner takes for some statement when it may take any. */
  pool: Sized[];
  /** The candidates that the planner takes when all are there. */
  first: Sized[];
  /** The statements for which there was time. */
  tried: number[];
  candidates: number;
}

interface About {
  /** Statements, the dearest first. */
  order: readonly number[];
  propose(statement: number): Promise<readonly Candidate[]>;
  /** Bytes, or null. */
  budget: number | null;
  deadline: Deadline;
}

export async function shortlist(prover: Prover, about: About): Promise<Shortlist> {
  const { order, budget, deadline } = about;
  const made = new Map<string, Sized | null>();
  const saves = new Map<Sized, number>();
  const first = new Set<Sized>();
  const tried: number[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < order.length && !deadline.passed; at += BATCH) {
    const batch = order.slice(at, at + BATCH);
    const asked = new Map<number, readonly Candidate[]>();
    for (const statement of batch) asked.set(statement, await about.propose(statement));
    const fresh = new Map(
      [...asked.values()].flat().flatMap((one) => (made.has(one.sql) ? [] : [[one.sql, one]])),
    );
    for (const sql of fresh.keys()) {
      seen.add(sql);
      made.set(sql, null);
    }
    for (const one of await prover.sized([...fresh.values()]))
      made.set(one.instead ?? one.sql, one);
    prover.search([...tried, ...batch]);
    for (const [statement, candidates] of asked) {
      if (deadline.passed) break;
      tried.push(statement);
      const own = candidates.flatMap(({ sql }) => made.get(sql) ?? []);
      await tryOn(prover, statement, own, { budget, saves, first });
    }
    if ([...made.values()].filter((one) => one !== null).length > MANY)
      await forgetUnused(prover, made, saves);
  }
  const pool = best(saves);
  const kept = new Set(pool);
  if (made.size > MANY) await forgetUnused(prover, made, new Map(pool.map((one) => [one, 0])));
  prover.search(tried);
  return { pool, first: [...first].filter((one) => kept.has(one)), tried, candidates: seen.size };
}

interface Found {
  budget: number | null;
  /** The saving of the statements that were seen to use it. */
  saves: Map<Sized, number>;
  first: Set<Sized>;
}

/** Finds the candidates of a statement that the planner takes for it. */
async function tryOn(
  prover: Prover,
  statement: number,
  own: readonly Sized[],
  { budget, saves, first }: Found,
): Promise<void> {
  const byName = new Map(own.flatMap((one) => one.names.map((name) => [name, one] as const)));
  const before = (await prover.plan(statement, [])).cost;
  const calls = prover.work[statement]?.calls ?? 0;
  const sizes = budget === null ? [Number.POSITIVE_INFINITY] : SHARES.map((part) => part * budget);
  for (const size of sizes) {
    let open = own.filter(({ bytes }) => bytes <= size);
    for (let round = 0; round < ROUNDS && open.length > 0; round++) {
      const { used, cost } = await prover.plan(statement, open);
      const found = new Set([...used].flatMap((name) => byName.get(name) ?? []));
      if (found.size === 0) break;
      for (const one of found) {
        saves.set(one, (saves.get(one) ?? 0) + calls * Math.max(0, before - cost));
        if (round === 0) first.add(one);
      }
      open = open.filter((one) => !found.has(one));
    }
  }
}

async function forgetUnused(
  prover: Prover,
  made: Map<string, Sized | null>,
  used: ReadonlyMap<Sized, number>,
): Promise<void> {
  const unused = [...made.values()].filter((one) => one !== null && !used.has(one)) as Sized[];
  await prover.forget(unused);
  // Another statement may ask for it again.
  for (const { sql, instead } of unused) made.delete(instead ?? sql);
}

/** The best of each table, the best of all first. */
function best(saves: ReadonlyMap<Sized, number>): Sized[] {
  const sorted = [...saves.keys()].toSorted((a, b) => (saves.get(b) ?? 0) - (saves.get(a) ?? 0));
  const tables = Map.groupBy(sorted, ({ def }) => `${def.schema}.${def.table}`);
  const kept = new Set([...tables.values()].flatMap((list) => list.slice(0, PER_TABLE)));
  return sorted.filter((one) => kept.has(one));
}
