import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Way } from "../load/leader.ts";
import type { Letter } from "./sample.ts";

/** What a node says of itself. */
export interface Look {
  primary: boolean;
  timeline: number | null;
  streaming: number;
  sync: number;
}

export interface NodeOptions {
  way: Way;
  /** Writes something, and resolves when that is acknowledged. */
  probe(pg: PgSession): Promise<void>;
  looked(look: Look): void;
}

const CONNECT_MS = 1_000;
/** A node that gives no answer for so long is asked by new connections, ms. */
const SILENT_MS = 1_500;

const LOOK = `SELECT NOT pg_is_in_recovery() AS primary,
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END AS timeline,
  (SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming') AS streaming,
  (SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS sync`;

type Doing = { since: number } | null;

/**
 * One node, asked by two connections: one looks, the other writes where the look says that the node is out of recovery. So a node whose
 * writes wait is told from one that gives no answer.
 */
export class ObservedNode {
  readonly #options: NodeOptions;
  #look: PgSession | undefined;
  #write: PgSession | undefined;
  #looking: Doing = null;
  #writing: Doing = null;
  #over = false;
  /** Since the last sample. */
  #acknowledged = false;
  #answer: Look | undefined;
  #refused = false;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  /** The letter of the time since the last sample. */
  sample(): Letter {
    const letter = this.#letter();
    this.#acknowledged = false;
    this.#answer = undefined;
    this.#refused = false;
    return letter;
  }

  /** Asks it, unless it still owes an answer. */
  tick(): void {
    const now = performance.now();
    if (this.#looking === null) {
      this.#looking = { since: now };
      void this.#lookOnce().finally(() => (this.#looking = null));
    } else if (this.#look !== undefined && now - this.#looking.since > SILENT_MS) this.#drop();
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#drop();
  }

  #letter(): Letter {
    if (this.#acknowledged) return "W";
    if (this.#answer?.primary === true) return "U";
    if (this.#answer !== undefined) return "S";
    return this.#refused ? "D" : "N";
  }

  async #lookOnce(): Promise<void> {
    try {
      if (this.#look?.alive() !== true) {
        this.#look = undefined;
        const pg = await this.#options.way({ timeoutMs: CONNECT_MS });
        this.#look = pg;
        if (this.#over) return this.#drop();
      }
      const { rows } = await this.#look.query(LOOK);
      const look = rows[0] as unknown as Look;
      this.#answer = look;
      this.#options.looked(look);
      if (look.primary && this.#writing === null) {
        this.#writing = { since: performance.now() };
        void this.#writeOnce().finally(() => (this.#writing = null));
      }
    } catch {
      // Without a connection it refused one, or gave no answer to the attempt: the second takes its time.
      const { since } = this.#looking ?? { since: 0 };
      if (performance.now() - since < CONNECT_MS) this.#refused = true;
      this.#drop();
    }
  }

  async #writeOnce(): Promise<void> {
    try {
      if (this.#write?.alive() !== true) {
        this.#write = undefined;
        this.#write = await this.#options.way({ timeoutMs: CONNECT_MS });
        if (this.#over) return this.#drop();
      }
      const pg = this.#write;
      await this.#options.probe(pg);
      // An answer that comes after its connection was given up says nothing of now.
      if (this.#write === pg) this.#acknowledged = true;
    } catch {
      // Not acknowledged: the sample says so.
    }
  }

  #drop(): void {
    for (const pg of [this.#look, this.#write]) void pg?.close().catch(() => {});
    this.#look = this.#write = undefined;
  }
}
