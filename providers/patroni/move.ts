import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import type { JsonObject } from "../../engine/types.ts";
import type { PatroniCluster, PatroniMember, ScheduledSwitchover } from "./members.ts";
import { loopSeconds, readCluster, readStatus, sendToOne } from "./read.ts";
import { type Answer, type Api, refused, type Request, send } from "./requests.ts";
import type { PatroniStatus } from "./status.ts";

/** The end of a switchover or failover, or its plan. */
export interface Moved {
  /** The member that leads now; null where the move is only scheduled. */
  leader: string | null;
  /** The one that was to lead; null where Patroni was to choose. */
  asked: string | null;
  /** False when another one leads than was asked for. */
  as_asked: boolean;
  scheduled: ScheduledSwitchover | null;
}

export interface Switchover {
  leader: string;
  /** Patroni chooses without it, except in a pause. */
  candidate?: string | undefined;
  /** A time with its zone. */
  scheduled_at?: string | undefined;
  /** The cluster as it was read a moment ago; it is read without it. */
  seen?: PatroniCluster | undefined;
  /** The length of Patroni's loop, s. With it nothing is asked before the wish, nor is the leader's Patroni tried first: clients may wait. */
  loopWait?: number | undefined;
}

interface Move {
  /** As they were before. */
  members: PatroniMember[];
  path: "/switchover" | "/failover";
  body: JsonObject;
  /** The member that leads before. */
  from: string | null;
  asked: string | null;
  loopWait?: number | undefined;
}

/** Whoever has to carry a move out has other things to do than to answer: each answer costs Patroni time that clients wait for. */
const POLL_MS = 200;
/** How long one member is given to say that it leads, ms. */
const LOOK_MS = 1_000;
/** Patroni looks for the outcome twice as many times as this or as it has seconds in a loop, once a second (api.py: poll_failover_result). */
const LEAST_POLLS = 10;
/** The time that the answer may take beyond that, ms. */
const GRACE_MS = 10_000;

/** @throws PgdbaError step_refused | step_failed | http_failed | timeout | connection_failed */
export async function switchover(
  api: Api,
  { leader: from, candidate, scheduled_at, seen, loopWait }: Switchover,
  signal?: AbortSignal,
): Promise<Moved> {
  const { leader, members } = seen ?? (await readCluster(api, signal));
  if (leader !== from) {
    throw new PgdbaError(
      "step_refused",
      `${from} can't hand over: ${leader === null ? "nobody leads" : `${leader} leads`}`,
      { hint: "Nothing was changed. Look at the cluster, then ask again.", nothingDone: true },
    );
  }
  const body = { leader, ...(candidate && { candidate }), ...(scheduled_at && { scheduled_at }) };
  const asked = candidate ?? null;
  const wanted: Move = { members, path: "/switchover", body, from, asked, loopWait };
  return scheduled_at === undefined ? move(api, wanted, signal) : schedule(api, wanted, signal);
}

/** A failover to a member that leads already is done. */
export async function failover(
  api: Api,
  { candidate }: { candidate: string },
  signal?: AbortSignal,
): Promise<Moved> {
  const { leader: from, members } = await readCluster(api, signal);
  if (from === candidate) return movedTo(candidate, candidate);
  const body = { candidate };
  return move(api, { members, path: "/failover", body, from, asked: candidate }, signal);
}

async function schedule(api: Api, wanted: Move, signal?: AbortSignal): Promise<Moved> {
  const { path, body, asked } = wanted;
  const { state, error } = judge(await sendToOne(api, path, { method: "POST", body, signal }));
  const { scheduled_switchover: scheduled } = await readCluster(api, signal);
  if (state === "unknown") throw notMoved(wanted, error, true);
  return { leader: null, asked, as_asked: true, scheduled };
}

/**
 * Asks the member that has to act: only the Patroni that is asked acts at once, any other one in its next loop. Where it does not answer, any
 * member passes the wish on.
 */
async function ask(
  api: Api,
  { path }: Move,
  actor: string | undefined,
  post: Request,
): Promise<Answer> {
  if (actor === undefined) return sendToOne(api, path, post);
  try {
    return await send(api, `${actor}${path}`, post);
  } catch (error) {
    // It has gone since it was seen, and was told nothing.
    if (error instanceof PgdbaError && error.nothingDone === true)
      return sendToOne(api, path, post);
    throw error;
  }
}

/** The API of the member that has to act; undefined where it does not answer. It is not tried where clients wait. */
async function actorOf(
  api: Api,
  { members, from, asked, loopWait }: Move,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const at = members.find(({ name }) => name === (from ?? asked))?.api;
  if (at === undefined || loopWait !== undefined) return at;
  const late = AbortSignal.timeout(LOOK_MS);
  const within = signal ? AbortSignal.any([signal, late]) : late;
  return readStatus(api, at, within).then(
    () => at,
    () => undefined,
  );
}

