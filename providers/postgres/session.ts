import { PgdbaError, withNothingDone } from "../../engine/errors.ts";
import { Channel, type Notice, reasonOf } from "./channel.ts";
import { commit, unknownOutcome } from "./commit.ts";
import { type ConnectionSpec, connect, describe, destroy } from "./connect.ts";
import { fromPostgres, isConflict, isUnconvertible } from "./errors.ts";
import { marked } from "./own.ts";
import { Pipeline } from "./pipeline.ts";
import { type QueryResult, Statement } from "./statement.ts";
import { begin, local, sessionWide, type Timeouts } from "./timeouts.ts";

export type { Notice } from "./channel.ts";
export type { QueryResult } from "./statement.ts";

export interface QueryOptions extends Timeouts {
  /** Rows kept; 10,000 without it. */
  maxRows?: number | undefined;
  /** Bytes of rows kept, as sent by the server; 16 MiB without it. */
  maxBytes?: number | undefined;
  /** Let a statement with more rows run to its end, dropping the rest, as one that `changes` always does. Otherwise it is left unfinished. */
  drain?: boolean | undefined;
  /** The statement changes something: when its connection is lost, nobody knows whether it happened. Runs alone. */
  changes?: boolean | undefined;
  /** The command can't run in a transaction, nor along with anything of ours. */
  alone?: boolean | undefined;
  /** In a READ ONLY transaction. Not for one that `changes` or runs `alone`. */
  readOnly?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export type AskOptions = Omit<QueryOptions, "changes" | "alone">;

export interface TransactionOptions extends Timeouts {
  /** READ ONLY, and always rolled back. */
  readOnly: boolean;
  /** False for questions about catalogues: without compiling them. */
  jit?: false | undefined;
  /** False where an index may be damaged: tables are read from end to end. */
  indexes?: false | undefined;
  /** All its statements see the rows of one moment. */
  repeatable?: true | undefined;
  signal?: AbortSignal | undefined;
}

/** Runs one statement, inside the transaction that it was given for. */
export type Run = (
  sql: string,
  values?: readonly unknown[],
  options?: Pick<QueryOptions, "maxRows" | "maxBytes" | "drain" | "signal">,
) => Promise<QueryResult>;

export interface Batch {
  /** For each statement that ended: the first column of its rows, as text. */
  columns: (string | null)[][];
  error: PgdbaError | null;
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
  /** The database's. In SQL_ASCII a text may be any bytes. */
  encoding: string;
  /** A pooler stands between, and may give each transaction another backend: nothing is kept in the session. */
  pooled: boolean;
}

/** One connection. Statements wait for each other, so that parallel steps never meet inside one transaction. */
export interface PgSession {
  readonly info: SessionInfo;
  /** Runs one statement by itself; it commits at once. The server refuses several statements in one text. */
  query(sql: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult>;
  /** A question of our own about catalogues and statistics: marked as such, and unqualified names are the server's own. */
  ask(sql: string, values?: readonly unknown[], options?: AskOptions): Promise<QueryResult>;
  /**
   * A transaction of any number of statements.
   * @throws PgdbaError query_failed | timeout | insufficient_privilege | connection_failed | step_refused (a statement ended the
   *   transaction) | needs_operator (committed here, but the standbys that should confirm it have not, or the outcome is unknown)
   */
  transaction<T>(options: TransactionOptions, work: (run: Run) => Promise<T>): Promise<T>;
  /**
   * Many statements without binds in one round trip, in one READ ONLY transaction that is rolled back; the timeouts hold for each
   * of them. The first that fails ends the batch: `error` is its error, and `columns` holds those before it. A conflict with replay
   * may have ended the session.
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
  /** True while a statement is under way or waits for its turn. */
  busy(): boolean;
  close(): Promise<void>;
}

const MAX_ROWS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
const OPENING = `SELECT /* pgdba */ current_setting('server_version_num')::int AS version_num, current_setting('server_version') AS version,
  pg_is_in_recovery() AS standby, current_setting('is_superuser') = 'on' AS superuser, pg_has_role('pg_monitor', 'USAGE') AS pg_monitor,
  current_user::text AS "user", current_database()::text AS database, pg_backend_pid() AS pid,
  current_setting('server_encoding') AS encoding`;

/** Opens a session. @throws PgdbaError as `connect` does */
export async function openSession(spec: ConnectionSpec): Promise<PgSession> {
  const client = await connect(spec).catch((error: unknown) => {
    throw nothingDone(error);
  });
  try {
    const [info] = (await client.query(OPENING)).rows as Omit<SessionInfo, "pooled">[];
    if (info === undefined)
      throw new PgdbaError("internal", "The server described itself with no row");
    // A pooler makes up the process id that it gives to its clients.
    const pooled = (client as unknown as { processID: number }).processID !== info.pid;
    return new Session(new Channel(client, spec), { ...info, pooled });
  } catch (error) {
    destroy(client);
    throw nothingDone(
      fromPostgres(error, `${describe(spec)} took the connection but not the first statement`),
    );
  }
}

class Session implements PgSession {
  readonly info: SessionInfo;
  readonly #channel: Channel;

