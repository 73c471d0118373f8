import { PgdbaError } from "../errors.ts";
import { describeHolder, type Holder } from "../journal/holder.ts";
import { type Lock, Waiter } from "../journal/lock.ts";
import type { Releasers } from "../releasers.ts";
import type { Host, RunRequest } from "./request.ts";
import {
  LOCKED_PARTS,
  type LockWord,
  type Runbook,
  type Target,
  type TargetLock,
} from "../types.ts";
import { hasTarget } from "./enter.ts";
import type { Judged } from "./judged.ts";
import type { Fence, RunState } from "./state.ts";

const POLL_MS = 100;
/** Of a runbook that watches: nobody else has its name on the target. */
const ALONE: readonly LockWord[] = ["all"];

/**
 * Locks the parts of the target that the run says it locks: with leases in the journal, and with locks on the target's own side where
 * it has them, which also exclude engines with other state folders. A run that changes something and locks nothing of the target holds
 * a lease of its own, so that no second process goes on with it. Nothing to lock without a target.
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
    /** Locked with it. */
    others?: readonly Target[];
    emit: RunState["emit"];
    releasers: Releasers;
  },
): Promise<Fence | null> {
  const { target, stop, lockWaitMs } = request;
  const { clock, journal } = host;
  const { risk, locks } = run.judged;
  const targets = [...(hasTarget(target) ? [target] : []), ...(run.others ?? [])];
  const [first] = targets;
  if ((risk === "read" && locks.length === 0) || request.plan || first === undefined) return null;
  // One that runs for ever keeps nobody from the target, and is the only one of its name on it.
  const watches = locksItsName(request.runbook);
  const words = watches ? ALONE : locks;
  const names = watches ? run.keys.map((key) => `${key}: ${request.runbook.name}`) : run.keys;
  const waiter = new Waiter(journal, clock, {
    keys: leaseKeys(run.id, names, words),
    run: run.id,
    holder: run.holder,
    leaseMs: leaseFrom(host.env),
  });
  const there = watches ? [] : targets.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const deadline = clock.monotonic() + lockWaitMs;
  for (let told = false; ; told = true) {
    const got = await takeAll(waiter, there, describeHolder(run.id, run.holder), words);
    if ("lock" in got) {
      const { lock, remote } = got;
      if (remote) run.releasers.push(() => remote.release());
      run.releasers.push(() => lock.release());
      return fence(first, run.id, lock, remote);
    }
    const parts = watches ? [] : got.words;
    const holder = `${got.heldBy}${parts.length === 0 ? "" : `, which locks ${parts.join(", ")}`}`;
    const left = deadline - clock.monotonic();
    if (left <= 0 && watches) {
      throw new PgdbaError(
        "lock_held",
        `${request.runbook.name} runs already on ${first.name}: ${holder}`,
        {
          retryable: true,
          hint: "One is enough. Interrupt that one first (Ctrl-C, SIGTERM) if this one is to take its place.",
        },
      );
    }
    if (left <= 0) {
      throw new PgdbaError("lock_held", `${first.name} is being worked on by ${holder}`, {
        retryable: true,
        hint: "Wait for it to end (`pgdba runs`), or give more time with --lock-wait 5m.",
      });
    }
    if (!told) run.emit({ kind: "lock.waiting", holder });
    await clock.sleep(Math.min(POLL_MS, left), stop.soft);
  }
}

/**
 * All or none. The target is asked only when the leases could be had: a run that restarts the server must find its lock there free
 * again. And a lease is taken only when the target has said yes: to take it is to end the run that may still be alive in it.
 */
async function takeAll(
  waiter: Waiter,
  targets: readonly Pick<Target, "lock">[],
  holder: string,
  words: readonly LockWord[],
): Promise<
  { lock: Lock; remote: TargetLock | null } | { heldBy: string; words: readonly string[] }
> {
  const heldHere = () => {
    const heldBy = waiter.heldBy();
    return heldBy === null ? null : { heldBy, words: wordsOf(waiter.heldKeys) };
  };
  const here = heldHere();
  if (here) return here;
  const there = words.length === 0 ? null : await lockEach(targets, holder, words);
  if (there && "heldBy" in there)
    return { heldBy: there.heldBy, words: there.word === undefined ? [] : [there.word] };
  const lock = waiter.take();
  if (lock) return { lock, remote: there };
  await there?.release();
  return heldHere() ?? { heldBy: "a run that was quicker", words: [] };
}

/** The locks on the side of several targets as one: all or none, one after the other, so that of two runs one gets on. */
async function lockEach(
  targets: readonly Pick<Target, "lock">[],
  holder: string,
  words: readonly LockWord[],
): Promise<TargetLock | { heldBy: string; word?: string } | null> {
  const taken: TargetLock[] = [];
  const release = async () => {
    for (const lock of taken.toReversed()) await lock.release();
  };
  for (const target of targets) {
    const lock = await target.lock?.(holder, words);
    // Two names of one server: it is ours by the other one.
    if (lock && "heldBy" in lock && taken.length > 0 && isOwn(holder, lock.heldBy)) continue;
    if (lock && "heldBy" in lock) {
      await release();
      return lock;
    }
    if (lock) taken.push(lock);
  }
  if (taken.length === 0) return null;
  return {
    release,
    async held() {
      const states = await Promise.all(taken.map((lock) => lock.held()));
      const lost = states.find((state) => typeof state === "object");
      return lost ?? (states.includes("unreachable") ? "unreachable" : "held");
    },
  };
}

/** Of a runbook that watches. One that extends or replaces a runbook which does not, locks all that this one locks. */
function locksItsName({ watches, doc }: Runbook): boolean {
  return watches === true && (doc.below ?? []).every(({ data }) => data["watches"] === true);
}

/** A server may know only the beginning of a holder's name. */
function isOwn(holder: string, heldBy: string): boolean {
  return heldBy !== "" && holder.startsWith(heldBy);
}

/** One for each name of the target and each word. */
function leaseKeys(
  run: string,
  names: readonly string[],
  words: readonly LockWord[],
): readonly string[] {
  const parts = words.includes("all") ? LOCKED_PARTS : words;
  if (parts.length === 0) return [`run ${run}`];
  return names.flatMap((name) => parts.map((part) => `${name} (${part})`));
}

/** The words of such keys; all of them are `all`. */
function wordsOf(keys: readonly string[]): readonly string[] {
  const found = LOCKED_PARTS.filter((part) => keys.some((key) => key.endsWith(` (${part})`)));
  return found.length === LOCKED_PARTS.length ? ["all"] : found;
}

function fence(target: Target, run: string, lock: Lock, remote: TargetLock | null): Fence {
  return {
    async fenced(recordIntent) {
      // Where nobody can be asked, the lease below tells.
      const there = await remote?.held();
      if (typeof there === "object") {
        throw new PgdbaError(
          "lock_lost",
          `${target.name} no longer honours this run's lock: it is held by ${there.heldBy}`,
          {
            hint: `Look at the target, then \`pgdba resume ${run}\`.`,
          },
        );
      }
      lock.fenced(recordIntent);
    },
  };
}

/** PGDBA_LEASE_MS shortens the lease for drills. */
function leaseFrom(env: Host["env"]): number | undefined {
  const ms = Number(env["PGDBA_LEASE_MS"]);
  return Number.isInteger(ms) && ms >= 100 ? ms : undefined;
}
