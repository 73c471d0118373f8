import type Docker from "dockerode";
import { PgdbaError } from "../../../engine/errors.ts";
import { freeAddress, subnetOf, upperHalf } from "./addresses.ts";
import { ask, type Engine, engineError, statusOf } from "./engine.ts";
import { runHelper } from "./helper.ts";
import { type Cluster, filter, LABEL, networkName } from "./record.ts";

/** Between the question for a free network and its making, others may take it. */
const TRIES = 5;

/** @throws PgdbaError step_refused: there is one of this name that is not this cluster's */
export async function ensureNetwork(
  { engine, name: cluster }: Cluster,
  labels: Record<string, string>,
): Promise<void> {
  const name = networkName(cluster);
  const found = await findNetwork(engine, name);
  if (found === undefined) return makeNetwork(engine, name, labels);
  if (found.Labels?.[LABEL.cluster] !== cluster)
    throw new PgdbaError("step_refused", `The network ${name} is not of this cluster`, {
      hint: "Remove it if nobody needs it, or choose another name for the cluster.",
    });
  if (found.Labels[LABEL.ip] !== undefined || (await containersOf(engine, cluster)).length > 0)
    return;
  // Whoever made it was cut off before it had its range.
  await ask(engine, `remove the network ${name}`, () =>
    engine.docker.getNetwork(found.Id).remove(),
  );
  await makeNetwork(engine, name, labels);
}

function containersOf(engine: Engine, cluster: string): Promise<Docker.ContainerInfo[]> {
  return ask(engine, "list containers", () =>
    engine.docker.listContainers({ all: true, filters: filter(cluster) }),
  );
}

async function findNetwork(
  engine: Engine,
  name: string,
): Promise<Docker.NetworkInspectInfo | undefined> {
  const all = await ask(engine, "list networks", () =>
    engine.docker.listNetworks({ filters: { name: [name] } }),
  );
  return all.find((one) => one.Name === name);
}

/** The Engine fixes addresses only in a network whose range it was told: so it is asked for a free range, which it is told then. */
async function makeNetwork(
  engine: Engine,
  name: string,
  labels: Record<string, string>,
): Promise<void> {
  const make = (options: Partial<Docker.NetworkCreateOptions>) =>
    engine.docker.createNetwork({ Name: name, CheckDuplicate: true, Labels: labels, ...options });
  for (let tries = 1; ; tries++) {
    const made = await ask(engine, `make the network ${name}`, () => make({}));
    const { IPAM } = (await ask(engine, `look at the network ${name}`, () =>
      made.inspect(),
    )) as Docker.NetworkInspectInfo;
    const { Subnet: range = "", Gateway } = IPAM?.Config?.[0] ?? {};
    const subnet = subnetOf(range);
    if (subnet === undefined) return;
    await ask(engine, `remove the network ${name}`, () => made.remove());
    const own = { Subnet: range, IPRange: upperHalf(subnet), ...(Gateway ? { Gateway } : {}) };
    try {
      await make({
        IPAM: { Driver: "default", Config: [own] },
        Labels: { ...labels, [LABEL.ip]: range },
      });
      return;
    } catch (error) {
      // 403: somebody else has it by now.
      if (statusOf(error) !== 403 || tries === TRIES)
        throw engineError(engine, `make the network ${name}`, error);
    }
  }
}

/** An address for a node that is made; null in a network of before that can't give any. @throws PgdbaError limit_exceeded */
export async function chooseIp({ engine, name: cluster }: Cluster): Promise<string | null> {
  const name = networkName(cluster);
  const subnet = subnetOf((await findNetwork(engine, name))?.Labels?.[LABEL.ip] ?? "");
  if (subnet === undefined) return null;
  const containers = await containersOf(engine, cluster);
  const free = freeAddress(subnet, new Set(containers.map(({ Labels }) => Labels[LABEL.ip] ?? "")));
  if (free !== undefined) return free;
  throw new PgdbaError("limit_exceeded", `No address of the network ${name} is free`, {
    hint: "Remove nodes that are not needed.",
  });
}

/** Runs a program in the network of a node, with the right to change it, and waits for it. */
export function inNetworkOf(
  cluster: Cluster,
  id: string,
  image: string,
  argv: readonly string[],
): Promise<{ code: number; text: string }> {
  return runHelper(cluster, image, argv, {
    NetworkMode: `container:${id}`,
    CapAdd: ["NET_ADMIN"],
  });
}

/** Runs a program beside the volumes of a node, whether that runs or not. */
export function atVolumesOf(
  cluster: Cluster,
  id: string,
  image: string,
  argv: readonly string[],
): Promise<{ code: number; text: string }> {
  return runHelper(cluster, image, argv, { NetworkMode: "none", VolumesFrom: [id] });
}
