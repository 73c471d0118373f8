import { PgdbaError } from "../errors.ts";
import { describeHolder, type Holder } from "../journal/holder.ts";
import { type Lock, Waiter } from "../journal/lock.ts";
import type { Releasers } from "../releasers.ts";
import type { Host, RunRequest } from "./request.ts";
import type { Target, TargetLock } from "../types.ts";
import type { Judged } from "./judged.ts";
import type { Fence, RunState } from "./state.ts";

const POLL_MS = 100;

/**
 * Locks the target for everything but reading: with a lease in the journal, and with the lock on the target's own side where it has
 * one, which also excludes engines with other state folders. Nothing to lock without a target.
 * @throws PgdbaError lock_held naming the holder; nothing was taken then, nor taken from anybody
 */
export async function takeLocks(
  host: Host,
  request: RunRequest,
  run: {
    id: string;
    judged: Pick<Judged, "risk" | "locks">;
    holder: Holder;
    /** The target under all names by which another run may lock it. */
    keys: readonly string[];
    emit: RunState["emit"];
    releasers: Releasers;
  },
): Promise<Fence | null> {
  const { target, stop, lockWaitMs } = request;
  const { clock, journal } = host;
  const hasTarget = target.cluster !== null || target.connection !== null;
  const { risk, locks: words } = run.judged;
  if ((risk === "read" && words.length === 0) || request.plan || !hasTarget) return null;
  const leaseMs = leaseFrom(host.env);
  // In one order for all, so that of two runs one gets on.
  const waiters = [...new Set(run.keys)]
    .toSorted()
    .map((key) => new Waiter(journal, clock, { key, run: run.id, holder: run.holder, leaseMs }));
  const deadline = clock.monotonic() + lockWaitMs;
  for (let told = false; ; told = true) {
    const got = await takeAll(waiters, target, describeHolder(run.id, run.holder));
    if ("locks" in got) {
      const { locks, remote } = got;
      if (remote) run.releasers.push(() => remote.release());
      for (const lock of locks) run.releasers.push(() => lock.release());
      return fence(target, run.id, locks, remote);
    }
    const left = deadline - clock.monotonic();
    if (left <= 0) {
      throw new PgdbaError("lock_held", `${target.name} is being worked on by ${got.heldBy}`, {
        retryable: true,
        hint: "Wait for it to end (`pgdba runs`), or give more time with --lock-wait 5m.",
      });
    }
    if (!told) run.emit({ kind: "lock.waiting", holder: got.heldBy });
    await clock.sleep(Math.min(POLL_MS, left), stop.soft);
  }
}

/**
 * All or none. The target is asked only when the leases could be had: a run that restarts the server must find its lock there free
 * again. And a lease is taken only when the target has said yes: to take it is to end the run that may still be alive in it.
 */
async function takeAll(
  waiters: readonly Waiter[],
  target: Target,
  holder: string,
): Promise<{ locks: Lock[]; remote: TargetLock | null } | { heldBy: string }> {
  const here = waiters.map((waiter) => waiter.heldBy()).find((heldBy) => heldBy !== null);
  if (here !== undefined) return { heldBy: here };
  const there = (await target.lock?.(holder)) ?? null;
  if (there && "heldBy" in there) return there;
  const locks: Lock[] = [];
  for (const waiter of waiters) {
    const lock = waiter.take();
    if (lock) locks.push(lock);
    else {
      for (const taken of locks) taken.release();
      await there?.release();
      return { heldBy: waiter.heldBy() ?? "a run that was quicker" };
    }
  }
  return { locks, remote: there };
}

function fence(
  target: Target,
  run: string,
  locks: readonly Lock[],
  remote: TargetLock | null,
): Fence {
  return {
    async fenced(recordIntent) {
      if (remote && !(await remote.held())) {
        throw new PgdbaError(
          "lock_lost",
          `${target.name} no longer honours this run's lock: its connection is gone, or another run has it`,
          {
            hint: `Look at the target, then \`pgdba resume ${run}\`.`,
          },
        );
      }
      // One in the other, so that it is one transaction.
      locks.reduceRight((record, lock) => () => lock.fenced(record), recordIntent)();
    },
  };
}

/** PGDBA_LEASE_MS shortens the lease for drills. */
function leaseFrom(env: Host["env"]): number | undefined {
  const ms = Number(env["PGDBA_LEASE_MS"]);
  return Number.isInteger(ms) && ms >= 100 ? ms : undefined;
}
