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
  key: string;
  run: string;
  holder: Holder;
  leaseMs?: number | undefined;
}

/**
 * Somebody who wants a lock. To look at it changes nothing, however long one looks; a holder that died on this host is passed over
 * at once, any other when its counter stood still, on our own monotonic clock, for as long as its lease lasts.
 */
export class Waiter {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #want: Want;
  #seen: LockRow | null | undefined;
  #since = 0;

  constructor(journal: Journal, clock: Clock, want: Want) {
    this.#journal = journal;
    this.#clock = clock;
    this.#want = want;
  }

  /** The holder; null when the lock may be taken. */
  heldBy(): string | null {
    const row = rowOf(this.#journal, this.#want.key);
    const now = this.#clock.monotonic();
    if (this.#seen === undefined || !same(row, this.#seen)) this.#since = now;
    this.#seen = row;
    if (row === null || (row.run === null && row.holder === null)) return null;
    const holder = holderIn(row.holder);
    if ((holder && isDead(holder)) || now - this.#since > row.lease_ms) return null;
    if (holder) return describeHolder(String(row.run), holder);
    return `run ${String(row.run)} (the journal's record of who holds the lock is damaged; the lock ends by itself, unless that run is alive)`;
  }

  /** Takes it as it was when last looked at; null when it has changed since. */
  take(): Lock | null {
    const { key, run, holder, leaseMs = LEASE_MS } = this.#want;
    const taken = this.#clock.monotonic();
    const epoch = this.#journal.durably(() =>
      this.#journal.db
        .transaction((): number | null => {
          const row = rowOf(this.#journal, key);
          if (this.#seen === undefined || !same(row, this.#seen)) return null;
          const next = (row?.epoch ?? 0) + 1;
          this.#journal.db
            .query(
              `INSERT INTO lock (key, epoch, beats, lease_ms, run, holder) VALUES (?, ?, 0, ?, ?, ?)
               ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, beats = 0, lease_ms = excluded.lease_ms,
                 run = excluded.run, holder = excluded.holder`,
            )
            .run(key, next, leaseMs, run, JSON.stringify(holder));
          return next;
        })
        .immediate(),
    );
    if (epoch === null) return null;
    return new Lock(this.#journal, this.#clock, { key, run, epoch, leaseMs, taken });
  }
}

/**
 * Allows one run per target to change something: a lease in the journal with an epoch that only grows. Every act is checked against it in
 * the transaction that records its intent, so an engine that was stopped past its lease can't act when it continues.
 */
export class Lock {
  readonly key: string;
  readonly run: string;
  readonly epoch: number;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #timer: Timer;
  /** Taken before the lease was written, so that it ends for us no later than for those who wait. */
  #renewedAt: number;

  constructor(
    journal: Journal,
    clock: Clock,
    lease: { key: string; run: string; epoch: number; leaseMs: number; taken: number },
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.key = lease.key;
    this.run = lease.run;
    this.epoch = lease.epoch;
    this.#leaseMs = lease.leaseMs;
    this.#renewedAt = lease.taken;
    this.#timer = setInterval(() => this.#renew(), Math.min(RENEW_EVERY_MS, lease.leaseMs / 3));
    this.#timer.unref();
  }

  /** Runs `record` in one transaction with the check that this run still holds the lock. @throws PgdbaError lock_lost */
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
    const row = rowOf(this.#journal, this.key);
    const stale = this.#clock.monotonic() - this.#renewedAt > this.#leaseMs;
    if (!stale && row?.epoch === this.epoch && row.run === this.run) return;
    const other = row?.run && row.run !== this.run ? `; run ${row.run} holds it now` : "";
    throw new PgdbaError(
      "lock_lost",
      `The lock on ${this.key} was lost before this step could act${other}`,
      {
        hint: `This process was stopped for longer than its lease. Look at the target, then \`pgdba resume ${this.run}\`.`,
      },
    );
  }

  #renew(): void {
    try {
      const now = this.#clock.monotonic();
      if (now - this.#renewedAt > this.#leaseMs) return;
      const done = this.#journal.db
        .query("UPDATE lock SET beats = beats + 1 WHERE key = ? AND epoch = ? AND run = ?")
        .run(this.key, this.epoch, this.run);
      if (done.changes === 1) this.#renewedAt = now;
    } catch {
      // The next act will find the lease too old and refuse.
    }
  }

  release(): void {
    clearInterval(this.#timer);
    this.#journal.durably(() =>
      this.#journal.db
        .query("UPDATE lock SET run = NULL, holder = NULL WHERE key = ? AND epoch = ? AND run = ?")
        .run(this.key, this.epoch, this.run),
    );
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
