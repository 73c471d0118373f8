/**
 * A node that watches servers which are no containers of this Engine: a container in the network of the Engine's own machine, which reaches what that machine
 * reaches, servers on its loopback included. It has the labels of a node of the cluster, so that all verbs find it.
 */
import { PgdbaError } from "../../../engine/errors.ts";
import type { By, Opening } from "../contract.ts";
import { containerOf, ensureVolume } from "./create.ts";
import { volumesFor } from "./disks.ts";
import { ask, engineError, openEngine, statusOf } from "./engine.ts";
import { imageFor } from "./images.ts";
import { startContainer } from "./life.ts";
import { removeContainer } from "./make.ts";
import { choosePorts } from "./ports.ts";
import { containerName, LABEL, labelsFor, readRecords, secretsVolume } from "./record.ts";
import { SECRETS_DIR } from "./roles.ts";
import { tarOf } from "./tar.ts";

const ROLE = "monitoring";
/** Of the recipes of images; nothing of PostgreSQL itself is in this one. */
const VERSION = 17;
const LOOPBACK = "127.0.0.1";

export interface Beside {
  node: string;
  /** Text by the name of its file; only root reads them. */
  secrets: Readonly<Record<string, string>>;
  /** What its programs listen on elsewhere; here each gets a free port of the machine, which it keeps. */
  ports: readonly number[];
}

/**
 * Makes the node, or starts the one that is there; its secrets are put there anew. Tells whether it was made.
 * @throws PgdbaError unsupported: the Engine is on another machine | step_refused: the name of its container is taken
 */
export async function makeBeside(
  { cluster: name, env, place }: Pick<Opening, "cluster" | "env" | "place">,
  by: By,
  { node, secrets, ports: inside }: Beside,
): Promise<boolean> {
  const engine = openEngine(env);
  if (engine.machine !== null)
    throw new PgdbaError(
      "unsupported",
      `The Docker Engine is on ${engine.machine}, and what watches the cluster would listen on its loopback, where pgdba can't reach it`,
      { hint: "Run `pgdba monitor setup` on that machine.", nothingDone: true },
    );
  const cluster = { engine, name };
  const container = containerName(name, node);
  const put = (id: string) =>
    ask(engine, `put the secrets of ${node}`, () =>
      engine.docker.getContainer(id).putArchive(filesOf(secrets), { path: SECRETS_DIR }),
    );
  const there = (await readRecords(cluster)).find((one) => one.node === node);
  if (there?.made) {
    await put(there.id);
    if (there.state !== "running") await startContainer(engine, there.id, there.name);
    return false;
  }
  if (there !== undefined) await removeContainer(cluster, there.id);
  const image = await imageFor({ cluster, by, place }, ROLE, VERSION);
  const own = { ...labelsFor(name, by), [LABEL.node]: node };
  await ensureVolume(cluster, secretsVolume(name, node), own);
  for (const { volume } of volumesFor(name, node, {})) await ensureVolume(cluster, volume, own);
  const ports = await choosePorts(engine, inside, { address: LOOPBACK, taken: new Set() });
  const labels = {
    ...own,
    [LABEL.kind]: "node",
    [LABEL.roles]: ROLE,
    [LABEL.place]: JSON.stringify({ network: "host" }),
  };
  const options = containerOf({
    cluster,
    node: { name: node, roles: [ROLE] },
    image,
    name: container,
    labels,
    address: LOOPBACK,
    ports,
    backups: null,
    ip: null,
  });
  const { Hostname: _hostname, ExposedPorts: _exposed, NetworkingConfig: _net, ...rest } = options;
  const { PortBindings: _bindings, ...host } = rest.HostConfig ?? {};
  try {
    const { id } = await engine.docker.createContainer({
      ...rest,
      // Its programs listen elsewhere than those that the image's own check asks.
      Healthcheck: { Test: ["NONE"] },
      HostConfig: { ...host, NetworkMode: "host" },
    });
    await put(id);
    await startContainer(engine, id, container);
  } catch (error) {
    if (error instanceof PgdbaError) throw error;
    if (statusOf(error) !== 409) throw engineError(engine, `make ${container}`, error);
    throw new PgdbaError("step_refused", `There is a container ${container} already`, {
      hint: "Another state folder of pgdba may have made it: remove or rename it.",
      cause: error,
    });
  }
  return true;
}

const filesOf = (secrets: Readonly<Record<string, string>>): Buffer =>
  tarOf(Object.entries(secrets).map(([path, content]) => ({ path, content, mode: 0o600 })));