/**
 * Asks once, and looks at the cluster itself while it waits: Patroni answers only at full seconds, its answer may be lost, and its words
 * are for people.
 */
async function move(api: Api, wanted: Move, signal?: AbortSignal): Promise<Moved> {
  const { body, from, asked, loopWait } = wanted;
  const [loop, actor] = await Promise.all([
    loopWait ?? loopSeconds(api, signal),
    actorOf(api, wanted, signal),
  ]);
  const pollsMs = 2 * Math.max(LEAST_POLLS, loop) * 1000;
  const over = new AbortController();
  const watching = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  const began = performance.now();
  const post = { method: "POST", body, timeoutMs: pollsMs + GRACE_MS, signal } as const;
  const answered = ask(api, wanted, actor, post).then(judge, (thrown: unknown): Verdict => {
    signal?.throwIfAborted();
    const error = toPgdbaError(thrown, "connection_failed");
    if (error.nothingDone) throw error;
    return { state: "unknown", error };
  });
  const taken = newLeader(api, from, true, watching);
  // One that loses the race has nothing to say any more.
  for (const one of [answered, taken]) one.catch(() => {});
  try {
    const first = await Promise.race([answered, taken]);
    if (typeof first === "string") return movedTo(first, asked);
    // Patroni says sooner than at its last poll that it has given up; with any other answer, or none, it may go on.
    const gaveUp = first.error?.code === "http_failed" && performance.now() - began < pollsMs;
    const patience = (gaveUp ? 1 : 2) * loop * 1000 + 1000;
    const leader =
      (await within(patience, taken, watching)) ??
      // Patroni has seen that another one leads, which need not be reached from here.
      (first.state === "done"
        ? await within(patience, newLeader(api, from, false, watching), watching)
        : null);
    if (leader !== null) return movedTo(leader, asked);
    throw notMoved(wanted, first.error, gaveUp);
  } finally {
    over.abort();
  }
}

/** Null when it takes longer. */
function within<T>(ms: number, wait: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return Promise.race([wait, sleep(ms, signal).then(() => null)]);
}

function movedTo(leader: string, asked: string | null): Moved {
  return { leader, asked, as_asked: asked === null || asked === leader, scheduled: null };
}

type Verdict = { state: "done" | "unknown"; error?: PgdbaError };

/** By the status alone. @throws PgdbaError for what Patroni refused */
function judge(answer: Answer): Verdict {
  const { status } = answer;
  if (status === 200 || status === 202) return { state: "done" };
  const error = refused(answer);
  if (status >= 500) return { state: "unknown", error };
  if (status !== 400 && status !== 412 && status !== 422) throw error;
  throw new PgdbaError("step_refused", error.message, {
    hint:
      status === 412
        ? "Nothing was changed. Whoever takes over must be known to the cluster, reachable, without the tag nofailover, and a synchronous standby in synchronous mode."
        : "Nothing was changed. Correct what was asked for.",
    data: { status },
    nothingDone: true,
  });
}

function leads({ role }: PatroniStatus): boolean {
  return role === "primary" || role === "standby_leader";
}

/**
 * The next member that leads after `from`. The store of the member asked may be old for a moment, so with `itself` the new leader must say
 * so, too: that it holds the key and its PostgreSQL has the role.
 */
async function newLeader(
  api: Api,
  from: string | null,
  itself: boolean,
  signal: AbortSignal,
): Promise<string> {
  for (;;) {
    await sleep(POLL_MS, signal);
    try {
      const { leader, members } = await readCluster({ ...api, patienceMs: 0 }, signal);
      const at = members.find(({ name }) => name === leader)?.api;
      if (leader !== null && leader !== from && at !== undefined) {
        const late = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
        // Patroni's `/primary` and `/leader` answer 200 for the key alone, before PostgreSQL is promoted.
        if (!itself || leads(await readStatus(api, at, late))) return leader;
      }
    } catch {
      // A member that does not answer is asked again.
      signal.throwIfAborted();
    }
  }
}

function notMoved(
  { from, asked, path }: Move,
  error: PgdbaError | undefined,
  gaveUp: boolean,
): PgdbaError {
  const what = path.slice(1);
  const still = from === null ? "nobody leads" : `no member has taken over from ${from}`;
  const said = `${still}${error === undefined ? "" : ` (${error.message})`}`;
  const data = error?.data;
  if (gaveUp)
    return new PgdbaError("step_failed", `The ${what} did not happen: ${said}`, {
      hint: `Patroni looks at lag and timeline only when it acts, and writes the reason to its log: look there on ${[from, asked].filter(Boolean).join(" and ")}.`,
      data,
    });
  return new PgdbaError("timeout", `Nobody knows yet how the ${what} went: ${said}`, {
    hint: "Patroni may still carry it out. Look at the cluster before anything else, and don't ask a second time.",
    data,
  });
}
