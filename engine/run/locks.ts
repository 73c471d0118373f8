import { PgdbaError } from "../errors.ts";
import { describeHolder, type Holder } from "../journal/holder.ts";
import { Lock } from "../journal/lock.ts";
import type { Releasers } from "../releasers.ts";
import type { Host, RunRequest } from "../run.ts";
import type { Risk, TargetLock } from "../types.ts";
import type { Fence, RunState } from "./state.ts";

const POLL_MS = 200;

/**
 * Locks the target for everything but reading: the lease in the journal, then the lock on the target's own side where it has
 * one, which also excludes engines with other state folders. Nothing to lock without a target.
 * @throws PgdbaError lock_held naming the holder
 */
export async function takeLocks(
  host: Host,
  request: RunRequest,
  run: {
    id: string;
    risk: Risk;
    holder: Holder;
    identity: string | null;
    emit: RunState["emit"];
    releasers: Releasers;
  },
): Promise<Fence | null> {
  const { target, stop } = request;
  const hasTarget = target.cluster !== null || target.connection !== null;
  if (run.risk === "read" || request.plan || !hasTarget) return null;
  const onWait = (holder: string) => run.emit({ kind: "lock.waiting", holder });
  const key = run.identity ?? target.name;
  const lock = await Lock.acquire(
    host.journal,
    host.clock,
    {
      key,
      run: run.id,
      holder: run.holder,
      waitMs: request.lockWaitMs,
      leaseMs: leaseFrom(host.env),
    },
    { signal: stop.soft, onWait },
  );
  run.releasers.push(() => lock.release());
  const remote = await takeRemote(host, request, describeHolder(run.id, run.holder), onWait);
  if (remote) run.releasers.push(() => remote.release());
  return {
    fenced(recordIntent) {
      if (remote && !remote.held()) {
        throw new PgdbaError(
          "lock_lost",
          `${target.name} no longer honours this run's lock: its connection is gone`,
          {
            hint: `Look at the target, then \`pgdba resume ${run.id}\`.`,
          },
        );
      }
      lock.fenced(recordIntent);
    },
  };
}

async function takeRemote(
  host: Host,
  { target, lockWaitMs, stop }: RunRequest,
  holder: string,
  onWait: (holder: string) => void,
): Promise<TargetLock | null> {
  if (!target.lock) return null;
  const deadline = host.clock.monotonic() + lockWaitMs;
  for (let told = false; ; told = true) {
    const got = await target.lock(holder);
    if ("release" in got) return got;
    if (host.clock.monotonic() >= deadline) {
      throw new PgdbaError("lock_held", `${target.name} is being worked on by ${got.heldBy}`, {
        retryable: true,
        hint: "Wait for it to end, or give more time with --lock-wait 5m.",
      });
    }
    if (!told) onWait(got.heldBy);
    await host.clock.sleep(POLL_MS, stop.soft);
  }
}

/** PGDBA_LEASE_MS shortens the lease for drills. */
function leaseFrom(env: Host["env"]): number | undefined {
  const ms = Number(env["PGDBA_LEASE_MS"]);
  return Number.isInteger(ms) && ms >= 100 ? ms : undefined;
}