  constructor(channel: Channel, info: SessionInfo) {
    this.#channel = channel;
    this.info = info;
  }

  alive(): boolean {
    return this.#channel.alive;
  }

  busy(): boolean {
    return this.#channel.busy;
  }

  notices(): Notice[] {
    return this.#channel.takeNotices();
  }

  close(): Promise<void> {
    return this.#channel.close();
  }

  setApplicationName(name: string): Promise<void> {
    // A byte beyond 63 would be cut by the server with a notice.
    const short = Buffer.from(name).subarray(0, 63).toString();
    return this.#channel.exclusive(undefined, async () => {
      await this.#statement(
        "SELECT /* pgdba */ pg_catalog.set_config('application_name', $1, false)",
        [short],
        {},
      );
    });
  }

  ask(
    sql: string,
    values: readonly unknown[] = [],
    options: AskOptions = {},
  ): Promise<QueryResult> {
    return this.#query(marked(sql), values, options, true);
  }

  query(
    sql: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult> {
    return this.#query(sql, values, options, false);
  }

  #query(
    sql: string,
    values: readonly unknown[],
    options: QueryOptions,
    own: boolean,
  ): Promise<QueryResult> {
    const channel = this.#channel;
    const { changes = false, alone = changes, timeoutMs } = options;
    // Behind a pooler a session's timeouts would stay with somebody else: there we cancel the command ourselves.
    const { set, reset } = sessionWide(alone && !this.info.pooled ? options : {});
    return channel.exclusive(options.signal, async () => {
      await channel.control(set, undefined, timeoutMs).catch((error: unknown) => {
        throw nothingDone(error);
      });
      try {
        const once = (raw: boolean): Promise<QueryResult> => {
          const before = alone ? undefined : local({ ...options, own, raw });
          return this.#statement(sql, values, options, before);
        };
        const result = await once(this.#raw).catch((error: unknown) => {
          // The transaction was rolled back, so it can be asked again.
          if (alone || this.#raw || !isUnconvertible(error)) throw error;
          return once(true);
        });
        if (channel.transactionStatus === "I") return result;
      } catch (error) {
        throw changes && !channel.alive ? unknownOutcome("a statement", error) : error;
      } finally {
        if (channel.alive && channel.transactionStatus !== "I") await channel.rollback();
        if (channel.alive) await channel.control(reset);
      }
      throw new PgdbaError("step_refused", "The statement began a transaction", {
        hint: "A step is one statement; leave BEGIN out.",
      });
    });
  }

  async transaction<T>(options: TransactionOptions, work: (run: Run) => Promise<T>): Promise<T> {
    const { readOnly, timeoutMs, signal } = options;
    const channel = this.#channel;
    let begun = false;
    const whole = channel.exclusive(signal, async () => {
      const manner = { ...options, raw: this.#raw };
      const opening = begin(readOnly ? "READ ONLY" : "READ WRITE", manner).join("; ");
      await channel.control(opening, undefined, timeoutMs);
      let result: T;
      try {
        result = await work(async (sql, values = [], more = {}) => {
          begun = true;
          const answer = await this.#statement(sql, values, { signal, timeoutMs, ...more });
          if (channel.transactionStatus !== "T") throw endedTransaction();
          return answer;
        });
      } catch (error) {
        await channel.rollback(); // the first error is the one to report
        throw nothingDone(error, channel.transactionStatus === "I" && channel.alive);
      }
      if (readOnly) await channel.control("ROLLBACK");
      else await commit(channel, signal);
      return result;
    });
    return whole.catch((error: unknown) => {
      throw begun ? error : nothingDone(error);
    });
  }

  readBatch(
    statements: readonly string[],
    options: Omit<TransactionOptions, "readOnly">,
  ): Promise<Batch> {
    return this.#channel.exclusive(options.signal, async () => {
      const batch = await this.#batch(statements, options, this.#raw);
      if (this.#raw || !isUnconvertible(batch.error)) return batch;
      const again = await this.#batch(statements, options, true);
      return again.columns.length > batch.columns.length ? again : batch;
    });
  }

  async #batch(
    statements: readonly string[],
    options: Omit<TransactionOptions, "readOnly">,
    raw: boolean,
  ): Promise<Batch> {
    const { timeoutMs, signal } = options;
    const channel = this.#channel;
    const opening = begin("READ ONLY", { ...options, raw });
    const pipeline = new Pipeline([...opening, ...statements.map(marked), "ROLLBACK"]);
    let error: PgdbaError | null = null;
    try {
      const total = timeoutMs === undefined ? undefined : timeoutMs * statements.length;
      await channel.send(pipeline, signal, total);
    } catch (thrown) {
      error = thrown as PgdbaError;
      if (channel.alive) await channel.rollback();
      // What was answered before replay on a standby ended the session is answered.
      if (signal?.aborted || (!channel.alive && !isConflict(error))) throw error;
    }
    return {
      columns: pipeline.columns.slice(opening.length, opening.length + statements.length),
      error,
    };
  }

  /** In a database of encoding SQL_ASCII a text may be any bytes: a single one that is not UTF-8 would make the server refuse all. */
  get #raw(): boolean {
    return this.info.encoding === "SQL_ASCII";
  }

  async #statement(
    sql: string,
    values: readonly unknown[],
    options: QueryOptions,
    before?: string,
  ): Promise<QueryResult> {
    const { signal, timeoutMs, maxRows = MAX_ROWS, maxBytes = MAX_BYTES } = options;
    const { drain = options.changes === true } = options;
    if (signal?.aborted) throw nothingDone(reasonOf(signal));
    const statement = new Statement(sql, values, { maxRows, maxBytes, drain }, before);
    try {
      return await this.#channel.send(statement, signal, timeoutMs);
    } catch (error) {
      if (isConflict(error) && this.#channel.transactionStatus === "I")
        await this.#channel.settle();
      // Refused when it was parsed, or while it waited for that: the server did not begin it.
      throw nothingDone(error, !statement.accepted && this.#channel.alive);
    }
  }
}

/** The error with what is known of the statement, or of the transaction, that it is about. */
function nothingDone(error: unknown, known = true): unknown {
  return error instanceof PgdbaError ? withNothingDone(error, known) : error;
}

function endedTransaction(): PgdbaError {
  return new PgdbaError("step_refused", "The statement ended the transaction that it was run in", {
    hint: "Leave COMMIT and ROLLBACK out: a step commits by itself when it succeeds.",
  });
}
