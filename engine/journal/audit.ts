import type { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import { PgdbaError } from "../errors.ts";
import type { Json, JsonObject } from "../types.ts";
import { canonical } from "./canonical.ts";

/**
 * The audit: who ran and approved what, as a chain of hashes. The hash of an entry is SHA-256 over the hash before it, a line feed and the text of the
 * entry. It is no secret: whoever can write the journal can write a new chain, and only a head that was kept elsewhere, such as in an old
 * envelope, shows it.
 */
export interface AuditHead {
  /** The number of the entry, from 1. */
  entry: number;
  /** Its hash, in hexadecimal. */
  head: string;
}

export type AuditKind = "begins" | "earlier" | "began" | "resumed" | "ended" | "refused";

/** An entry without its number. `approval` stands in one entry of the chain alone: it works once. */
export interface AuditEntry {
  kind: AuditKind;
  /** ISO 8601. */
  at: string;
  run: string | null;
  approval?: string | null;
  about: JsonObject;
}

export interface RawEntry {
  seq: number;
  run: string | null;
  approval: string | null;
  entry: string;
  hash: string;
}

export function hashOf(before: string, entry: string): string {
  return sha256(`${before}\n${entry}`);
}

export function sha256(text: string | Uint8Array): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Puts an entry behind the last one. Call it inside the transaction that writes what it tells of: both are there, or neither.
 * @throws PgdbaError policy_refused for an approval that another entry has
 */
export function appendEntry(
  db: Database,
  { kind, at, run, approval = null, about }: AuditEntry,
): AuditHead {
  if (approval !== null) refuseUsed(db, approval);
  const last = db
    .query<{ seq: number; hash: string }, []>(
      "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1",
    )
    .get();
  const seq = (last?.seq ?? 0) + 1;
  const entry = canonical({ seq, kind, at, run, approval, about });
  const hash = hashOf(last?.hash ?? "", entry);
  db.query("INSERT INTO audit (seq, run, approval, entry, hash) VALUES (?, ?, ?, ?, ?)").run(
    seq,
    run,
    approval,
    entry,
    hash,
  );
  return { entry: seq, head: hash };
}

function refuseUsed(db: Database, approval: string): void {
  const used = db
    .query<{ run: string | null }, [string]>("SELECT run FROM audit WHERE approval = ?")
    .get(approval);
  if (used === null) return;
  throw new PgdbaError("policy_refused", `The approval ${approval} was used by run ${used.run}`, {
    hint: "An approval works once. Run the command without --approval, and another one is asked for.",
  });
}

/** The approvals by which a run began, and went on. */
export function approvalsOf(db: Database, run: string): string[] {
  return db
    .query<{ approval: string }, [string]>(
      "SELECT approval FROM audit WHERE run = ? AND approval IS NOT NULL ORDER BY seq",
    )
    .all(run)
    .map(({ approval }) => approval);
}

/** Begins the chain of a journal, with an entry for each run that no entry tells of: they are older than the chain. */
export function beginChain(db: Database, at: string): void {
  const runs = db
    .query<{ id: string; status: string }, []>(
      "SELECT id, status FROM run WHERE id NOT IN (SELECT run FROM audit WHERE run IS NOT NULL) ORDER BY rowid",
    )
    .all();
  if (db.query("SELECT 1 FROM audit LIMIT 1").get() === null) {
    const about = { journal: crypto.randomUUID(), earlier_runs: runs.length };
    appendEntry(db, { kind: "begins", at, run: null, about });
  }
  for (const { id, status } of runs) {
    // One that is open yet may still change.
    const ended = ["ok", "planned", "failed", "undone"].includes(status);
    const about = ended ? { ...digestOf(db, id), ...restOf(db, id) } : beginOf(db, id);
    appendEntry(db, { kind: "earlier", at, run: id, about: about ?? {} });
  }
}

/** What of a run stays as it was when it began, and how it ended. */
const BEGIN = "id, runbook, digest, params, target, risk, plan, started_at, view, judged, docs";
const END = "status, exit, finished_at, duration_ms, cancelled, unwinding, output, error";
const STEP =
  "path, id, type, phase, status, masked, input, undo, result, started_at, happened, assumed, attempts, input_digest, undo_digest";

/** The digest of how a run began; undefined when it is gone. */
export function beginOf(db: Database, run: string): { begin: string } | undefined {
  const begin = rowDigest(db, BEGIN, run);
  return begin === undefined ? undefined : { begin };
}

/** The same with how it ended. */
export function digestOf(db: Database, run: string): { begin: string; end: string } | undefined {
  const begin = rowDigest(db, BEGIN, run);
  const end = rowDigest(db, END, run);
  return begin === undefined || end === undefined ? undefined : { begin, end };
}

function rowDigest(db: Database, columns: string, run: string): string | undefined {
  const row = db.query<JsonObject, [string]>(`SELECT ${columns} FROM run WHERE id = ?`).get(run);
  return row === null ? undefined : sha256(canonical(row as Json));
}

/** What else is on record of a run that has ended: its steps, whose process it was, and what people said of open steps. */
export function restOf(db: Database, run: string): Record<Rest, string> {
  return {
    steps: digestOfRows(db, `SELECT ${STEP} FROM step WHERE run = ? ORDER BY path`, run),
    holder: digestOfRows(db, "SELECT holder FROM run WHERE id = ?", run),
    answers: digestOfRows(
      db,
      "SELECT path, said, at, holder FROM answer WHERE run = ? ORDER BY seq",
      run,
    ),
  };
}

/** In the entries of an older pgdba, only the steps. */
export type Rest = "steps" | "holder" | "answers";

function digestOfRows(db: Database, sql: string, run: string): string {
  const hash = createHash("sha256");
  for (const row of db.query<JsonObject, [string]>(sql).iterate(run))
    hash.update(`${canonical(row)}\n`);
  return hash.digest("hex");
}
