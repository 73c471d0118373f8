import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

/** A write that the server has acknowledged. */
interface Ack {
  at: number;
  xid: string;
  timeline: number;
  lsn: bigint;
}

export interface Measured {
  acknowledged: Ack[];
  /** It is known that they did not happen. */
  failed: number;
  /** Nobody knows whether they happened: the connection broke at the wrong moment. */
  unknown: number;
  /** Attempts to connect that failed. */
  refused: number;
  errors: Map<string, number>;
  /** Monotonic, ms. */
  began: number;
  ended: number;
}

/** How often it writes, and how long it waits before it connects again, ms. */
const EVERY_MS = 10;
const AGAIN_MS = 20;
/** How long a write under way may take once nobody waits for it any more, ms. */
const LAST_MS = 2_000;
/** More are measured and not kept. */
const MOST = 200_000;

const WRITE = `SELECT pg_current_xact_id()::text AS xid, pg_logical_emit_message(true, 'pgdba', 'probe')::text AS lsn,
  ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline`;

/** A client of the cluster that commits small transactions, one after the other, and keeps what became of each. They leave nothing in any table. */
export class Writer {
  readonly #open: (attempt: number) => Promise<PgSession>;
  readonly #parse: (lsn: string) => bigint;
  readonly #over = new AbortController();
  readonly #loop: Promise<void>;
  readonly #measured: Measured;
  readonly #first = Promise.withResolvers<number>();

  constructor(open: (attempt: number) => Promise<PgSession>, parse: (lsn: string) => bigint) {
    this.#open = open;
    this.#parse = parse;
    this.#measured = {
      acknowledged: [],
      failed: 0,
      unknown: 0,
      refused: 0,
      errors: new Map(),
      began: performance.now(),
      ended: 0,
    };
    this.#loop = this.#run();
  }

  /**
   * Waits for the first acknowledged write, from which on it measures.
   * @returns false when none came in `ms`: what is measured begins before it then
   */
  async first(ms: number): Promise<boolean> {
    const at = await Promise.race([this.#first.promise, Bun.sleep(ms)]);
    if (at !== undefined) this.#measured.began = at;
    return at !== undefined;
  }

  async stop(): Promise<Measured> {
    if (!this.#over.signal.aborted) {
      this.#over.abort();
      this.#measured.ended = performance.now();
    }
    await Promise.race([this.#loop, Bun.sleep(LAST_MS)]);
    return this.#measured;
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#over.signal.aborted; attempt++) {
      let pg: PgSession;
      try {
        pg = await this.#open(attempt);
      } catch (error) {
        if (this.#over.signal.aborted) return;
        this.#measured.refused += 1;
        this.#note(error);
        await Bun.sleep(AGAIN_MS);
        continue;
      }
      try {
        while (!this.#over.signal.aborted && pg.alive()) {
          const began = performance.now();
          await this.#write(pg);
          await Bun.sleep(Math.max(0, EVERY_MS - (performance.now() - began)));
        }
      } finally {
        await pg.close().catch(() => {});
      }
    }
  }

  async #write(pg: PgSession): Promise<void> {
    const { acknowledged } = this.#measured;
    try {
      const { rows } = await pg.transaction({ readOnly: false }, (run) => run(WRITE));
      const { xid, lsn, timeline } = rows[0]!;
      const ack = {
        at: performance.now(),
        xid: String(xid),
        timeline: Number(timeline),
        lsn: this.#parse(String(lsn)),
      };
      this.#first.resolve(ack.at);
      if (acknowledged.length < MOST) acknowledged.push(ack);
      else acknowledged[MOST - 1] = ack;
    } catch (error) {
      // One that was under way when nobody wanted to know any more says nothing of the cluster.
      if (this.#over.signal.aborted) return;
      const known = error instanceof PgdbaError && error.nothingDone === true;
      this.#measured[known ? "failed" : "unknown"] += 1;
      this.#note(error);
      if (pg.alive()) await Bun.sleep(AGAIN_MS);
    }
  }

  #note(error: unknown): void {
    const { message } = toPgdbaError(error);
    const { errors } = this.#measured;
    if (errors.size < 20 || errors.has(message))
      errors.set(message, (errors.get(message) ?? 0) + 1);
  }
}

/** The longest time without an acknowledged write, and when it began, ms since it measures. */
export function longestGap({ acknowledged, began, ended }: Measured): { ms: number; at: number } {
  const times = [...acknowledged.map(({ at }) => at), ended].filter((at) => at <= ended);
  let gap = { ms: 0, at: 0 };
  let last = began;
  for (const at of times) {
    if (at - last > gap.ms) gap = { ms: at - last, at: last - began };
    last = at;
  }
  return gap;
}

/** The acknowledged writes that were on a timeline which ended before them. `forks`: where each timeline ended. */
export function beyondForks(
  acknowledged: readonly Ack[],
  forks: ReadonlyMap<number, bigint>,
): Ack[] {
  return acknowledged.filter(({ timeline, lsn }) => {
    const end = forks.get(timeline);
    return end !== undefined && lsn >= end;
  });
}
