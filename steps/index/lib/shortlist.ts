import type { Candidate, Sized } from "./candidates.ts";
import type { Prover } from "./prover.ts";

/** Rounds in which what the planner took is put aside, to see what it takes next. */
const ROUNDS = 3;
/** Under a budget the planner also chooses among those that take at most these shares of it. */
const SHARES = [1, 1 / 4, 1 / 16];

export interface Shortlist {
  /** The candidates that the planner takes for some statement when it may take any. */
  pool: Sized[];
  /** Those of them that it takes when all are there. */
  first: Sized[];
}

/** @param budget bytes, or null */
export async function shortlist(
  prover: Prover,
  candidates: readonly Candidate[],
  budget: number | null,
): Promise<Shortlist> {
  const sized = (await prover.sized(candidates)).filter(
    (one) => budget === null || one.bytes <= budget,
  );
  const byName = new Map(sized.flatMap((one) => one.names.map((name) => [name, one] as const)));
  const pool = new Set<Sized>();
  const first = new Set<Sized>();
  const sizes = budget === null ? [Number.POSITIVE_INFINITY] : SHARES.map((part) => part * budget);
  for (const statement of prover.work.keys()) {
    for (const size of sizes) {
      let open = sized.filter((one) => one.statements.has(statement) && one.bytes <= size);
      for (let round = 0; round < ROUNDS && open.length > 0; round++) {
        const { used } = await prover.plan(statement, open);
        const found = new Set([...used].flatMap((name) => byName.get(name) ?? []));
        if (found.size === 0) break;
        for (const one of found) {
          pool.add(one);
          if (round === 0) first.add(one);
        }
        open = open.filter((one) => !found.has(one));
      }
    }
  }
  return { pool: [...pool], first: [...first] };
}
