import { rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { exclusively } from "../../../engine/shared/exclusive.ts";
import type { Death, NodeState, Running, StopMode } from "../contract.ts";
import { type Binaries, openBinaries } from "./binaries.ts";
import {
  type Home,
  HOST,
  type NodeRecord,
  type Place,
  readRecord,
  readRecords,
  writeRecord,
} from "./home.ts";
import { writeNodeConf } from "./node-conf.ts";
import { choosePort } from "./port.ts";
import {
  NODE_VARIABLE,
  processesOf,
  processOf,
  signalAll,
  signalProcess,
  TELLS_PROCESSES,
} from "./processes.ts";
import { answers } from "../answers.ts";
import { isServing, postmaster, type Postmaster, runAs, waitReady } from "./server.ts";

const START_MS = 60_000;
const STOP_MS = 60_000;
/** Processes that lost their first one notice it at once, unless they stand still. */
const ORPHANS_MS = 15_000;
const KILL_MS = 10_000;

export interface At {
  home: Home;
  record: NodeRecord;
  at: Place;
  signal: AbortSignal;
}

/** The programs of a node's server. @throws PgdbaError unsupported */
export async function binariesOf(
  home: Home,
  { version, bin }: Pick<NodeRecord, "version" | "bin">,
): Promise<Binaries> {
  if (bin === null) return openBinaries(version, home.user);
  const program = (name: string): string => join(bin, name);
  return {
    version,
    initdb: program("initdb"),
    pg_ctl: program("pg_ctl"),
    postgres: program("postgres"),
  };
}

export async function stateOf(record: NodeRecord, at: Place): Promise<NodeState> {
  const found = await postmaster(at.data);
  const serving = (await isServing(found, at.data)) ? found : null;
  const { running, why } = await runningOf(record, found, serving);
  const since = serving && (await stat(join(at.data, "postmaster.pid")).catch(() => null));
  return {
    running,
    ...(why === undefined ? {} : { why }),
    services: [
      {
        role: "postgres",
        running,
        ...(serving === null ? {} : { pid: serving.pid }),
        ...(since ? { since: since.birthtime.toISOString() } : {}),
      },
    ],
  };
}

async function runningOf(
  record: NodeRecord,
  found: Postmaster | null,
  serving: Postmaster | null,
): Promise<{ running: Running; why?: string }> {
  if (serving !== null) {
    if (TELLS_PROCESSES && (await processOf(serving.pid))?.state === "T")
      return { running: "frozen" };
    if (serving.status === "stopping") return { running: "running", why: "it is shutting down" };
    const ready = serving.status === "ready" || serving.status === "standby";
    return { running: ready ? "running" : "starting" };
  }
  if (!record.made) return { running: "stopped", why: "it was not made to the end" };
  // A server that is stopped takes this file away.
  if (found !== null)
    return {
      running: "failed",
      why: "PostgreSQL ended without a shutdown: it was killed or crashed",
    };
  return { running: "stopped" };
}

/** Two that start one server at once would take each other's word for what a crash has left. */
const startLock = (home: Home, node: string): string => join(home.dir, `start-${node}.lock`);

/**
 * Gives the node's record as it is then: its port may be another one.
 * @throws PgdbaError command_failed | timeout | step_refused | lock_held
 */
export async function startNode(one: At, timeoutMs = START_MS): Promise<NodeRecord> {
  const { home, record, at, signal } = one;
  return exclusively(
    startLock(home, record.node),
    { what: record.node, waitMs: timeoutMs, signal },
    async () => {
      await shutdownEnded(at, timeoutMs, signal);
      const state = await stateOf(record, at);
      if (state.running === "frozen") throw frozen(record, "start");
      const runs = state.running === "running" || state.running === "starting";
      const now = runs ? record : await launch(one);
      await waitReady(at.data, { timeoutMs, log: at.log, signal });
      return now;
    },
  );
}

/** A server that was told to stop can't be told otherwise: it starts again once it is down. */
async function shutdownEnded(at: Place, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await postmaster(at.data);
    if (found?.status !== "stopping" || !(await isServing(found, at.data))) return;
    signal.throwIfAborted();
    // The one that waits for it to be ready tells what it is at.
    if (performance.now() > deadline) return;
    await Bun.sleep(50);
  }
}

async function launch({ home, record: before, at, signal }: At): Promise<NodeRecord> {
  await orphansGone(before, at);
  // The server itself would refuse to start while any process has the number that a crash left in these.
  await rm(join(at.data, "postmaster.pid"), { force: true });
  await rm(join(at.socket, `.s.PGSQL.${before.port}.lock`), { force: true });
  const record = (await answers(HOST, before.port)) ? await moved(home, before, at) : before;
  // Each time, since a start that was cut off may have chosen the port and told nobody.
  await home.reached?.(record.node, { host: HOST, port: record.port });
  const { pg_ctl } = await binariesOf(home, record);
  const launching = ["start", "--silent", "--no-wait", "-D", at.data, "-l", at.log];
  const env = { [NODE_VARIABLE]: at.dir };
  await runAs(home.user, [pg_ctl, ...launching], { signal, outlives: true, env });
  return record;
}

/**
 * The node's record with another port, for somebody else listens on its own: where nobody named that one, no other node has to find it
 * there, and the registry follows.
 * @throws PgdbaError command_failed
 */
