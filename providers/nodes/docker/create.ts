import type Docker from "dockerode";
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { filesOf, secretsOf } from "../configuration/files.ts";
import type { By, NodeSpec, Spec } from "../contract.ts";
import { accountsIn } from "./account.ts";
import { fixedSpecOf } from "./decide.ts";
import { bytesOf, type DiskSizes, hasSizes, volumesFor } from "./disks.ts";
import { ask, engineError, statusOf } from "./engine.ts";
import { POLICY } from "./life.ts";
import {
  type Cluster,
  type FixedSpec,
  LABEL,
  labelsFor,
  networkName,
  secretsVolume,
} from "./record.ts";
import { BACKUPS_DIR, CONFIG_DIR, layoutOf, SECRETS_DIR } from "./roles.ts";
import { type TarFile, tarOf } from "./tar.ts";

/** The Engine kills what does not end within so many seconds when it is stopped itself. */
const STOP_SECONDS = 120;
/** Parallel queries share memory by files there. */
const SHM_BYTES = 1 << 30;
const LOG = { Type: "json-file", Config: { "max-size": "50m", "max-file": "4" } };

export interface Making {
  cluster: Cluster;
  spec: Spec;
  node: NodeSpec;
  image: string;
  /** Of the container. */
  name: string;
  labels: Record<string, string>;
  address: string;
  ports: Record<string, number>;
  /** Its disks that have a size of their own. */
  sizes?: DiskSizes;
  /** The volume for backups; null for a node that neither is a server nor takes them. */
  backups: string | null;
  /** Its own in the cluster's network; null in a network whose addresses are the Engine's to give. */
  ip: string | null;
}

/** The labels of a node's container, beside those of whoever made it. */
export function nodeLabels(
  cluster: Cluster,
  by: Pick<By, "run" | "path">,
  spec: Spec,
  node: NodeSpec,
): Record<string, string> {
  return {
    ...labelsFor(cluster.name, by),
    [LABEL.kind]: "node",
    [LABEL.node]: node.name,
    [LABEL.roles]: node.roles.join(","),
    [LABEL.spec]: JSON.stringify(fixedSpecOf(spec) satisfies FixedSpec),
    [LABEL.place]: JSON.stringify(node.place ?? {}),
  };
}

/** Makes the container of a node, with its configuration; it is not started. Gives its id. */
export async function createContainer(making: Making): Promise<string> {
  const { name } = making;
  const { engine } = making.cluster;
  let container: Docker.Container;
  try {
    container = await engine.docker.createContainer(containerOf(making));
  } catch (error) {
    if (statusOf(error) !== 409) throw engineError(engine, `make ${name}`, error);
    throw new PgdbaError("step_refused", `There is a container ${name} already`, {
      hint: "Remove or rename it, or choose another name for the cluster.",
      cause: error,
    });
  }
  await putConfiguration(making, container.id);
  return container.id;
}

/** The container of a node as the Engine is told of it; `deployments/docker/docker-compose.yml` tells the same. */
export function containerOf(
  making: Omit<Making, "cluster" | "spec"> & { cluster: Pick<Cluster, "name"> },
): Docker.ContainerCreateOptions {
  const { cluster, node, image, name, address, ports, sizes = {} } = making;
  const layout = layoutOf(node.roles[0]!);
  const { memory, cpus } = (node.place ?? {}) as { memory?: string; cpus?: number };
  const mounts: Docker.MountConfig = [
    { Type: "volume", Source: secretsVolume(cluster.name, node.name), Target: SECRETS_DIR },
  ];
  if (layout.volume)
    for (const { volume, target } of volumesFor(cluster.name, node.name, sizes))
      mounts.push({ Type: "volume", Source: volume, Target: target });
  if (making.backups !== null)
    mounts.push({ Type: "volume", Source: making.backups, Target: BACKUPS_DIR });
  const bindings = Object.entries(ports).map(([inside, port]) => [
    `${inside}/tcp`,
    [{ HostIp: address, HostPort: String(port) }],
  ]);
  return {
    name,
    Image: image,
    Hostname: node.name,
    Labels: {
      ...making.labels,
      [LABEL.ports]: JSON.stringify(ports),
      [LABEL.address]: address,
      ...(hasSizes(sizes) ? { [LABEL.sizes]: JSON.stringify(sizes) } : {}),
      ...(making.ip === null ? {} : { [LABEL.ip]: making.ip }),
    },
    StopTimeout: STOP_SECONDS,
    ...(layout.entrypoint === undefined
      ? {}
      : {
          Entrypoint: [...layout.entrypoint],
          Cmd: [],
          User: layout.user,
          Healthcheck: { Test: ["NONE"] },
        }),
    ExposedPorts: Object.fromEntries(bindings.map(([inside]) => [inside, {}])),
    HostConfig: {
      RestartPolicy: { Name: POLICY },
      PortBindings: Object.fromEntries(bindings) as Docker.PortMap,
      Mounts: mounts,
      ...(layout.memory === undefined ? {} : { Tmpfs: { [layout.memory]: "mode=0700" } }),
      NetworkMode: networkName(cluster.name),
      ShmSize: SHM_BYTES,
      LogConfig: LOG,
      ...(memory === undefined ? {} : { Memory: bytesOf(memory) }),
      ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
    },
    NetworkingConfig: {
      EndpointsConfig: {
        [networkName(cluster.name)]: {
          Aliases: [node.name],
          ...(making.ip === null ? {} : { IPAMConfig: { IPv4Address: making.ip } }),
        },
      },
    },
  };
}

