import type { PgSession } from "../../../providers/postgres/session.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import { Clients } from "../../clients.ts";

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

/** How often it writes, ms. */
const EVERY_MS = 10;
/** More are measured and not kept. */
const MOST = 200_000;

const WRITE = `SELECT pg_current_xact_id()::text AS xid, pg_logical_emit_message(true, 'pgdba', 'probe')::text AS lsn,
  ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline`;

/** A client of the cluster that commits small transactions, one after the other, and keeps what became of each. They leave nothing in any table. */
export class Writer {
  readonly #clients: Clients<Record<string, unknown>>;
  readonly #measured: Measured;
  readonly #first = Promise.withResolvers<number>();
  #over = false;

  constructor(open: (attempt: number) => Promise<PgSession>, parse: (lsn: string) => bigint) {
    const measured: Measured = {
      acknowledged: [],
      failed: 0,
      unknown: 0,
      refused: 0,
      errors: new Map(),
      began: performance.now(),
      ended: 0,
    };
    this.#measured = measured;
    const { acknowledged } = measured;
    let n = 0;
    this.#clients = new Clients({
      open,
      write: async (pg) =>
        (await pg.transaction({ readOnly: false }, (run) => run(WRITE))).rows[0]!,
      next: () => ++n,
      everyMs: EVERY_MS,
      connections: 1,
      // One client waits with what it has begun, as an application would.
      patienceMs: 0,
      ok: ({ done }, { xid, lsn, timeline }) => {
        const ack = {
          at: done,
          xid: String(xid),
          timeline: Number(timeline),
          lsn: parse(String(lsn)),
        };
        this.#first.resolve(ack.at);
        if (acknowledged.length < MOST) acknowledged.push(ack);
        else acknowledged[MOST - 1] = ack;
      },
      failed: (_, error) => this.#count("failed", error),
      unknown: (_, error) => this.#count("unknown", error),
      unsent: () => {},
      refused: (_, error) => this.#count("refused", error),
    });
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
    if (!this.#over) {
      this.#over = true;
      this.#measured.ended = performance.now();
    }
    await this.#clients.stop();
    return this.#measured;
  }

  #count(what: "failed" | "unknown" | "refused", error: PgdbaError): void {
    // One that was under way when nobody wanted to know any more says nothing of the cluster.
    if (this.#over) return;
    const { errors } = this.#measured;
    this.#measured[what] += 1;
    if (errors.size < 20 || errors.has(error.message))
      errors.set(error.message, (errors.get(error.message) ?? 0) + 1);
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
