import { PgdbaError } from "../../../engine/errors.ts";
import type { By, Death, StopMode } from "../contract.ts";
import { attachDisks } from "./disks.ts";
import { ask, type Engine, engineError, soon, statusOf } from "./engine.ts";
import { busyHelper } from "./at.ts";
import { readableLog } from "./line.ts";
import type { Cluster, NodeRecord } from "./record.ts";
import { patroniSays } from "./rest.ts";
import { serviceState } from "./state.ts";

export const START_MS = 90_000;
const STOP_MS = 60_000;
const KILL_MS = 15_000;
const POLL_MS = 50;
/** How often it is asked why a node is not up. */
const WHY_MS = 500;
/** A node whose health check passes and that nobody reaches here by then is not reached at all. */
const UNREACHED_MS = 20_000;
/** A job at a stopped node is waited for so long. */
const BUSY_MS = 10_000;
/** A Patroni that says so long that it is paused, with its server down, starts none. */
const PAUSED_MS = 3_000;

const LEFT_DOWN = new Set(["stopped", "uninitialized"]);

/** What starts a container again after its machine or its Engine was started; a node that is fenced has `no`. */
export const POLICY = "unless-stopped";

interface At {
  cluster: Cluster;
  record: NodeRecord;
  by: Pick<By, "signal">;
}

const containerOf = ({ cluster, record }: Pick<At, "cluster" | "record">) =>
  cluster.engine.docker.getContainer(record.id);

export async function inspected({ cluster, record }: Pick<At, "cluster" | "record">) {
  return ask(cluster.engine, `look at ${record.name}`, () =>
    containerOf({ cluster, record }).inspect(soon()),
  );
}

/** @throws PgdbaError command_failed | timeout | step_refused */
export async function startNode(at: At, timeoutMs = START_MS): Promise<void> {
  const { record, cluster } = at;
  const { State, HostConfig } = await inspected(at);
  if (State.Paused) throw frozen(record, "start");
  if (HostConfig.RestartPolicy?.Name !== POLICY) {
    await ask(cluster.engine, `let ${record.name} be started again`, () =>
      containerOf(at).update({ RestartPolicy: { Name: POLICY } }),
    );
  }
  if (!State.Running) await nothingAtWork(at);
  if (!State.Running) await attachDisks(cluster, record.node, record.sizes, record.image);
  await startContainer(cluster.engine, record.id, record.name);
  await waitReady(at, timeoutMs);
}

/** A job that was left behind in a helper may write to the data. @throws PgdbaError step_refused */
async function nothingAtWork({ record, cluster, by }: At): Promise<void> {
  const deadline = performance.now() + BUSY_MS;
  while ((await busyHelper(cluster, record.node)) !== undefined) {
    by.signal.throwIfAborted();
    if (performance.now() > deadline)
      throw new PgdbaError("step_refused", `Something is at work on the data of ${record.node}`, {
        hint: "A run that has died has left it: `pgdba runs` has it, and `pgdba resume` goes on with it, or takes it back.",
        retryable: true,
        nothingDone: true,
      });
    await Bun.sleep(WHY_MS);
  }
}

/** One that runs already stays as it is. */
export async function startContainer(engine: Engine, id: string, name: string): Promise<void> {
  try {
    await engine.docker.getContainer(id).start();
  } catch (error) {
    if (statusOf(error) !== 304) throw engineError(engine, `start ${name}`, error);
  }
}

/** Waits until what the node is for takes connections. Why it does not yet is asked less often, for the answers cost it time. */
export async function waitReady(at: At, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let healthySince: number | undefined;
  let pausedSince: number | undefined;
  let whyAt = 0;
  for (;;) {
    at.by.signal.throwIfAborted();
    if ((await serviceState(at.record)) === "running") return;
    if (performance.now() >= Math.min(whyAt, deadline)) {
      const { State } = await inspected(at);
      if (State.Paused) throw frozen(at.record, "start");
      if (State.Health?.Status !== "healthy") healthySince = undefined;
      else if (performance.now() - (healthySince ??= performance.now()) > UNREACHED_MS)
        throw unreached(at);
      if (!(await isLeftDown(at.record))) pausedSince = undefined;
      else if (performance.now() - (pausedSince ??= performance.now()) > PAUSED_MS)
        throw leftDown(at.record);
      const isGone = !State.Running && !State.Restarting;
      if (isGone || performance.now() > deadline)
        throw await notReady(at, isGone, State, timeoutMs);
      whyAt = performance.now() + WHY_MS;
    }
    await Bun.sleep(POLL_MS);
  }
}

