import type { Client, Submittable } from "pg";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { type ConnectionSpec, describe, destroy, requestCancel } from "./connect.ts";
import { fromPostgres, sqlstateOf } from "./errors.ts";

/** A warning, notice or log line the server sent along. */
export interface Notice {
  severity: string;
  sqlstate: string;
  message: string;
}

/** Notices kept: a loop of RAISE NOTICE must not fill the memory. */
const MAX_NOTICES = 100;
/** How long a cancelled statement may take to end before its connection is cut. */
const CANCEL_GRACE_MS = 5000;
/** We wait this much longer than the server's own timeout before we give up. */
const TIMEOUT_GRACE_MS = 2000;

/** The connection to one server process. It does one piece of work after the other, and each can be stopped. */
export class Channel {
  readonly #client: Client;
  readonly #spec: ConnectionSpec;
  #notices: Notice[] = [];
  #alive = true;
  /** A request to cancel that is on its way. */
  #cancelling: Promise<void> | undefined;
  /** The last of the queue; each waits for the one before. */
  #last: Promise<unknown> = Promise.resolve();
  #queued = 0;

  constructor(client: Client, spec: ConnectionSpec) {
    this.#client = client;
    this.#spec = spec;
    client.on("end", () => (this.#alive = false));
    client.on("error", () => (this.#alive = false));
    client.on("notice", (notice) => {
      const { severity = "", code = "", message = "" } = notice;
      if (this.#notices.length < MAX_NOTICES)
        this.#notices.push({ severity, sqlstate: code, message });
    });
  }

  /** False once the connection has ended, however it did. */
  get alive(): boolean {
    return this.#alive;
  }

  get busy(): boolean {
    return this.#queued > 0;
  }

  /** `I` outside a transaction, `T` inside one, `E` inside one that has failed. */
  get transactionStatus(): string | null {
    return this.#client.getTransactionStatus();
  }

  /** Takes what was sent along since the last call. */
  takeNotices(): Notice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  putBack(notices: Notice[]): void {
    this.#notices = notices;
  }

  /** Runs `work` when all before it have ended, so that nothing comes between the statements of a transaction. */
  exclusive<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    this.#queued += 1;
    const turn = this.#last.then(async () => {
      try {
        if (signal?.aborted) throw reasonOf(signal);
        if (!this.#alive) throw this.#ended();
        return await work();
      } finally {
        this.#queued -= 1;
      }
    });
    this.#last = turn.catch(() => {});
    return turn;
  }

  /** Statements of our own, made of constants and numbers; none when `sql` is empty. */
  async control(sql: string, signal?: AbortSignal, timeoutMs?: number): Promise<void> {
    if (sql !== "") await this.#cancellable(signal, timeoutMs, this.#client.query(sql));
  }

  /** Rolls back; a connection that can't even do that has done so by ending. */
  async rollback(): Promise<void> {
    await this.control("ROLLBACK").catch(() => this.#gone());
  }

  /** Learns whether the connection stands: the error that ended it comes before its end, and does not say so. */
  async settle(): Promise<void> {
    await this.control(";").catch(() => this.#gone());
  }

  #gone(): void {
    this.#alive = false;
    destroy(this.#client);
  }

  /** `timeoutMs` is the timeout that the server was given for it. @throws PgdbaError, or the signal's reason */
  send<T>(
    work: Submittable & { readonly done: Promise<T>; onHopeless?: (() => void) | undefined },
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ): Promise<T> {
    work.onHopeless = () => void this.#cancel(work.done, () => {});
    this.#client.query(work);
    return this.#cancellable(signal, timeoutMs, work.done);
  }

  async close(): Promise<void> {
    if (!this.#alive) return;
    this.#alive = false;
    const gone = new Promise<void>((done) => this.#client.once("end", done));
    this.#client.end().catch(() => {});
    await within(gone, 1000);
    destroy(this.#client);
  }

  /** Waits for what is on its way; cancels it on abort, or when the server does not keep its own timeout. */
  async #cancellable<T>(
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
    done: Promise<T>,
  ): Promise<T> {
    let cut = false;
    const stop = (): void => void this.#cancel(done, () => (cut = true));
    signal?.addEventListener("abort", stop, { once: true });
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs + TIMEOUT_GRACE_MS);
    try {
      return await done;
    } catch (error) {
      const known = this.#lost(error);
      // It was us who ended the connection, which then reads as if the server had.
      if (cut) throw signal?.aborted ? reasonOf(signal) : this.#silent(timeoutMs ?? 0, error);
      throw signal?.aborted && known.code === "timeout" ? reasonOf(signal) : known;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      // A late cancel request would cancel the next statement.
      await this.#cancelling;
    }
  }

  /** The connection ended while something waited for its turn: nothing of that was sent. */
  #ended(): PgdbaError {
    return new PgdbaError(
      "connection_failed",
      `The connection to ${describe(this.#spec)} had ended before this was sent`,
      {
        hint: "Look at the server's log for why; nothing was done, so it can be run again.",
        retryable: true,
        nothingDone: true,
      },
    );
  }

  #silent(timeoutMs: number, cause: unknown): PgdbaError {
    return new PgdbaError(
      "timeout",
      `${describe(this.#spec)} did not answer within the timeout of ${timeoutMs / 1000} s, nor when it was asked to cancel`,
      {
        hint: "The server hangs, or the network holds back its answers; look at its host (load, memory, storage) and its log.",
        retryable: true,
        cause,
      },
    );
  }

  async #cancel(done: Promise<unknown>, onCut: () => void): Promise<void> {
    const { processID, secretKey } = this.#client as unknown as {
      processID: number;
      secretKey: number;
    };
    this.#cancelling = requestCancel(this.#spec, processID, secretKey);
    await this.#cancelling;
    if (await within(done, CANCEL_GRACE_MS)) return;
    onCut();
    destroy(this.#client);
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

/** Why an aborted signal was, as an error of ours. */
export function reasonOf(signal: AbortSignal): PgdbaError {
  return toPgdbaError(signal.reason, "interrupted");
}
