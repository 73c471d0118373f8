import type { Database } from "bun:sqlite";
import { toPgdbaError } from "../errors.ts";
import type { Secrets } from "../secrets.ts";
import type { Doc, Effect, ErrorRecord, Json, RunStatus, StepResult } from "../types.ts";
import { columnsOf, guarded, openForReading, openForWriting, openInMemory } from "./database.ts";
import { answersIn, recordAnswers, type Resumed, resumedBy } from "./answers.ts";
import { appendEntry, type AuditEntry, type AuditHead } from "./audit.ts";
import { thaw } from "./docs.ts";
import { recordIntent } from "./intent.ts";
import { changeHolder, endRun, insertRun, markOpen } from "./run-writes.ts";
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
  firstOf,
  readRun,
  readUnfinished,
  readStep,
  type RunHeader,
  type RunRow,
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
  #audited: AuditHead | null = null;

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

  /** Also where nothing can be written. @throws PgdbaError journal_failed */
  static toLookAt(stateDir: string, secrets: Secrets): Journal {
    return new Journal(stateDir, secrets, { db: openForReading(stateDir) });
  }

  /** Why a run that changes nothing is not, or not wholly, on record; null while it is. */
  get lost(): string | null {
    return this.#lost;
  }

  /** The last entry of the audit that this process wrote; null before the first, and where nothing is on record. */
  get audited(): AuditHead | null {
    return this.#audited;
  }

  /** Puts something into the audit that is told of no run: a refusal, or that an approval was asked for. */
  audit(entry: AuditEntry): void {
    this.#record(() => this.#withEntry(() => entry));
  }

  /** Does a write and puts its entry into the audit: both are there, or neither. */
  #withEntry(write: () => AuditEntry | null): void {
    const both = this.db.transaction(() => {
      const entry = write();
      if (entry === null) return this.#audited;
      return appendEntry(this.db, { ...entry, about: this.#secrets.redactRecord(entry.about) });
    });
    this.#audited = both.immediate();
  }

  /**
   * Writes that a run begins, and its entry of the audit.
   * @throws PgdbaError policy_refused when its approval has been used
   */
  createRun(header: RunHeader): void {
    // Ids and states stay as they are; documents and flags too, for what is masked could not be used again.
    const { target } = header;
    const view = this.#masked(header.view);
    const params = this.#secrets.redactData(header.params);
    const row = {
      ...header,
      params,
      target: { ...target, name: this.#secrets.redact(target.name) },
    };
    const seen = view === JSON.stringify(header.view) ? view : null;
    this.#record(() => this.#withEntry(() => insertRun(this.db, row, seen)));
  }

  /**
   * Takes over an unfinished run for this process, with what a person said of its open steps.
   * @throws PgdbaError lock_held when another was quicker
   */
  adoptRun(id: string, holder: Holder, before: Holder, answers?: Resumed): void {
    this.durably(() =>
      this.#withEntry(() => {
        changeHolder(this.db, id, holder, before);
        if (!answers) return null;
        recordAnswers(this.db, id, { ...answers, holder });
        const { at, approval = null } = answers;
        return { kind: "resumed", at, run: id, approval, about: resumedBy(holder, answers) };
      }),
    );
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
      /** False when steps may be writing yet: then the audit tells nothing of them. */
      steps?: boolean;
    },
  ): void {
    const { steps = true, ...row } = end;
    const output = this.#masked(end.output);
    const error = end.error && JSON.stringify(this.#secrets.redactRecord(end.error));
    this.#record(() =>
      this.#withEntry(() => endRun(this.db, id, { ...row, output, error, steps })),
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
    return guarded(() => (this.#sync(true), write()));
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
    this.#record(() => markOpen(this.db, run));
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
  runs(
    limit: number,
    fits: (run: RunRow | DamagedRun) => boolean = () => true,
  ): (RunRow | DamagedRun)[] {
    const newest = `SELECT ${this.#runColumns()} FROM run ORDER BY started_at DESC, rowid DESC`;
    const rows = this.db.query<RawRun, []>(newest);
    return guarded(() => firstOf(rows.iterate(), limit, fits));
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
