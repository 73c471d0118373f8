import type Docker from "dockerode";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Armed, Deadline, Healed, Inverse, InverseProgram, Role } from "../contract.ts";
import { healsAgainFor } from "../heals-again.ts";
import { nodeEnv } from "./account.ts";
import type { At } from "./at.ts";
import { ask, statusOf } from "./engine.ts";
import { helperImage } from "./images.ts";
import { inspected, startNode, thawNode } from "./life.ts";
import { readableLog } from "./line.ts";
import { execIn } from "./exec.ts";
import { removeContainer, type Work } from "./make.ts";
import heal_ from "./node/heal.py" with { type: "text" };
import { atVolumesOf, inNetworkOf } from "./network.ts";
import { type Cluster, containerName, filter, LABEL, labelsFor, readRecords } from "./record.ts";
import { stateOf } from "./state.ts";

const MAX_MS = 15 * 60_000;
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;
const READY_MS = 20_000;
const POLL_MS = 20;
const ENGINE_SOCKET = "/var/run/docker.sock";
/** A healer that found nobody to ask. */
const NO_ENGINE = 78;

const KIND = "healer";
const LABELS = {
  id: "pgdba.armed",
  inverse: "pgdba.inverse",
  deadline: "pgdba.deadline",
  /** Greater for the later of two with one id. */
  at: "pgdba.armed-at",
} as const;

/** A program of ours that is told `told` tells by this that what it takes away was not there any more. */
export const GONE = 3;

/** What a healer does: an inverse of the contract, or one of ours, in the network of a node or beside its volumes. */
export type Taken = Inverse | { on: string; here: readonly string[]; in: "network" | "volumes" };

type On = (node: string, role?: Role) => Promise<At>;

/**
 * A healer is a small container of its own, without a restart policy, that sleeps and then does the inverse. Only what is done by the
 * Engine (to thaw, to start, to run a program) needs its socket, and only for as long as it waits.
 */
export async function arm(work: Work, on: On, inverse: Inverse, until: Deadline): Promise<Armed> {
  const { container: _container, ...one } = await armed(work, on, inverse, until);
  return one;
}

/** Gives the healer's container, too. */
export async function armed(
  work: Work,
  on: On,
  inverse: Taken,
  { id, afterMs }: Deadline,
): Promise<Armed & { container: string }> {
  const { cluster, by } = work;
  assertArmable(id, afterMs);
  const { engine, name } = cluster;
  const node = nodeNamed(inverse);
  const at = await on(node);
  const before = await healersOf(cluster, id);
  const now = Date.now();
  const deadline = new Date(now + afterMs).toISOString();
  const times = { seconds: afterMs / 1000, until: (now + afterMs) / 1000 };
  const image = await helperImage(work);
  const container = await ask(engine, "make a healer", () =>
    engine.docker.createContainer({
      name: `${name}-heal-${id}-${crypto.randomUUID().slice(0, 8)}`,
      Image: image,
      Entrypoint: ["python3", "-I", "-S", "-c", heal_],
      Cmd: [
        JSON.stringify({
          ...times,
          again: healsAgainFor(inverse),
          ...orderOf(cluster, at, inverse),
        }),
      ],
      User: "0",
      Healthcheck: { Test: ["NONE"] },
      StopSignal: "SIGKILL",
      Labels: {
        ...labelsFor(name, by),
        [LABEL.kind]: KIND,
        [LABEL.node]: node,
        [LABELS.id]: id,
        [LABELS.inverse]: JSON.stringify(inverse),
        [LABELS.deadline]: deadline,
        [LABELS.at]: String(now),
      },
      HostConfig: hostOf(engine.socket, at, inverse),
    }),
  );
  try {
    await ask(engine, "start a healer", () => container.start());
    await isReady(cluster, container.id);
  } catch (error) {
    await removeContainer(cluster, container.id);
    throw error;
  }
  // Only now: there was a healer at every moment.
  for (const old of before) await removeContainer(cluster, old);
  const labels = { run: by.run, path: by.path };
  const armed: Armed = { id, node, labels, inverse: shown(inverse), deadline, state: "armed" };
  return { ...armed, container: container.id };
}

