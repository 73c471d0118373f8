import type { Database } from "bun:sqlite";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import type { Doc, Effect, ErrorRecord, Json, RunStatus, StepResult } from "../types.ts";
import { columnsOf, guarded, openForReading, openForWriting, openInMemory } from "./database.ts";
import { answersIn, recordAnswers } from "./answers.ts";
import { thaw } from "./docs.ts";
import { recordIntent } from "./intent.ts";
import type { Holder } from "./holder.ts";
import { AT_ONCE, recordSeen, type Saw, type Seen, seenIn, stepsIn } from "./seen.ts";
import {
  type Answer,
  damagedRecord,
  type DamagedRun,
  type Happened,
  type Intent,
  type Phase,
  type RawRun,
  readRun,
  readUnfinished,
  readStep,
  type RunHeader,
  type RunRow,
  type Said,
  type StepRow,
  type Unfinished,
} from "./rows.ts";

export type { Saw, Seen } from "./seen.ts";
export type { DamagedRun, Happened, Phase, RunRow, Said, StepRow } from "./rows.ts";

/**
 * The durable record of runs, steps and locks: SQLite in the state folder, WAL, full sync, so that a commit survives
 * `kill -9` and a power cut. Every text is masked on the way in.
 * @throws PgdbaError journal_failed when it can't be written; nothing may act then.
 */
export class Journal {
  readonly db: Database;
  readonly #secrets: Secrets;
  /** A run that changes nothing goes on without a record. */
  readonly #optional: boolean;
  #lost: string | null = null;

  constructor(
    stateDir: string,
    secrets: Secrets,
    open: { db: Database; lost?: string } = { db: openForWriting(stateDir) },
  ) {
    this.#secrets = secrets;
    this.db = open.db;
    this.#optional = open.lost !== undefined;
    this.#lost = open.lost || null;
  }

  /** For a run that changes nothing: it goes on where no journal can be had, and `lost` says why it is not on record. */
  static forReads(stateDir: string, secrets: Secrets): Journal {
    try {
      return new Journal(stateDir, secrets, { db: openForWriting(stateDir), lost: "" });
    } catch (error) {
      return new Journal(stateDir, secrets, { db: openInMemory(), lost: notRecorded(error) });
    }
  }

  /** For looking at what is there, also where nothing can be written. @throws PgdbaError journal_failed */
  static toLookAt(stateDir: string, secrets: Secrets): Journal {
    return new Journal(stateDir, secrets, { db: openForReading(stateDir) });
  }

  /** Why a run that changes nothing is not, or not wholly, on record; null while it is. */
  get lost(): string | null {
    return this.#lost;
  }

  createRun(header: RunHeader): void {
    // Ids and states stay as they are; documents and flags too, for what is masked could not be used again.
    const { target } = header;
    const view = this.#masked(header.view);
    const row = {
      ...header,
      params: this.#secrets.redactData(header.params),
      target: { ...target, name: this.#secrets.redact(target.name) },
    };
    this.#record(() =>
      this.db
        .query(
          `INSERT INTO run (id, runbook, digest, docs, params, target, risk, plan, holder, status, started_at, view, judged)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?)`,
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
          view === JSON.stringify(header.view) ? view : null,
          JSON.stringify(header.judged),
        ),
    );
  }

  /**
   * Takes over an unfinished run for this process, with what a person said of its open steps.
   * @throws PgdbaError lock_held when another was quicker
   */
  adoptRun(
    id: string,
    holder: Holder,
    before: Holder,
    answers?: { said: ReadonlyMap<string, Said>; at: string },
  ): void {
    const adopt = this.db.transaction(() => {
      const done = this.db
        .query(
          "UPDATE run SET holder = ?, status = 'running', exit = NULL WHERE id = ? AND holder = ?",
        )
        .run(JSON.stringify(holder), id, JSON.stringify(before));
      if (done.changes !== 1) {
        throw new PgdbaError("lock_held", `Run ${id} was just taken over by another process`, {
          hint: "`pgdba runs` shows its state.",
        });
      }
      if (answers) recordAnswers(this.db, id, { ...answers, holder });
    });
    this.durably(() => adopt.immediate());
  }

  /** The statements of people about steps of a run, oldest first. */
  answers(run: string): Answer[] {
    return guarded(() => answersIn(this.db, run));
  }

  markCancelled(id: string, signal: string): void {
    this.#record(() => this.db.query("UPDATE run SET cancelled = ? WHERE id = ?").run(signal, id));
  }

  /** Written before the first thing is taken back: a resumed run goes on with that, and begins nothing new. */
  beginUnwinding(id: string, error: ErrorRecord): void {
    this.#record(() =>
      this.db
        .query("UPDATE run SET unwinding = ? WHERE id = ?")
        .run(this.#masked(error as unknown as Json), id),
    );
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
    this.#record(() =>
      this.db
        .query(
          `UPDATE run SET status = ?, exit = ?, finished_at = ?, duration_ms = ?, output = ?, error = ? WHERE id = ?`,
        )
        .run(
          end.status,
          end.exit,
          end.finished_at,
          end.duration_ms,
          this.#masked(end.output),
          end.error && JSON.stringify(this.#secrets.redactRecord(end.error)),
          id,
        ),
    );
  }

  /** Writes that a step is about to act. Call inside `Lock.fenced` so that a lost lock stops it. */
  intent(run: string, intent: Intent): void {
    const input = this.#masked(intent.input);
    const undo = intent.undo === null ? null : this.#masked(intent.undo);
    this.durably(() => recordIntent(this.db, run, intent, { input, undo }));
  }

