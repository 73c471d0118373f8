import { PgdbaError } from "../errors.ts";
import type { Clock } from "../types.ts";
import { describeHolder, type Holder, isDead } from "./holder.ts";
import type { Journal } from "./journal.ts";
import { holderIn } from "./rows.ts";

/** A lease whose counter stands still for this long is over; a process stopped for longer has lost it for good. */
export const LEASE_MS = 15_000;
const RENEW_EVERY_MS = 5_000;

/** `beats` is raised by the holder while it lives. There is no time of day in it: clocks differ, and jump. */
interface LockRow {
  epoch: number;
  beats: number;
  lease_ms: number;
  run: string | null;
  holder: string | null;
}

interface Want {
  /** All of them are taken, or none. */
  keys: readonly string[];
  run: string;
  holder: Holder;
  leaseMs?: number | undefined;
}

/**
 * Somebody who wants locks. To look at them changes nothing, however long one looks; a holder that died on this host is passed over
 * at once, any other when its counter stood still, on our own monotonic clock, for as long as its lease lasts.
 */
export class Waiter {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #want: Want;
  readonly #seen = new Map<string, { row: LockRow | null; since: number }>();
  /** Those of the locks that the holder had when it was last looked for. */
  heldKeys: readonly string[] = [];

  constructor(journal: Journal, clock: Clock, want: Want) {
    this.#journal = journal;
    this.#clock = clock;
    this.#want = { ...want, keys: [...new Set(want.keys)].toSorted() };
  }

  /** The holder of one of them; null when they may be taken. */
  heldBy(): string | null {
    const now = this.#clock.monotonic();
    const held = this.#want.keys.flatMap((key) => {
      const by = this.#holderOf(key, now);
      return by === null ? [] : [{ key, by }];
    });
    const by = held[0]?.by ?? null;
    this.heldKeys = held.filter((one) => one.by === by).map(({ key }) => key);
    return by;
  }

  #holderOf(key: string, now: number): string | null {
    const row = rowOf(this.#journal, key);
    const before = this.#seen.get(key);
    const since = before === undefined || !same(row, before.row) ? now : before.since;
    this.#seen.set(key, { row, since });
    if (row === null || (row.run === null && row.holder === null)) return null;
    const holder = holderIn(row.holder);
    if ((holder && isDead(holder)) || now - since > row.lease_ms) return null;
    if (holder) return describeHolder(String(row.run), holder);
    return `run ${String(row.run)} (the journal's record of who holds the lock is damaged; the lock ends by itself, unless that run is alive)`;
  }

  /** Takes them as they were when last looked at; null when one of them has changed since. */
  take(): Lock | null {
    const { keys, run, holder, leaseMs = LEASE_MS } = this.#want;
    const taken = this.#clock.monotonic();
    const { db } = this.#journal;
    const epochs = this.#journal.durably(() =>
      db
        .transaction((): Map<string, number> | null => {
          const next = new Map<string, number>();
          for (const key of keys) {
            const row = rowOf(this.#journal, key);
            const seen = this.#seen.get(key);
            if (seen === undefined || !same(row, seen.row)) return null;
            next.set(key, (row?.epoch ?? 0) + 1);
          }
          for (const [key, epoch] of next)
            db.query(
              `INSERT INTO lock (key, epoch, beats, lease_ms, run, holder) VALUES (?, ?, 0, ?, ?, ?)
               ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, beats = 0, lease_ms = excluded.lease_ms,
                 run = excluded.run, holder = excluded.holder`,
            ).run(key, epoch, leaseMs, run, JSON.stringify(holder));
          return next;
        })
        .immediate(),
    );
    if (epochs === null) return null;
    return new Lock(this.#journal, this.#clock, { epochs, run, leaseMs, taken });
  }
}

/**
 * The locks of a run: leases in the journal, each with an epoch that only grows. Every act is checked against all of them in the
 * transaction that records its intent, so an engine that was stopped past its lease can't act when it continues.
 */
export class Lock {
  readonly run: string;
  /** By key. */
  readonly epochs: ReadonlyMap<string, number>;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #timer: Timer;
  /** Taken before the lease was written, so that it ends for us no later than for those who wait. */
  #renewedAt: number;

  constructor(
    journal: Journal,
    clock: Clock,
    lease: { epochs: ReadonlyMap<string, number>; run: string; leaseMs: number; taken: number },
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.run = lease.run;
    this.epochs = lease.epochs;
    this.#leaseMs = lease.leaseMs;
    this.#renewedAt = lease.taken;
    this.#timer = setInterval(() => this.#renew(), Math.min(RENEW_EVERY_MS, lease.leaseMs / 3));
    this.#timer.unref();
  }

  /** Runs `record` in one transaction with the check that this run still holds its locks. @throws PgdbaError lock_lost */
  fenced(record: () => void): void {
    this.#journal.durably(() =>
      this.#journal.db
        .transaction(() => {
          this.#check();
          record();
        })
        .immediate(),
    );
  }

  /** @throws PgdbaError lock_lost */
  #check(): void {
    const stale = this.#clock.monotonic() - this.#renewedAt > this.#leaseMs;
    for (const [key, epoch] of this.epochs) {
      const row = rowOf(this.#journal, key);
      if (!stale && row?.epoch === epoch && row.run === this.run) continue;
      const other = row?.run && row.run !== this.run ? `; run ${row.run} holds it now` : "";
      throw new PgdbaError(
        "lock_lost",
        `The lock on ${key} was lost before this step could act${other}`,
        {
          hint: `This process was stopped for longer than its lease. Look at the target, then \`pgdba resume ${this.run}\`.`,
        },
      );
    }
  }

  #renew(): void {
    try {
      const now = this.#clock.monotonic();
      if (now - this.#renewedAt > this.#leaseMs) return;
      const done = this.#each("UPDATE lock SET beats = beats + 1");
      if (done === this.epochs.size) this.#renewedAt = now;
    } catch {
      // The next act will find the lease too old and refuse.
    }
  }

  release(): void {
    clearInterval(this.#timer);
    this.#journal.durably(() => this.#each("UPDATE lock SET run = NULL, holder = NULL"));
  }

  /** @returns how many rows were still ours */
  #each(update: string): number {
    const { db } = this.#journal;
    const query = db.query(`${update} WHERE key = ? AND epoch = ? AND run = ?`);
    return db
      .transaction(() =>
        [...this.epochs].reduce(
          (sum, [key, epoch]) => sum + query.run(key, epoch, this.run).changes,
          0,
        ),
      )
      .immediate();
  }
}

function rowOf(journal: Journal, key: string): LockRow | null {
  const row = journal.db
    .query<LockRow, [string]>("SELECT epoch, beats, lease_ms, run, holder FROM lock WHERE key = ?")
    .get(key);
  return row && { ...row, lease_ms: row.lease_ms > 0 ? row.lease_ms : LEASE_MS };
}

function same(one: LockRow | null, other: LockRow | null): boolean {
  return one?.epoch === other?.epoch && one?.beats === other?.beats && one?.run === other?.run;
}