function assertArmable(id: string, afterMs: number): void {
  if (ID.test(id) && afterMs > 0 && afterMs <= MAX_MS) return;
  throw new PgdbaError("invalid_param", `Nothing can be armed as ${id} for ${afterMs} ms`, {
    hint: "An id is letters, digits, `-`, `_` and `.`; a deadline at most 15 minutes away.",
    nothingDone: true,
  });
}

function hostOf(socket: string | null, { record }: At, inverse: Taken): Docker.HostConfig {
  if (!("here" in inverse))
    return { NetworkMode: "none", Binds: [`${socketOf(socket)}:/run/engine.sock`] };
  return inverse.in === "network"
    ? { NetworkMode: `container:${record.id}`, CapAdd: ["NET_ADMIN"] }
    : { NetworkMode: "none", VolumesFrom: [record.id] };
}

/** On the Engine's own machine. That of a rootless Engine lies where we reach it; others have it in one place. */
const socketOf = (own: string | null): string =>
  own !== null && own.startsWith("/run/user/") ? own : ENGINE_SOCKET;

const nodeNamed = (inverse: Taken): string =>
  "thaw" in inverse ? inverse.thaw : "start" in inverse ? inverse.start : inverse.on;

/** As the contract knows it. */
const shown = (inverse: Taken): Inverse =>
  "here" in inverse ? { on: inverse.on, argv: inverse.here } : inverse;

function orderOf(cluster: Cluster, at: At, inverse: Taken): object {
  // By its name: a container that was made anew has another id.
  const container = containerName(cluster.name, at.record.node);
  if ("thaw" in inverse) return { act: "thaw", container };
  if ("start" in inverse) return { act: "start", container };
  if ("here" in inverse) return { act: "here", argv: inverse.here };
  const env = Object.entries({ ...nodeEnv(at), ...inverse.env }).map((one) => one.join("="));
  const { user, home: cwd } = at.layout;
  return { act: "exec", container, program: { argv: inverse.argv, env, user, cwd } };
}

async function isReady({ engine }: Cluster, id: string): Promise<void> {
  const container = engine.docker.getContainer(id);
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const log = await logOf(container);
    if (log.startsWith("ready\n")) return;
    const { State } = await ask(engine, "look at a healer", () => container.inspect());
    if (!State.Running && State.Status !== "created") {
      const said = log.trim();
      if (said.startsWith("ready")) return;
      throw new PgdbaError(
        State.ExitCode === NO_ENGINE ? "unsupported" : "command_failed",
        `Nothing can be armed here: ${said || `a healer ended with ${State.ExitCode}`}`,
        {
          hint: `A healer asks the Engine at ${ENGINE_SOCKET} of its machine; let it listen there.`,
          nothingDone: true,
        },
      );
    }
    if (performance.now() > deadline) {
      throw new PgdbaError("timeout", `A healer was not ready within ${READY_MS} ms`, {
        hint: "Look at the load of the Engine's machine.",
        retryable: true,
      });
    }
    await Bun.sleep(POLL_MS);
  }
}

async function logOf(container: { logs(options: object): Promise<unknown> }): Promise<string> {
  const bytes = (await container.logs({ stdout: true, stderr: true })) as Buffer;
  return readableLog(bytes);
}

async function healersOf(cluster: Cluster, id?: string): Promise<string[]> {
  return (await listHealers(cluster, id)).map(({ Id }) => Id);
}

async function listHealers({ engine, name }: Cluster, id?: string) {
  const more = { [LABEL.kind]: KIND, ...(id === undefined ? {} : { [LABELS.id]: id }) };
  return ask(engine, "list healers", () =>
    engine.docker.listContainers({ all: true, filters: filter(name, more) }),
  );
}

/** As it is found, with the inverse as it was armed. */
async function found(cluster: Cluster): Promise<(Armed & { taken: Taken })[]> {
  const latest = new Map<string, { id: string; labels: Record<string, string> }>();
  for (const { Id, Labels } of await listHealers(cluster)) {
    const before = latest.get(Labels[LABELS.id]!);
    if (before !== undefined && Number(before.labels[LABELS.at]) > Number(Labels[LABELS.at]))
      continue;
    latest.set(Labels[LABELS.id]!, { id: Id, labels: Labels });
  }
  const all = await Promise.all(
    [...latest].map(async ([id, { id: container, labels }]) => {
      const how = await stateOfHealer(cluster, container);
      if (how === null) return null;
      const label = (name: string): string => labels[name] ?? "";
      const taken = JSON.parse(label(LABELS.inverse)) as Taken;
      return {
        id,
        node: label(LABEL.node),
        labels: { run: label(LABEL.run), path: label(LABEL.path) },
        inverse: shown(taken),
        deadline: label(LABELS.deadline),
        ...how,
        taken,
      };
    }),
  );
  return all.filter((one) => one !== null);
}