/** While Patroni is paused it starts no server and copies none. */
async function isLeftDown(record: NodeRecord): Promise<boolean> {
  if (record.role !== "postgres") return false;
  const said = await patroniSays(record);
  return said?.["pause"] === true && LEFT_DOWN.has(String(said["state"]));
}

function leftDown({ node }: NodeRecord): PgdbaError {
  return new PgdbaError(
    "step_refused",
    `${node} is up, and its Patroni is paused: it starts no PostgreSQL while that lasts`,
    { hint: "End the pause (pgdba cluster resume), and then give the same command again." },
  );
}

/** It serves, by its own word: waiting brings nothing. */
function unreached({ record }: At): PgdbaError {
  const { node, name, address } = record;
  return new PgdbaError(
    "connection_failed",
    `${node} is up, and can't be reached from here at ${address}, where the Docker Engine has published it`,
    {
      hint: `Is the Engine on another machine (through a tunnel)? Then run pgdba there, or name that machine's address: --place '{"address": "…"}'. Else look at firewalls, and at \`docker port ${name}\`.`,
    },
  );
}

async function notReady(
  at: At,
  isGone: boolean,
  state: { ExitCode: number; Error: string },
  timeoutMs: number,
): Promise<PgdbaError> {
  const { node, name } = at.record;
  const last = await containerOf(at)
    .logs({ stdout: true, stderr: true, tail: 20 })
    .then(
      (bytes) => readableLog(bytes as unknown as Buffer),
      () => "",
    );
  const data = { log: last.slice(-4_000) };
  return isGone
    ? new PgdbaError(
        "command_failed",
        `${node} ended with exit code ${state.ExitCode}${state.Error ? `: ${state.Error}` : ""}`,
        { hint: `Its last words: ${lastLine(last)}`, data },
      )
    : new PgdbaError("timeout", `${node} took no connections within ${timeoutMs} ms`, {
        hint: `Look at \`docker logs ${name}\`; its last words: ${lastLine(last)}`,
        data,
        retryable: true,
      });
}

const lastLine = (text: string): string => text.trim().split("\n").at(-1) ?? "none";

/**
 * Patroni shuts its server down fast when its container is told to stop, however long that takes: it is never killed for that.
 * @throws PgdbaError timeout | step_refused
 */
export async function stopNode(at: At, how: StopMode, timeoutMs = STOP_MS): Promise<void> {
  const { record, cluster } = at;
  const { State } = await inspected(at);
  if (State.Paused) throw frozen(record, "stop");
  if (!State.Running && !State.Restarting) return;
  // No checkpoint is written: what was not flushed is replayed.
  if (how === "immediate") return killNode(at);
  const stopped = (async () => {
    try {
      await containerOf(at).stop({ t: -1 });
    } catch (error) {
      if (statusOf(error) !== 304 && statusOf(error) !== 404)
        throw engineError(cluster.engine, `stop ${record.name}`, error);
    }
  })();
  stopped.catch(() => {});
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  stopped.then(resolve, reject);
  const onAbort = () => reject(at.by.signal.reason);
  at.by.signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    const text = `${record.node} did not stop within ${timeoutMs} ms; it goes on stopping`;
    const hint = "Look at its log: a checkpoint or a session that can't be ended takes long.";
    reject(new PgdbaError("timeout", text, { hint, retryable: true }));
  }, timeoutMs);
  try {
    await over;
  } finally {
    clearTimeout(timer);
    at.by.signal.removeEventListener("abort", onAbort);
  }
}

