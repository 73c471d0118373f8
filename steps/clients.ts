/** Clients that write as an application does, for step types that measure what a cluster does to them. */

import { PgdbaError, toPgdbaError } from "../engine/errors.ts";
import type { StepContext } from "../engine/types.ts";
import type { PgSession } from "../providers/postgres/session.ts";
import type {} from "../providers/target/access.ts";

/** A write, by whatever number its caller gave it. Times are monotonic, ms. */
export interface Write {
  id: number;
  due: number;
  sent: number;
  done: number;
}

export interface ClientsOptions<T> {
  /** Opens a connection that may write. `attempt` counts those of one client. */
  open(attempt: number): Promise<PgSession>;
  /** One transaction. It must have no timeout and no signal that reaches its COMMIT: who cancels that makes it a loss. */
  write(pg: PgSession, id: number): Promise<T>;
  /** The number of the write that is due now. */
  next(): number;
  /** One is due each so many ms, whatever became of those before. */
  everyMs: number;
  connections: number;
  /** How long one that is due waits for a connection that is free, ms. */
  patienceMs: number;
  /** A connection that has waited so long for an answer has another one put beside it, until there are three times as many; ms. */
  replaceMs?: number;
  ok(write: Write, result: T): void;
  /** It is known that it did not happen. */
  failed(write: Write, error: PgdbaError): void;
  /** Nobody knows whether it happened. */
  unknown(write: Write, error: PgdbaError): void;
  unsent(id: number, due: number): void;
  /** An attempt to connect failed. */
  refused(at: number, error: PgdbaError): void;
  /** The writes that were due could not be sent for so long, for this process stood still. */
  stalled?(at: number, ms: number): void;
}

/** How long it is waited before the next attempt to connect, ms. */
const AGAIN_MS = 20;
/** How long a write under way may take once no more are begun, ms. */
const LAST_MS = 2_000;
/** How many times as many connections there may be, and how long one that gives no answer is kept, ms. */
const MOST_TIMES = 3;
const GIVEN_UP_MS = 60_000;
const STALL_MS = 100;
/** A standby answers so: it was the primary when the connection was made. */
const READ_ONLY = "25006";

interface Due {
  id: number;
  due: number;
  /** When it was taken up: this process may have stood still before. */
  taken: number;
}

interface Busy {
  since: number;
  replaced: boolean;
  pg: PgSession;
}

/** Writes that are due by the clock and not by the end of the one before: what waits is measured from when it was due. */
export class Clients<T> {
  readonly #options: ClientsOptions<T>;
  readonly #over = new AbortController();
  readonly #clients = new Set<Promise<void>>();
  readonly #busy = new Set<Busy>();
  readonly #timer: Timer;
  #waiting: Due[] = [];
  #free: ((due: Due | null) => void)[] = [];
  #next: number;
  #ticked: number;

  constructor(options: ClientsOptions<T>) {
    this.#options = options;
    this.#next = this.#ticked = performance.now();
    for (let n = 0; n < options.connections; n++) this.#add();
    this.#timer = setInterval(() => this.#tick(), Math.min(options.everyMs, 10));
  }