  /** Writes that an attempt has failed and the next one has not begun, so that nobody takes the step for under way. */
  betweenAttempts(
    run: string,
    path: string,
    { happened, attempts }: { happened: Happened; attempts: number },
  ): void {
    this.durably(() =>
      this.db
        .query(
          "UPDATE step SET status = 'retrying', happened = ?, attempts = ? WHERE run = ? AND path = ?",
        )
        .run(happened, attempts, run, path),
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
      happened: Happened;
    },
    result: StepResult,
  ): void {
    const kept = step.sensitive ? { ...result, output: null } : result;
    const masked = this.#secrets.redactRecord(kept);
    const text = JSON.stringify(masked);
    const changed = masked !== kept && text !== JSON.stringify(kept);
    const write = () =>
      this.db
        .query(
          `INSERT INTO step (run, path, id, type, phase, status, masked, result, started_at, happened)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (run, path) DO UPDATE SET status = excluded.status, masked = excluded.masked, result = excluded.result,
             happened = excluded.happened`,
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
          step.happened,
        );
    if (step.effect === "change") this.durably(write);
    else this.#record(write, false);
  }

  /** Writes what a run saw, which a resumed one goes by: safe from a power cut as the outcome of a read is, or `AT_ONCE`. */
  saw(run: string, path: string, what: Saw, value: Json): void {
    const masked = this.#secrets.redactRecord(value);
    this.#record(
      () => recordSeen(this.db, run, { path, what, value: masked }),
      AT_ONCE.includes(what),
    );
  }

  /** The things that a run saw, by path. */
  seen(run: string): Seen {
    return guarded(() => seenIn(this.db, run));
  }

  /** A write that need not wait for the disk: it is of no use after a power cut. */
  note(write: () => void): void {
    this.#record(write, false);
  }

  /** A write that only tells what happened: a run that changes nothing does without it. */
  #record(write: () => void, full = true): void {
    this.#unlessOptional(() => {
      this.#sync(full);
      write();
    });
  }

  #unlessOptional(operation: () => void): void {
    if (this.#lost !== null) return;
    try {
      guarded(operation);
    } catch (error) {
      if (!this.#optional) throw error;
      this.#lost = notRecorded(error);
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

  /** Marks steps that nobody can tell about any more: a person does. */
  markUnknown(run: string, paths: readonly string[]): void {
    const mark = this.db.query("UPDATE step SET status = 'unknown' WHERE run = ? AND path = ?");
    for (const path of paths) this.durably(() => mark.run(run, path));
  }

  /** Marks every open step of a run as `unknown`: its process was told to stop at once. */
  markOpenUnknown(run: string): void {
    const mark = "UPDATE step SET status = 'unknown' WHERE run = ? AND status = 'open'";
    this.#record(() => this.db.query(mark).run(run));
  }

  /** @throws PgdbaError journal_failed when its record is damaged, as all that read do when the whole journal is */
  run(id: string): RunRow | undefined {
    const row = guarded(() =>
      this.db.query<RawRun, [string]>(`SELECT ${this.#runColumns()} FROM run WHERE id = ?`).get(id),
    );
    const read = row && readRun(row);
    if (read && "damaged" in read) throw damagedRecord(`run ${id}`, read.damaged);
    return read ?? undefined;
  }

  #columns: string | undefined;

  /** All of a run but its documents, which are large. */
  #runColumns(): string {
    this.#columns ??= columnsOf(this.db, "run")
      .filter((name) => name !== "docs")
      .join(", ");
    return this.#columns;
  }

  /** The runbooks of a run as they were when it began, by name. @throws PgdbaError journal_failed when that is damaged */
  docs(run: string): Map<string, Doc> {
    const row = guarded(() =>
      this.db.query<{ docs: string }, [string]>("SELECT docs FROM run WHERE id = ?").get(run),
    );
    let docs: Map<string, Doc> | undefined;
    try {
      docs = thaw(JSON.parse(String(row?.docs ?? "{}")) as Json);
    } catch {
      // The text is no JSON.
    }
    if (docs) return docs;
    throw damagedRecord(`run ${run}`, ["docs"]);
  }

  /** Newest first. */
  runs(limit: number): (RunRow | DamagedRun)[] {
    return guarded(() =>
      this.db
        .query<RawRun, [number]>(
          `SELECT ${this.#runColumns()} FROM run ORDER BY started_at DESC, rowid DESC LIMIT ?`,
        )
        .all(limit),
    ).map(readRun);
  }

  /** Runs that changed something, or were about to, and have not ended: they are at work, or dead. `runs` lists damaged ones. */
  unfinished(): Unfinished[] {
    let rows: Pick<RawRun, keyof Unfinished>[] = [];
    this.#unlessOptional(() => {
      rows = this.db
        .query<Pick<RawRun, keyof Unfinished>, []>(
          "SELECT id, runbook, target, holder FROM run WHERE status = 'running' AND risk <> 'read'",
        )
        .all();
    });
    return rows.flatMap(readUnfinished);
  }

  /** Ids that begin with `prefix`, for resolving a shortened one; the newest first. */
  idsLike(prefix: string): string[] {
    return guarded(() =>
      this.db
        .query<{ id: string }, [string, string]>(
          "SELECT id FROM run WHERE substr(id, 1, length(?)) = ? ORDER BY id DESC",
        )
        .all(prefix, prefix),
    ).map((row) => row.id);
  }

  /** What a resumed run goes by. `past`: also what ended rounds of a runbook that watches have changed. */
  steps(run: string, { past = false } = {}): StepRow[] {
    return guarded(() => stepsIn(this.db, run, past)).map(readStep);
  }

  close(): void {
    this.db.close();
  }

  #masked(value: Json): string {
    return JSON.stringify(this.#secrets.redactData(value));
  }
}

function notRecorded(error: unknown): string {
  return `This run is not recorded; it changes nothing. ${toPgdbaError(error).message}`;
}
