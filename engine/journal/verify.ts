import type { Database } from "bun:sqlite";
import { digestOf, hashOf, type RawEntry, type Rest, restOf } from "./audit.ts";
import { guarded, hadAudit, hasTable } from "./database.ts";
import type { JsonObject } from "../types.ts";

export interface Audit {
  /** The number of entries. */
  entries: number;
  /** The hash of the last one; null before the first. */
  head: string | null;
  /** When the chain began, ISO 8601. */
  since: string | null;
  /** The entry whose head was asked for; null when it is not in the chain. Undefined when none was. */
  found?: { entry: number; at: string; run: string | null } | null;
  /** What does not fit, in words: at most `MAX_TOLD`, and the number of all. */
  problems: string[];
  count: number;
}

/** Problems that are told by name. */
const MAX_TOLD = 50;

/** The last that the chain tells of a run. */
interface Last {
  seq: number;
  about: JsonObject;
}

/**
 * Goes through the whole audit: each hash, each number, and whether the runs and their steps are still as the chain tells. `head`: a hash that must
 * be in it, or its beginning. @throws PgdbaError journal_failed when the journal can't be read
 */
export function verifyAudit(db: Database, head?: string): Audit {
  if (!guarded(() => hasTable(db, "audit"))) {
    if (!guarded(() => hadAudit(db))) return nothing(head);
    return {
      ...nothing(head),
      problems: ["All of the audit is gone: its table was removed"],
      count: 1,
    };
  }
  // All of it is read as it was at one moment, whatever others write meanwhile.
  return guarded(() => db.transaction(() => verified(db, head)).deferred());
}

/** The entries that tell of a run, oldest first. */
export function auditOf(db: Database, run: string): JsonObject[] {
  return guarded(() => {
    if (!hasTable(db, "audit")) return [];
    return db
      .query<RawEntry, [string]>("SELECT * FROM audit WHERE run = ? ORDER BY seq")
      .all(run)
      .map(({ seq, entry, hash }) => {
        const { kind = null, at = null, approval = null, about } = read(entry) ?? {};
        return { entry: seq, kind, at, approval, about: about ?? null, head: hash };
      });
  });
}

function nothing(head: string | undefined): Audit {
  const found = head === undefined ? {} : { found: null };
  return { entries: 0, head: null, since: null, ...found, problems: [], count: 0 };
}

function verified(db: Database, wanted: string | undefined): Audit {
  const audit = nothing(wanted);
  const problem = (text: string): void => {
    audit.count += 1;
    if (audit.problems.length < MAX_TOLD) audit.problems.push(text);
  };
  const runs = new Map<string, Last>();
  let before = "";
  const rows = db.query<RawEntry, []>(
    "SELECT seq, run, approval, entry, hash FROM audit ORDER BY seq",
  );
  for (const row of rows.iterate()) {
    audit.entries += 1;
    if (row.seq !== audit.entries && audit.count === 0)
      problem(`After entry ${audit.entries - 1} comes ${row.seq}: what stood between was deleted`);
    const entry = read(row.entry);
    if (hashOf(before, row.entry) !== row.hash)
      problem(
        `The hash of entry ${row.seq} does not fit: it, or one before it, was rewritten, deleted or inserted`,
      );
    else if (!isSame(entry, row))
      problem(`The row of entry ${row.seq} does not say what the entry says`);
    before = row.hash;
    const kind = String(entry?.["kind"]);
    const at = String(entry?.["at"]);
    if (audit.entries === 1) {
      audit.since = at;
      if (kind !== "begins")
        problem("The first entry does not begin a chain: what stood before was deleted");
    }
    if (wanted !== undefined && row.hash.startsWith(wanted))
      audit.found = { entry: row.seq, at, run: row.run };
    if (row.run !== null) runs.set(row.run, lastOf(runs.get(row.run), row.seq, entry));
  }
  audit.head = before === "" ? null : before;
  checkRuns(db, runs, problem);
  return audit;
}

/** How a run began is told once; an entry that does not tell it again keeps it. One that was refused has changed nothing. */
function lastOf(known: Last | undefined, seq: number, entry: JsonObject | undefined): Last {
  if (known !== undefined && entry?.["kind"] === "refused") return known;
  const { begin } = known?.about ?? {};
  const kept = begin === undefined ? {} : { begin };
  return { seq, about: { ...kept, ...(entry?.["about"] as JsonObject | undefined) } };
}

function checkRuns(
  db: Database,
  runs: ReadonlyMap<string, Last>,
  problem: (text: string) => void,
): void {
  for (const [run, { seq, about }] of runs) {
    const now = digestOf(db, run);
    if (now === undefined) problem(`Run ${run} is gone; entry ${seq} tells of it`);
    else if (about["begin"] !== undefined && about["begin"] !== now.begin)
      problem(`Run ${run} was rewritten: it did not begin as its record says`);
    else if (about["end"] !== undefined && about["end"] !== now.end)
      problem(`Run ${run} was rewritten: it did not end as its record says`);
    else checkRest(run, about, restOf(db, run), problem);
  }
  const rows = db.query<{ id: string }, []>("SELECT id FROM run ORDER BY rowid");
  for (const { id } of rows.iterate())
    if (!runs.has(id))
      problem(`Run ${id} was inserted, or its entries deleted: no entry tells of it`);
}

const REST: Record<Rest, string> = {
  steps: "The steps",
  holder: "User, machine and process",
  answers: "What people said of the steps",
};

function checkRest(
  run: string,
  about: JsonObject,
  now: Record<Rest, string>,
  problem: (text: string) => void,
): void {
  for (const [what, words] of Object.entries(REST) as [Rest, string][])
    if (about[what] !== undefined && about[what] !== now[what])
      problem(`${words} of run ${run} were rewritten, deleted or inserted`);
}

function read(text: string): JsonObject | undefined {
  try {
    const entry = JSON.parse(text) as unknown;
    return entry !== null && typeof entry === "object" ? (entry as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

function isSame(entry: JsonObject | undefined, { seq, run, approval }: RawEntry): boolean {
  return entry?.["seq"] === seq && entry["run"] === run && entry["approval"] === approval;
}