  /** Begins no more, gives those under way a moment, and cuts them then: nobody knows of these. */
  async stop(): Promise<void> {
    if (!this.#over.signal.aborted) {
      this.#over.abort();
      clearInterval(this.#timer);
      for (const { id, due } of this.#waiting.splice(0)) this.#options.unsent(id, due);
      for (const free of this.#free.splice(0)) free(null);
    }
    const cut = setTimeout(() => {
      for (const { pg } of this.#busy) void pg.close();
    }, LAST_MS);
    await Promise.race([Promise.all(this.#clients), Bun.sleep(LAST_MS * 2)]);
    clearTimeout(cut);
  }

  #tick(): void {
    const { everyMs, patienceMs, replaceMs = Infinity, stalled } = this.#options;
    const now = performance.now();
    if (now - this.#ticked > STALL_MS) stalled?.(now, now - this.#ticked);
    this.#ticked = now;
    for (; this.#next <= now; this.#next += everyMs) {
      const due = { id: this.#options.next(), due: this.#next, taken: now };
      const free = this.#free.shift();
      if (free !== undefined) free(due);
      else this.#waiting.push(due);
    }
    while ((this.#waiting[0]?.taken ?? Infinity) + patienceMs <= now) {
      const { id, due } = this.#waiting.shift()!;
      this.#options.unsent(id, due);
    }
    for (const busy of this.#busy) {
      const waits = now - busy.since;
      if (waits > GIVEN_UP_MS) void busy.pg.close();
      const room = this.#clients.size < this.#options.connections * MOST_TIMES;
      if (busy.replaced || waits < replaceMs || !room) continue;
      busy.replaced = true;
      this.#add();
    }
  }

  #add(): void {
    const client = this.#run().finally(() => this.#clients.delete(client));
    this.#clients.add(client);
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    for (let attempt = 0; !signal.aborted; attempt++) {
      let pg: PgSession;
      try {
        pg = await this.#options.open(attempt);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.refused(performance.now(), toPgdbaError(error));
        await Bun.sleep(AGAIN_MS);
        continue;
      }
      try {
        while (pg.alive()) {
          const due = await this.#due();
          if (due === null) return;
          // It may have ended while nothing was due: the write goes to another one, or waits.
          if (!pg.alive()) {
            this.#again(due);
            break;
          }
          const busy = { since: performance.now(), replaced: false, pg };
          this.#busy.add(busy);
          const goOn = await this.#write(pg, due);
          this.#busy.delete(busy);
          if (busy.replaced) return;
          if (!goOn) break;
        }
      } finally {
        void pg.close().catch(() => {});
      }
    }
  }

  #due(): Promise<Due | null> | Due | null {
    if (this.#over.signal.aborted) return null;
    const first = this.#waiting.shift();
    if (first !== undefined) return first;
    return new Promise((free) => this.#free.push(free));
  }

  #again(due: Due): void {
    const free = this.#free.shift();
    if (free !== undefined) free(due);
    else if (this.#over.signal.aborted) this.#options.unsent(due.id, due.due);
    else this.#waiting.unshift(due);
  }

  /** @returns false when the connection is of no use any more */
  async #write(pg: PgSession, { id, due }: Due): Promise<boolean> {
    const { write, ok, failed, unknown } = this.#options;
    const sent = performance.now();
    const times = () => ({ id, due, sent, done: performance.now() });
    try {
      const result = await write(pg, id);
      ok(times(), result);
      return true;
    } catch (thrown) {
      const error = toPgdbaError(thrown);
      if (error.nothingDone === true) failed(times(), error);
      else unknown(times(), error);
      return pg.alive() && (pg.info.pooled || stateOf(error) !== READ_ONLY);
    }
  }
}

/** What a history says of an error: its SQLSTATE, or else its message. */
export function stateOf(error: PgdbaError): string {
  const { sqlstate } = (error.data ?? {}) as { sqlstate?: unknown };
  return typeof sqlstate === "string" ? sqlstate : error.message;
}

/** The PgBouncer that lets the role of the run in; null without one, and where none does, with a warning. */
export async function poolerFor(
  ctx: StepContext,
  who: string,
  timeoutMs: number,
): Promise<string | null> {
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("pgbouncer")) return null;
  const [first] = (await ctx.use("pgbouncer")).instances;
  if (first === undefined) return null;
  try {
    const postgres = await ctx.use("postgres");
    const pg = await postgres.open(undefined, { through: first.name, timeoutMs });
    await pg.close();
    return first.name;
  } catch (error) {
    ctx.signal.throwIfAborted();
    ctx.warn(
      `${who} can't go through ${first.name}, and goes to the members: ${toPgdbaError(error).message}`,
    );
    return null;
  }
}
