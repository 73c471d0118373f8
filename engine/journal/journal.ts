import { Database } from "bun:sqlite";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import type { Effect, ErrorRecord, Json, RunStatus, StepResult } from "../types.ts";
import type { Holder } from "./holder.ts";
import {
  type Intent,
  type Phase,
  type RawRun,
  type RawStep,
  readRun,
  readStep,
  type RunHeader,
  type RunRow,
  type StepRow,
} from "./rows.ts";
import schema from "./schema.sql" with { type: "text" };

export type { Phase, RunRow, StepRow } from "./rows.ts";

/** How long another process may hold the database's write lock before we give up, ms. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * The durable record of runs, steps and locks: SQLite in the state folder, WAL, full sync, so that a commit survives
 * `kill -9` and a power cut. Every text is masked on the way in.
 * @throws PgdbaError journal_failed when it can't be written; nothing may act then.
 */
export class Journal {
  readonly db: Database;
  readonly #secrets: Secrets;

  constructor(stateDir: string, secrets: Secrets) {
    this.#secrets = secrets;
    this.db = guarded(() => {
      mkdirSync(stateDir, { recursive: true, mode: 0o700 });
      const file = join(stateDir, "journal.db");
      // Outputs are the operator's own business; SQLite gives its side files the same mode.
      closeSync(openSync(file, "a", 0o600));
      const db = new Database(file, { create: true });
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      const version = db.query<{ user_version: number }, []>("PRAGMA user_version").get();
      if (version?.user_version !== 1) {
        switchToWal(db);
        db.exec(schema);
        db.exec("PRAGMA user_version = 1");
      }
      db.exec("PRAGMA synchronous = FULL");
      return db;
    });
  }

  createRun(header: RunHeader): void {
    const row = this.#secrets.redactData(header);
    this.durably(() =>
      this.db
        .query(
          `INSERT INTO run (id, runbook, digest, docs, params, target, risk, plan, holder, status, started_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?)`,
        )
        .run(
          row.id,
          row.runbook,
          row.digest,
          JSON.stringify(header.docs),
          JSON.stringify(row.params),
          JSON.stringify(row.target),
          row.risk,
          row.plan ? 1 : 0,
          JSON.stringify(row.holder),
          row.started_at,
        ),
    );
  }

  /** Takes over an unfinished run for this process. @throws PgdbaError lock_held when another was quicker */
  adoptRun(id: string, holder: Holder, before: Holder): void {
    this.durably(() => {
      const done = this.db
        .query(
          "UPDATE run SET holder = ?, status = 'running', exit = NULL WHERE id = ? AND holder = ?",
        )
        .run(JSON.stringify(holder), id, JSON.stringify(before));
      if (done.changes === 1) return;
      throw new PgdbaError("lock_held", `Run ${id} was just taken over by another process`, {
        hint: "`pgdba runs` shows how it fares.",
      });
    });
  }

  markCancelled(id: string, signal: string): void {
    this.durably(() => this.db.query("UPDATE run SET cancelled = ? WHERE id = ?").run(signal, id));
  }

  finishRun(
    id: string,
    end: {
      status: RunStatus;
      exit: number;
      finished_at: string;
      duration_ms: number;
      output: Json;
      error: ErrorRecord | null;
    },
  ): void {
    this.durably(() =>
      this.db
        .query(
          `UPDATE run SET status = ?, exit = ?, finished_at = ?, duration_ms = ?, output = ?, error = ? WHERE id = ?`,
        )
        .run(
          end.status,
          end.exit,
          end.finished_at,
          end.duration_ms,
          this.#masked(end.output).text,
          end.error && this.#masked(end.error as unknown as Json).text,
          id,
        ),
    );
  }

  /** Writes that a step is about to act. Call inside `Lock.fenced` so that a lost lock stops it. */
  intent(run: string, intent: Intent): void {
    this.durably(() =>
      this.db
        .query(
          `INSERT INTO step (run, path, id, type, phase, status, input, undo, started_at)
           VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?)
           ON CONFLICT (run, path) DO UPDATE SET status = 'open', input = excluded.input, undo = excluded.undo`,
        )
        .run(
          run,
          intent.path,
          intent.id,
          intent.type,
          intent.phase,
          this.#masked(intent.input).text,
          intent.undo === null ? null : this.#masked(intent.undo).text,
          intent.started_at,
        ),
    );
  }