async function moved(home: Home, record: NodeRecord, at: Place): Promise<NodeRecord> {
  const isAlone = (await readRecords(home)).length === 1;
  if (home.reached === undefined || record.port_named !== false || !isAlone) {
    const why = isAlone ? "" : ", where the other nodes look for it";
    throw new PgdbaError("command_failed", `Port ${record.port} of ${record.node} is taken`, {
      hint: `Another program listens on ${HOST}:${record.port}${why}; end it and run again.`,
      retryable: true,
      nothingDone: true,
    });
  }
  const now = { ...record, port: await choosePort([record.port]) };
  // The record is the last: until it says so, the next start chooses again.
  await writeNodeConf(home, at, now);
  await writeRecord(home, dirname(at.dir), now);
  return now;
}

/** A server is not started beside what is left of the one before. */
async function orphansGone(record: NodeRecord, at: Place): Promise<void> {
  if (!TELLS_PROCESSES) return;
  const deadline = performance.now() + ORPHANS_MS;
  for (;;) {
    const left = (await serversOf(at)).map(({ pid, state }) => `${pid} (${state})`);
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      throw new PgdbaError(
        "step_refused",
        `Processes of the server that ${record.node} had before still run: ${left.join(", ")}`,
        { hint: "Thaw the node if it is frozen, or kill the rest of it with `kill node`." },
      );
    }
    await Bun.sleep(20);
  }
}

/** The processes that have the data open; programs that were started for the node do not matter. */
async function serversOf(at: Place) {
  return processesOf({ dir: "", data: at.data });
}

/** @throws PgdbaError command_failed | step_refused */
export async function stopNode(one: At, how: StopMode, timeoutMs = STOP_MS): Promise<void> {
  const { home, record, at, signal } = one;
  const state = await stateOf(record, at);
  if (state.running === "frozen") throw frozen(record, "stop");
  if (state.services[0]?.pid === undefined) return;
  const { pg_ctl } = await binariesOf(home, record);
  const seconds = String(Math.max(1, Math.ceil(timeoutMs / 1000)));
  const argv = [pg_ctl, "stop", "--silent", "-m", how, "-w", "-t", seconds, "-D", at.data];
  try {
    await runAs(home.user, argv, { signal });
  } catch (error) {
    // It may have ended between the look and the word.
    if (await isServing(await postmaster(at.data), at.data)) throw error;
  }
}

/** @throws PgdbaError timeout | insufficient_privilege */
export async function killProcess({ record, at }: At): Promise<void> {
  const found = await postmaster(at.data);
  if (found === null || !(await isServing(found, at.data))) return;
  signalProcess(found.pid, "SIGKILL");
  const deadline = performance.now() + KILL_MS;
  while (await isServing(found, at.data)) {
    if (performance.now() > deadline) {
      throw new PgdbaError("timeout", `Process ${found.pid} of ${record.node} did not die`, {
        hint: "It waits for its disk; look at the machine.",
      });
    }
    await Bun.sleep(10);
  }
}

/** All processes of the node, with what was started for it. */
export async function killNode({ record, at }: Pick<At, "record" | "at">): Promise<void> {
  const limits = { withinMs: KILL_MS, what: record.node };
  await signalAll(
    () => processesOf(at),
    "SIGKILL",
    () => false,
    limits,
  );
}

/** A process that has ended is started again by nobody here. */
export async function deathOf({ record, at }: Pick<At, "record" | "at">): Promise<Death> {
  const left = await processesOf(at);
  if (left.length === 0)
    return { proven: true, how: `no process of ${record.node} is left on this machine` };
  const pids = left.map(({ pid }) => pid).join(", ");
  return { proven: false, why: `processes of ${record.node} are still there: ${pids}` };
}

/** @throws PgdbaError step_failed: nothing of it runs */
export async function freezeNode({ record, at }: At): Promise<void> {
  const limits = { withinMs: KILL_MS, what: record.node };
  if ((await processesOf(at)).length === 0) {
    throw new PgdbaError("step_failed", `Nothing of ${record.node} runs that could be frozen`, {
      hint: "Start it first.",
      nothingDone: true,
    });
  }
  await signalAll(
    () => processesOf(at),
    "SIGSTOP",
    ({ state }) => state === "T",
    limits,
  );
}

export async function thawNode({ record, at }: Pick<At, "record" | "at">): Promise<void> {
  const limits = { withinMs: KILL_MS, what: record.node };
  await signalAll(
    () => processesOf(at),
    "SIGCONT",
    ({ state }) => state !== "T",
    limits,
  );
}

function frozen({ node }: NodeRecord, act: string): PgdbaError {
  return new PgdbaError("step_refused", `${node} is frozen: it can't ${act}`, {
    hint: "Thaw it first, or kill it.",
    nothingDone: true,
  });
}

/** Ends what stands in the way of removing it, also when it was never made to the end. */
export async function endNode(home: Home, base: string, node: string, at: Place): Promise<void> {
  const record = readRecord(base, node);
  if (record === undefined) return;
  if (TELLS_PROCESSES) return killNode({ record, at });
  const signal = new AbortController().signal;
  await stopNode({ home, record, at, signal }, "immediate");
}