/** All of the container; it stays down until it is started. */
export async function killNode(at: At): Promise<void> {
  const { record, cluster } = at;
  try {
    await containerOf(at).kill({ signal: "SIGKILL" });
  } catch (error) {
    const status = statusOf(error);
    // It does not run any more, or waits to be started again.
    if (status === 404) return;
    if (status !== 409) throw engineError(cluster.engine, `kill ${record.name}`, error);
    await containerOf(at)
      .stop({ t: 0 })
      .catch((other: unknown) => {
        if (statusOf(other) !== 304 && statusOf(other) !== 404)
          throw engineError(cluster.engine, `kill ${record.name}`, other);
      });
  }
  const deadline = performance.now() + KILL_MS;
  while ((await inspected(at)).State.Running) {
    if (performance.now() > deadline) {
      throw new PgdbaError("timeout", `${record.node} did not die`, {
        hint: "Its processes wait for their disk; look at the machine.",
      });
    }
    await Bun.sleep(20);
  }
}

/** @throws PgdbaError step_failed: nothing of it runs */
export async function freezeNode(at: At): Promise<void> {
  const { State } = await inspected(at);
  if (State.Paused) return;
  if (!State.Running) {
    throw new PgdbaError("step_failed", `Nothing of ${at.record.node} runs that could be frozen`, {
      hint: "Start it first.",
      nothingDone: true,
    });
  }
  await ask(at.cluster.engine, `pause ${at.record.name}`, () => containerOf(at).pause());
}

export async function thawNode(at: At): Promise<void> {
  if (!(await inspected(at)).State.Paused) return;
  await ask(at.cluster.engine, `unpause ${at.record.name}`, () => containerOf(at).unpause());
}

/**
 * The Engine runs the container or knows that it has ended. One that it would start again by itself is `restarting` for it from the
 * moment of its end, so that `exited` under `unless-stopped` says that somebody stopped or killed it by hand.
 */
export async function deathOf(at: Pick<At, "cluster" | "record">): Promise<Death> {
  const { node } = at.record;
  let info: Awaited<ReturnType<typeof inspected>>;
  try {
    info = await containerOf(at).inspect(soon());
  } catch (error) {
    if (statusOf(error) === 404)
      return { proven: true, how: `the Engine has no container of ${node} any more` };
    return { proven: false, why: `the Docker Engine does not answer: ${(error as Error).message}` };
  }
  const { State, HostConfig } = info;
  if (State.Paused) return { proven: false, why: `${node} is frozen: it would go on when thawed` };
  if (State.Restarting)
    return { proven: false, why: `${node} has ended, and the Engine is about to start it again` };
  if (State.Running) return { proven: false, why: `the container of ${node} runs` };
  if (State.Status === "created")
    return { proven: true, how: `the container of ${node} was never started` };
  const policy = HostConfig.RestartPolicy?.Name || "no";
  if (policy !== "no" && (policy !== POLICY || State.Error !== ""))
    return {
      proven: false,
      why: `${node} has ended; its restart policy ${policy} may start it again`,
    };
  const ended = `the Engine says that the container of ${node} ended at ${State.FinishedAt} with exit code ${State.ExitCode}`;
  return {
    proven: true,
    how: `${ended}, and ${policy === "no" ? "nothing starts it again" : "that it was stopped by hand, so that it stays down"}`,
  };
}

export async function fenceNode(at: At): Promise<Death> {
  const { HostConfig } = await inspected(at);
  if ((HostConfig.RestartPolicy?.Name || "no") !== "no") {
    await ask(at.cluster.engine, `keep ${at.record.name} down`, () =>
      containerOf(at).update({ RestartPolicy: { Name: "no" } }),
    );
  }
  const before = await deathOf(at);
  if (before.proven) return before;
  await killNode(at);
  return deathOf(at);
}

function frozen({ node }: NodeRecord, act: string): PgdbaError {
  return new PgdbaError("step_refused", `${node} is frozen: it can't ${act}`, {
    hint: "Thaw it first, or kill it.",
    nothingDone: true,
  });
}
