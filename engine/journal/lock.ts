import { PgdbaError } from "../errors.ts";
import type { Clock } from "../types.ts";
import { describeHolder, type Holder, isDead } from "./holder.ts";
import type { Journal } from "./journal.ts";

/** A lease lives this long without renewal; a process stopped for longer has lost it for good. */
const LEASE_MS = 15_000;
const RENEW_EVERY_MS = 5_000;
const POLL_MS = 100;

interface LockRow {
  epoch: number;
  run: string | null;
  holder: string | null;
  expires_at: number | null;
}

/**
 * One disruptive run per target: a lease in the journal with an epoch that only grows. Every act is checked against it in
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
  #renewedAt: number;

  private constructor(
    journal: Journal,
    clock: Clock,
    lease: { key: string; run: string; epoch: number; leaseMs: number },
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.key = lease.key;
    this.run = lease.run;
    this.epoch = lease.epoch;
    this.#leaseMs = lease.leaseMs;
    this.#renewedAt = clock.monotonic();
    this.#timer = setInterval(() => this.#renew(), Math.min(RENEW_EVERY_MS, lease.leaseMs / 3));
    this.#timer.unref();
  }

  /**
   * Waits up to `waitMs` for the lock. A holder that died on this host, or whose lease ran out, is superseded.
   * @throws PgdbaError lock_held naming the holder
   */
  static async acquire(
    journal: Journal,
    clock: Clock,
    want: {
      key: string;
      run: string;
      holder: Holder;
      waitMs: number;
      leaseMs?: number | undefined;
    },
    hooks: { signal: AbortSignal; onWait(holder: string): void },
  ): Promise<Lock> {
    const leaseMs = want.leaseMs ?? LEASE_MS;
    const deadline = clock.monotonic() + want.waitMs;
    let told = false;
    for (;;) {
      const taken = tryTake(journal, clock, want, leaseMs);
      if ("epoch" in taken) {
        return new Lock(journal, clock, { ...want, epoch: taken.epoch, leaseMs });
      }
      if (clock.monotonic() >= deadline) {
        throw new PgdbaError("lock_held", `${want.key} is being worked on by ${taken.heldBy}`, {
          retryable: true,
          hint: "Wait for it to end (`pgdba runs`), or give more time with --lock-wait 5m.",
        });
      }
      if (!told) hooks.onWait(taken.heldBy);
      told = true;
      await clock.sleep(POLL_MS, hooks.signal);
    }
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
    const row = this.#row();
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
      if (this.#clock.monotonic() - this.#renewedAt > this.#leaseMs) return;
      const done = this.#journal.db
        .query("UPDATE lock SET expires_at = ? WHERE key = ? AND epoch = ? AND run = ?")
        .run(this.#clock.now().getTime() + this.#leaseMs, this.key, this.epoch, this.run);
      if (done.changes === 1) this.#renewedAt = this.#clock.monotonic();
    } catch {
      // The next act will find the lease too old and refuse.
    }
  }

  release(): void {
    clearInterval(this.#timer);
    this.#journal.durably(() =>
      this.#journal.db
        .query(
          "UPDATE lock SET run = NULL, holder = NULL, expires_at = NULL WHERE key = ? AND epoch = ? AND run = ?",
        )
        .run(this.key, this.epoch, this.run),
    );
  }

  #row(): LockRow | null {
    return this.#journal.db
      .query<LockRow, [string]>("SELECT * FROM lock WHERE key = ?")
      .get(this.key);
  }
}

function tryTake(
  journal: Journal,
  clock: Clock,
  want: { key: string; run: string; holder: Holder },
  leaseMs: number,
): { epoch: number } | { heldBy: string } {
  return journal.durably(() =>
    journal.db
      .transaction((): { epoch: number } | { heldBy: string } => {
        const row = journal.db
          .query<LockRow, [string]>("SELECT * FROM lock WHERE key = ?")
          .get(want.key);
        const now = clock.now().getTime();
        if (row?.run && row.holder) {
          const holder = JSON.parse(row.holder) as Holder;
          if (!isDead(holder) && (row.expires_at ?? 0) > now) {
            return { heldBy: describeHolder(row.run, holder) };
          }
        }
        const epoch = (row?.epoch ?? 0) + 1;
        journal.db
          .query(
            `INSERT INTO lock (key, epoch, run, holder, expires_at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, run = excluded.run,
               holder = excluded.holder, expires_at = excluded.expires_at`,
          )
          .run(want.key, epoch, want.run, JSON.stringify(want.holder), now + leaseMs);
        return { epoch };
      })
      .immediate(),
  );
}