  /**
   * Writes how a step ended; the row is made when there was no intent (a `read` step). A read's outcome is safe from a crash of
   * this process at once, and from a power cut with the next intent, before anything can have acted on it: the log is
   * written in order. That spares the wait for the disk, most of the cost of a step.
   */
  outcome(
    run: string,
    step: {
      path: string;
      id: string;
      type: string;
      phase: Phase;
      effect: Effect;
      sensitive: boolean;
    },
    result: StepResult,
  ): void {
    const kept = step.sensitive ? { ...result, output: null } : result;
    const { text, changed } = this.#masked(kept as unknown as Json);
    const write = () =>
      this.db
        .query(
          `INSERT INTO step (run, path, id, type, phase, status, masked, result, started_at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (run, path) DO UPDATE SET status = excluded.status, masked = excluded.masked, result = excluded.result`,
        )
        .run(
          run,
          step.path,
          step.id,
          step.type,
          step.phase,
          result.status,
          changed || (step.sensitive && result.output !== null) ? 1 : 0,
          text,
          result.started_at,
        );
    if (step.effect === "change") this.durably(write);
    else {
      guarded(() => {
        this.#sync(false);
        write();
      });
    }
  }

  #synced = true;

  /** Runs a write whose commit waits for the disk. The mode can't change inside a transaction, so a whole one goes in here. */
  durably<T>(write: () => T): T {
    return guarded(() => {
      this.#sync(true);
      return write();
    });
  }

  #sync(full: boolean): void {
    if (this.#synced === full) return;
    this.db.exec(`PRAGMA synchronous = ${full ? "FULL" : "NORMAL"}`);
    this.#synced = full;
  }

  /** Marks every open step of a run as `unknown`: its process was told to stop at once. */
  markOpenUnknown(run: string): void {
    this.durably(() =>
      this.db
        .query("UPDATE step SET status = 'unknown' WHERE run = ? AND status = 'open'")
        .run(run),
    );
  }

  run(id: string): RunRow | undefined {
    const row = this.db.query<RawRun, [string]>("SELECT * FROM run WHERE id = ?").get(id);
    return row ? readRun(row) : undefined;
  }

  /** Newest first. */
  runs(limit: number): RunRow[] {
    return this.db
      .query<RawRun, [number]>("SELECT * FROM run ORDER BY started_at DESC, rowid DESC LIMIT ?")
      .all(limit)
      .map(readRun);
  }

  /** Runs that changed something, or were about to, and did not come to their end: at work, or dead. */
  unfinished(): { id: string; runbook: string; target: RunRow["target"]; holder: Holder }[] {
    return this.db
      .query<{ id: string; runbook: string; target: string; holder: string }, []>(
        "SELECT id, runbook, target, holder FROM run WHERE status = 'running' AND risk <> 'read'",
      )
      .all()
      .map((row) => ({
        id: row.id,
        runbook: row.runbook,
        target: JSON.parse(row.target) as RunRow["target"],
        holder: JSON.parse(row.holder) as Holder,
      }));
  }

  /** Ids that begin with `prefix`, for resolving a shortened one. */
  idsLike(prefix: string): string[] {
    return this.db
      .query<{ id: string }, [string, string]>(
        "SELECT id FROM run WHERE substr(id, 1, length(?)) = ? LIMIT 20",
      )
      .all(prefix, prefix)
      .map((row) => row.id);
  }

  steps(run: string): StepRow[] {
    return this.db
      .query<RawStep, [string]>("SELECT * FROM step WHERE run = ? ORDER BY seq")
      .all(run)
      .map(readStep);
  }

  close(): void {
    this.db.close();
  }

  #masked(value: Json): { text: string; changed: boolean } {
    const masked = this.#secrets.redactData(value);
    const text = JSON.stringify(masked);
    return { text, changed: masked !== value && text !== JSON.stringify(value) };
  }
}

/** SQLite does not wait here by itself: two engines that begin on a new state folder at once would get in each other's way. */
function switchToWal(db: Database): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      db.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (thrown) {
      if ((thrown as { code?: unknown }).code !== "SQLITE_BUSY" || performance.now() > deadline)
        throw thrown;
      Bun.sleepSync(5);
    }
  }
}

/** Runs a journal operation; whatever goes wrong is journal_failed, so that nothing acts unrecorded. */
function guarded<T>(operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (cause instanceof PgdbaError) throw cause;
    throw new PgdbaError("journal_failed", `The journal can't be used: ${reasonOf(cause)}`, {
      cause,
      hint: "Nothing acts without a journal. Free space on, or repair, the state folder (PGDBA_HOME), then run again.",
    });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
