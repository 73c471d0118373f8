import type { Client } from "pg";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { type ConnectionSpec, connect, describe, destroy, requestCancel } from "./connect.ts";
import { fromPostgres, sqlstateOf } from "./errors.ts";
import { Pipeline } from "./pipeline.ts";
import { type QueryResult, Statement } from "./statement.ts";

export type { QueryResult } from "./statement.ts";

export interface QueryOptions {
  /** Rows kept; 10,000 without it. */
  maxRows?: number | undefined;
  /** Bytes of rows kept, as sent by the server; 16 MiB without it. */
  maxBytes?: number | undefined;
  /** Let a statement with more rows run to its end, dropping the rest. Otherwise it is left unfinished. */
  drain?: boolean | undefined;
  /** Milliseconds; the server cancels the statement then. Its own statement_timeout without it. */
  timeoutMs?: number | undefined;
  /** Milliseconds to wait for a lock. */
  lockTimeoutMs?: number | undefined;
  /** The statement changes something: when its connection is lost, nobody knows whether it happened. */
  changes?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface TransactionOptions {
  /** READ ONLY, and always rolled back. */
  readOnly: boolean;
  timeoutMs?: number | undefined;
  /** Milliseconds to wait for a lock. */
  lockTimeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Runs one statement, inside the transaction that it was given for. */
export type Run = (
  sql: string,
  values?: readonly unknown[],
  options?: Pick<QueryOptions, "maxRows" | "maxBytes" | "drain">,
) => Promise<QueryResult>;

export interface Batch {
  /** For each statement that ended: the first column of its rows, as text. */
  columns: (string | null)[][];
  error: PgdbaError | null;
}

/** A warning, notice or log line the server sent along. */
export interface Notice {
  severity: string;
  sqlstate: string;
  message: string;
}

export interface SessionInfo {
  /** `server_version_num`: 180004 is 18.4. */
  version_num: number;
  version: string;
  standby: boolean;
  superuser: boolean;
  pg_monitor: boolean;
  user: string;
  database: string;
  /** The backend's process id. */
  pid: number;
}

/** One connection. Statements wait for each other, so that parallel steps never meet inside one transaction. */
export interface PgSession {
  readonly info: SessionInfo;
  /** One statement on its own; it commits by itself. Several statements in one text are refused by the server. */
  query(sql: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult>;
  /**
   * A transaction of any number of statements.
   * @throws PgdbaError query_failed | timeout | insufficient_privilege | connection_failed | step_refused (a statement ended the
   *   transaction) | needs_operator (committed here, but the standbys that should confirm it have not, or the outcome is unknown)
   */
  transaction<T>(options: TransactionOptions, work: (run: Run) => Promise<T>): Promise<T>;
  /**
   * Many statements without binds in one round trip, in one READ ONLY transaction that is rolled back; the timeouts hold for each
   * of them. The first that fails ends the batch: `error` is its error, and `columns` holds those before it.
   * @throws PgdbaError connection_failed, or the signal's reason
   */
  readBatch(
    statements: readonly string[],
    options: Omit<TransactionOptions, "readOnly">,
  ): Promise<Batch>;
  /** Shown in pg_stat_activity; at most 63 bytes of it. */
  setApplicationName(name: string): Promise<void>;
  /** Takes what was sent along since the last call. */
  notices(): Notice[];
  /** False once the connection has ended, however it did. */
  alive(): boolean;
  close(): Promise<void>;
}

const MAX_ROWS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** Notices kept: a loop of RAISE NOTICE must not fill the memory. */
const MAX_NOTICES = 100;
/** How long a cancelled statement may take to end before its connection is cut. */
const CANCEL_GRACE_MS = 5000;
/** How much later than the server's own timeout we give up on it. */
const TIMEOUT_GRACE_MS = 2000;

// Steps read times and bytes as these styles have them, whatever the server or the role is set to.
const OPENING = `SET DateStyle = ISO; SET IntervalStyle = postgres; SET bytea_output = hex; SET client_min_messages = notice;
SELECT current_setting('server_version_num')::int AS version_num, current_setting('server_version') AS version,
  pg_is_in_recovery() AS standby, current_setting('is_superuser') = 'on' AS superuser, pg_has_role('pg_monitor', 'USAGE') AS pg_monitor,
  current_user::text AS "user", current_database()::text AS database, pg_backend_pid() AS pid`;

/** Opens a session. @throws PgdbaError as `connect` does */
export async function openSession(spec: ConnectionSpec): Promise<PgSession> {
  const client = await connect(spec);
  try {
    const results = (await client.query(OPENING)) as unknown as { rows: SessionInfo[] }[];
    const info = results.at(-1)?.rows[0];
    if (info === undefined)
      throw new PgdbaError("internal", "The server described itself with no row");
    return new Session(client, spec, info);
  } catch (error) {
    destroy(client);
    throw fromPostgres(error, `${describe(spec)} took the connection but not the first statement`);
  }
}

class Session implements PgSession {
  readonly info: SessionInfo;
  readonly #client: Client;
  readonly #spec: ConnectionSpec;
  #notices: Notice[] = [];
  #alive = true;
  /** The last of the queue; each waits for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  /** Timeouts that this session has set; undefined is the server's own. */
  #set: { statement_timeout: number | undefined; lock_timeout: number | undefined } = {
    statement_timeout: undefined,
    lock_timeout: undefined,
  };

  constructor(client: Client, spec: ConnectionSpec, info: SessionInfo) {
    this.#client = client;
    this.#spec = spec;
    this.info = info;
    client.on("end", () => (this.#alive = false));
    client.on("error", () => (this.#alive = false));
    client.on("notice", (notice) => {
      const { severity = "", code = "", message = "" } = notice;
      if (this.#notices.length < MAX_NOTICES)
        this.#notices.push({ severity, sqlstate: code, message });
    });
  }

  alive(): boolean {
    return this.#alive;
  }

  notices(): Notice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  async close(): Promise<void> {
    if (!this.#alive) return;
    this.#alive = false;
    const gone = new Promise<void>((done) => this.#client.once("end", done));
    this.#client.end().catch(() => {});
    await within(gone, 1000);
    destroy(this.#client);
  }

  setApplicationName(name: string): Promise<void> {
    // A byte beyond 63 would be cut by the server with a notice.
    const short = Buffer.from(name).subarray(0, 63).toString();
    return this.#exclusive(undefined, async () => {
      await this.#statement("SELECT set_config('application_name', $1, false)", [short], {});
    });
  }

  query(
    sql: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult> {
    return this.#exclusive(options.signal, async () => {
      await this.#control(this.#timeouts(options));
      let result: QueryResult;
      try {
        result = await this.#statement(sql, values, options);
      } catch (error) {
        throw options.changes === true && !this.#alive
          ? unknownOutcome("a statement", error)
          : error;
      }
      if (this.#client.getTransactionStatus() === "I") return result;
      await this.#control("ROLLBACK");
      throw new PgdbaError("step_refused", "The statement began a transaction", {
        hint: "A step is one statement; leave BEGIN out.",
      });
    });
  }

  /** The SET commands that make the session's own timeouts what `options` say; empty when they are. */
  #timeouts(options: Pick<QueryOptions, "timeoutMs" | "lockTimeoutMs">): string {
    const wanted = { statement_timeout: options.timeoutMs, lock_timeout: options.lockTimeoutMs };
    const changed = (["statement_timeout", "lock_timeout"] as const).filter(
      (name) => wanted[name] !== this.#set[name],
    );
    this.#set = wanted;
    return changed
      .map(
        (name) =>
          `SET ${name} = ${wanted[name] === undefined ? "DEFAULT" : milliseconds(wanted[name])}`,
      )
      .join("; ");
  }

  transaction<T>(options: TransactionOptions, work: (run: Run) => Promise<T>): Promise<T> {
    const { readOnly, timeoutMs, lockTimeoutMs, signal } = options;
    return this.#exclusive(signal, async () => {
      // Before BEGIN, or ROLLBACK would bring back what an earlier statement had set.
      await this.#control(this.#timeouts({}));
      await this.#control(
        [
          readOnly ? "BEGIN READ ONLY" : "BEGIN READ WRITE",
          ...(timeoutMs === undefined
            ? []
            : [`SET LOCAL statement_timeout = ${milliseconds(timeoutMs)}`]),
          ...(lockTimeoutMs === undefined
            ? []
            : [`SET LOCAL lock_timeout = ${milliseconds(lockTimeoutMs)}`]),
        ].join("; "),
      );
      let result: T;
      try {
        result = await work(async (sql, values = [], more = {}) => {
          const answer = await this.#statement(sql, values, { signal, timeoutMs, ...more });
          if (this.#client.getTransactionStatus() !== "T") throw endedTransaction();
          return answer;
        });
      } catch (error) {
        // The first error is the one to report; a connection that can't even roll back has done so by ending.
        await this.#control("ROLLBACK").catch(() => destroy(this.#client));
        throw error;
      }
      if (readOnly) await this.#control("ROLLBACK");
      else await this.#commit(signal);
      return result;
    });
  }

  readBatch(
    statements: readonly string[],
    options: Omit<TransactionOptions, "readOnly">,
  ): Promise<Batch> {
    const { timeoutMs, lockTimeoutMs, signal } = options;
    const opening = ["BEGIN READ ONLY"];
    if (timeoutMs !== undefined)
      opening.push(`SET LOCAL statement_timeout = ${milliseconds(timeoutMs)}`);
    if (lockTimeoutMs !== undefined)
      opening.push(`SET LOCAL lock_timeout = ${milliseconds(lockTimeoutMs)}`);
    return this.#exclusive(signal, async () => {
      await this.#control(this.#timeouts({}));
      const pipeline = new Pipeline([...opening, ...statements, "ROLLBACK"]);
      this.#client.query(pipeline);
      let error: PgdbaError | null = null;
      try {
        await this.#cancellable(
          signal,
          timeoutMs === undefined ? undefined : timeoutMs * statements.length,
          pipeline.done,
        );
      } catch (thrown) {
        error = thrown as PgdbaError;
        if (this.#alive) await this.#control("ROLLBACK").catch(() => destroy(this.#client));
        if (!this.#alive || signal?.aborted) throw error;
      }
      return {
        columns: pipeline.columns.slice(opening.length, opening.length + statements.length),
        error,
      };
    });
  }

  /**
   * A cancelled COMMIT is either undone (an error) or committed here and nowhere else (a warning); both are told apart below, so
   * that an abort may end a wait for a standby that never answers.
   */
  async #commit(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) {
      await this.#control("ROLLBACK");
      throw reasonOf(signal);
    }
    const kept = this.notices();
    try {
      await this.#cancellable(signal, undefined, this.#client.query("COMMIT"));
    } catch (error) {
      const state = sqlstateOf(error);
      if (state !== undefined && !state.startsWith("57P")) throw error;
      throw unknownOutcome("COMMIT", error);
    }
    const during = this.notices();
    this.#notices = [...kept, ...during];
    // SyncRepWaitForLSN in the server's syncrep.c: WARNING 01000 and then a COMMIT that looks like any other.
    if (during.some((notice) => notice.severity === "WARNING" && notice.sqlstate === "01000")) {
      throw new PgdbaError(
        "needs_operator",
        "The change is committed on this server but no standby has confirmed it",
        {
          hint: "Look at pg_stat_replication; the change would be lost in a failover now. Do not repeat it.",
          data: { sqlstate: "01000", outcome: "not_acknowledged" },
        },
      );
    }
  }

  /** Runs `work` when all before it have ended, so that nothing comes between the statements of a transaction. */
  #exclusive<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      if (signal?.aborted) throw reasonOf(signal);
      return work();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Statements of our own, made of constants and numbers. */
  async #control(sql: string): Promise<void> {
    if (sql === "") return;
    try {
      await this.#client.query(sql);
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #statement(
    sql: string,
    values: readonly unknown[],
    options: QueryOptions,
  ): Promise<QueryResult> {
    const { signal, timeoutMs } = options;
    if (signal?.aborted) throw reasonOf(signal);
    const statement = new Statement(sql, values, {
      maxRows: options.maxRows ?? MAX_ROWS,
      maxBytes: options.maxBytes ?? MAX_BYTES,
      drain: options.drain ?? false,
    });
    this.#client.query(statement);
    return this.#cancellable(signal, timeoutMs, statement.done);
  }

  /** Waits for a statement that is on its way; cancels it on abort, or when the server does not keep its own timeout. */
  async #cancellable<T>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    done: Promise<T>,
  ): Promise<T> {
    const stop = (): void => void this.#cancel(done);
    signal?.addEventListener("abort", stop, { once: true });
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs + TIMEOUT_GRACE_MS);
    try {
      return await done;
    } catch (error) {
      const known = this.#lost(error);
      throw signal?.aborted && known.code === "timeout" ? reasonOf(signal) : known;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  async #cancel(done: Promise<unknown>): Promise<void> {
    const { processID, secretKey } = this.#client as unknown as {
      processID: number;
      secretKey: number;
    };
    await requestCancel(this.#spec, processID, secretKey);
    if (!(await within(done, CANCEL_GRACE_MS))) destroy(this.#client);
  }

  #lost(error: unknown): PgdbaError {
    const known = fromPostgres(error, `The connection to ${describe(this.#spec)} was lost`);
    const state = sqlstateOf(known);
    // An SQLSTATE other than these came over a connection that stands.
    if (known.code === "connection_failed" && (state === undefined || state.startsWith("57P")))
      this.#alive = false;
    return known;
  }
}

/** True when `promise` settles, either way, within `ms`. */
async function within(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<boolean>((done) => {
    timer = setTimeout(() => done(false), ms);
  });
  const settled = promise.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, late]);
  clearTimeout(timer);
  return result;
}

/** A whole number of milliseconds that the server takes; it reads 0 as "none". */
function milliseconds(ms: number): number {
  return Math.min(2_147_483_647, Math.max(1, Math.ceil(ms)));
}

function reasonOf(signal: AbortSignal): PgdbaError {
  return toPgdbaError(signal.reason, "interrupted");
}

function endedTransaction(): PgdbaError {
  return new PgdbaError("step_refused", "The statement ended the transaction that it was run in", {
    hint: "Leave COMMIT and ROLLBACK out: a step commits by itself when it succeeds.",
  });
}

function unknownOutcome(during: string, cause: unknown): PgdbaError {
  return new PgdbaError(
    "needs_operator",
    `The connection was lost during ${during}: whether it happened is not known`,
    {
      hint: "Look on the server whether the change is there before running again.",
      cause,
      data: { sqlstate: sqlstateOf(cause) ?? null, outcome: "unknown" },
    },
  );
}