export async function armedOf(cluster: Cluster): Promise<Armed[]> {
  return (await found(cluster)).map(({ taken: _taken, ...one }) => one);
}

async function stateOfHealer(
  { engine }: Cluster,
  id: string,
): Promise<Pick<Armed, "state" | "why"> | null> {
  const container = engine.docker.getContainer(id);
  try {
    const { State } = await container.inspect();
    if (State.Running) return { state: "armed" };
    if (State.Status === "exited" && State.ExitCode === 0) return { state: "healed" };
    const said = (await logOf(container)).replace(/^ready\n/, "").trim();
    if (
      State.Status === "created" ||
      State.ExitCode === 137 ||
      (State.ExitCode > 128 && said === "")
    )
      return { state: "lost", why: "its healer is not there any more" };
    return { state: "failed", why: said.slice(-500) || `exit code ${State.ExitCode}` };
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw error;
  }
}

export async function disarm(cluster: Cluster, id: string): Promise<void> {
  for (const healer of await healersOf(cluster, id)) await removeContainer(cluster, healer);
}

export async function heal(
  work: Work,
  on: On,
  which?: { id: string } | { run: string },
): Promise<Healed[]> {
  const { cluster } = work;
  const wanted = (await found(cluster)).filter(
    (one) =>
      which === undefined || ("id" in which ? one.id === which.id : one.labels.run === which.run),
  );
  const healed: Healed[] = [];
  for (const { id, node, state, taken } of wanted) {
    const done = state === "healed" ? { lasted: false } : await takeBack(work, on, node, taken);
    if (done.why === undefined) await disarm(cluster, id);
    healed.push({ id, node, healed: done.why === undefined, ...done });
  }
  return healed;
}

/** `why`: it is not taken back. */
type Done = Pick<Healed, "lasted" | "why">;

async function takeBack(work: Work, on: On, node: string, inverse: Taken): Promise<Done> {
  const { cluster } = work;
  const record = (await readRecords(cluster)).find((one) => one.node === node);
  // With the node the fault has gone.
  if (record === undefined) return { lasted: false };
  const at = await on(node);
  const { Running, Paused } = (await inspected(at)).State;
  if ("thaw" in inverse) {
    await thawNode(at);
    const { running } = await stateOf(cluster, record);
    return { lasted: Paused, ...(running === "frozen" ? { why: "it is frozen still" } : {}) };
  }
  if ("start" in inverse) {
    await startNode(at);
    const { running, why } = await stateOf(cluster, record);
    // What was killed and runs may have been started by whoever watches over it.
    const lasted = Running ? null : true;
    if (running === "running") return { lasted };
    return { lasted, why: `it is ${running}${why ? `: ${why}` : ""}` };
  }
  if ("here" in inverse) {
    const isNetwork = inverse.in === "network";
    // A network that was made anew with its node's start has nothing of it.
    if (isNetwork && !Running) return { lasted: false };
    const run = isNetwork ? inNetworkOf : atVolumesOf;
    const argv = [...inverse.here, "told"];
    const { code, text } = await run(cluster, record.id, await helperImage(work), argv);
    if (code === 0 || code === GONE) return { lasted: code === 0 };
    return { lasted: null, why: `${argv[0]} ended with ${code}: ${text}` };
  }
  const { argv, still } = inverse;
  const lasted =
    still === undefined
      ? null
      : await ran(at, inverse, still).then(
          ({ exit_code }) => exit_code === 0,
          () => null,
        );
  const { exit_code, signal, stderr } = await ran(at, inverse, argv);
  if (exit_code === 0) return { lasted };
  return { lasted, why: `${argv[0]} ended with ${exit_code ?? signal}: ${stderr.slice(-500)}` };
}

const ran = (at: At, { env }: InverseProgram, argv: readonly string[]) =>
  at.work(true, (there) =>
    execIn({ ...there, by: { signal: at.by.signal } }, argv, {
      user: at.layout.user,
      cwd: at.layout.home,
      env: { ...nodeEnv(at), ...env },
    }),
  );
