import { COUNTED, type Counters, type Figures, type Live } from "./counters.ts";

/** The ways in which the figures of a statement can come about. */
export const BASES = ["difference", "new", "reset"] as const;
export type Basis = (typeof BASES)[number];

/** The work of one statement in the interval, for all its users. */
export interface Change extends Figures {
  /** `database/queryid`, OID and number. */
  id: string;
  basis: Basis;
}

export interface Interval {
  /** From when the figures count: the earlier snapshot's time, or when all statistics were reset since. */
  from: string;
  to: string;
  reset: boolean;
  changes: Change[];
  /** Execution time of all statements, those that the role may not see included. */
  total_ms: number;
  /** Entries that are gone; what they did in the interval is not known. */
  evicted: number;
  /** The number of evictions of statements; null before 14. */
  dealloc: number | null;
  /** Entries that are left out, because their part in the interval is not known. */
  untold: number;
}

/** The difference between two snapshots of the same server by the same role. */
export function between(before: Counters, { counters: now, since }: Live): Interval {
  const reset = before.stats_reset !== now.stats_reset;
  const changes = new Map<string, Change>();
  let untold = 0;
  for (const [key, counted] of Object.entries(now.entries)) {
    const old = before.entries[key];
    const began = Date.parse(since.get(key) ?? "") > Date.parse(before.taken_at);
    const fresh = reset || began || (old !== undefined && anew(old, counted));
    if (old === undefined && !fresh && !sees(before, key)) {
      untold++;
      continue;
    }
    const figures = minus(counted, fresh ? undefined : old);
    if (figures.calls > 0)
      add(changes, idOf(key), figures, old === undefined ? "new" : fresh ? "reset" : "difference");
  }
  const gone = Object.keys(before.entries).filter(
    (key) => now.entries[key] === undefined && sees(now, key),
  );
  const listed = [...changes.values()];
  const hidden = now.hidden_ms - (reset ? 0 : before.hidden_ms);
  return {
    from: reset && now.stats_reset !== null ? now.stats_reset : before.taken_at,
    to: now.taken_at,
    reset,
    changes: listed,
    total_ms: precise(
      listed.reduce((sum, { total_ms }) => sum + total_ms, hidden < 0 ? now.hidden_ms : hidden),
    ),
    evicted: reset ? 0 : gone.length,
    dealloc: now.dealloc === null ? null : now.dealloc - (reset ? 0 : (before.dealloc ?? 0)),
    untold,
  };
}

/** True when an entry would stand in the snapshot if it had existed then: a role always sees its own. */
function sees({ complete, hidden, role }: Counters, key: string): boolean {
  return complete && (hidden === 0 || key.split("/")[1] === String(role));
}

/**
 * Counters only rise, and all of them with the calls. Where they do not, they began anew, by a reset or because the entry was evicted
 * and came back.
 */
function anew(old: readonly number[], counted: readonly number[]): boolean {
  const more = (counted[0] ?? 0) > (old[0] ?? 0);
  return counted.some((value, at) => value < (old[at] ?? 0) || (!more && value > (old[at] ?? 0)));
}

function minus(counted: readonly number[], old: readonly number[] | undefined): Figures {
  return Object.fromEntries(
    COUNTED.map((name, at) => [name, precise((counted[at] ?? 0) - (old?.[at] ?? 0))]),
  ) as Figures;
}

function add(changes: Map<string, Change>, id: string, figures: Figures, basis: Basis): void {
  const known = changes.get(id);
  if (known === undefined) {
    changes.set(id, { id, ...figures, basis });
    return;
  }
  for (const name of COUNTED) known[name] = precise(known[name] + figures[name]);
  if (known.basis !== basis)
    known.basis = known.basis === "reset" || basis === "reset" ? "reset" : "difference";
}

function idOf(key: string): string {
  const [database, , queryid] = key.split("/");
  return `${database}/${queryid}`;
}

/** Takes away what binary fractions add to the server's three digits. */
function precise(value: number): number {
  return Math.round(value * 1000) / 1000;
}