/** It stands in the container itself: a container that is made anew gets it anew. */
async function putConfiguration(
  { cluster: { engine }, spec, node, sizes: { data, wal } = {} }: Making,
  id: string,
): Promise<void> {
  const walBytes = wal ?? data;
  const sizes = { walVolume: wal !== undefined, ...(walBytes === undefined ? {} : { walBytes }) };
  const files = Object.entries(filesOf(spec, node, sizes)).map(([name, text]) => ({
    path: `${CONFIG_DIR.slice(1)}/${name}`,
    content: name === "patroni.yml" ? text + tagsOf(node.place) : text,
    mode: 0o644,
  }));
  const archive = tarOf([{ path: `${CONFIG_DIR.slice(1)}/`, content: "", mode: 0o755 }, ...files]);
  await ask(engine, `put the configuration of ${node.name}`, () =>
    engine.docker.getContainer(id).putArchive(archive, { path: "/" }),
  );
}

/** JSON is YAML. */
function tagsOf(place: JsonObject | undefined): string {
  const tags = place?.["tags"];
  return tags === undefined ? "" : `\ntags: ${JSON.stringify(tags)}\n`;
}

/**
 * Puts the secrets of a node into its volume, before it is started for the first time: each in a file that only root reads, and libpq's
 * file with those of PostgreSQL's accounts for the account that the server runs as; so are certificates, which its service reads itself.
 */
export async function putSecrets(
  { engine }: Cluster,
  id: string,
  { spec, node }: Pick<Making, "spec" | "node">,
  {
    passwords,
    certificates,
  }: {
    passwords: ReadonlyMap<string, string>;
    certificates: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const files = Object.entries(secretsOf(spec, node)).map(([account, secret]): TarFile => ({
    path: account,
    content: passwords.get(secret)!,
    mode: 0o600,
  }));
  const { user, entrypoint } = layoutOf(node.roles[0]!);
  const owner = (await accountsIn(engine, id)).find(({ name }) => name === user);
  const own = owner === undefined ? {} : { uid: owner.uid, gid: owner.gid };
  // No start script hands them on there.
  if (entrypoint !== undefined) for (const file of files) Object.assign(file, own);
  for (const [path, content] of Object.entries(certificates))
    files.push({ path, content, mode: 0o600, ...own });
  if (node.roles.includes("postgres") && owner !== undefined) {
    const accounts = [spec.superuser, spec.replication, spec.accounts?.["rewind"]];
    const lines = accounts.flatMap((account) =>
      account === undefined
        ? []
        : [`*:*:*:${escaped(account.user)}:${escaped(passwords.get(account.password)!)}\n`],
    );
    files.push({ path: "pgpass", content: lines.join(""), mode: 0o600, ...own });
  }
  await ask(engine, `put the secrets of ${node.name}`, () =>
    engine.docker.getContainer(id).putArchive(tarOf(files), { path: SECRETS_DIR }),
  );
}

const escaped = (text: string): string => text.replace(/[\\:]/g, "\\$&");

/** Makes a volume, or takes the one that is this node's already. @throws PgdbaError step_refused: it is somebody else's */
export async function ensureVolume(
  { engine, name: cluster }: Cluster,
  volume: string,
  labels: Record<string, string>,
  options?: Record<string, string>,
): Promise<void> {
  const { Labels } = await ask(engine, `make the volume ${volume}`, async () => {
    const more = options === undefined ? {} : { DriverOpts: options };
    await engine.docker.createVolume({ Name: volume, Labels: labels, ...more });
    return engine.docker.getVolume(volume).inspect();
  });
  if (Labels?.[LABEL.cluster] === cluster) return;
  throw new PgdbaError("step_refused", `The volume ${volume} is not of this cluster`, {
    hint: "Remove it if nobody needs it, or choose another name for the cluster.",
  });
}
