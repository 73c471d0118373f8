import type Docker from "dockerode";
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Address, By, Role } from "../contract.ts";
import { ask, type Engine, soon } from "./engine.ts";
import { BACKUPS_DIR, ROLES } from "./roles.ts";

/** The labels that say whose a thing is. */
export const LABEL = {
  cluster: "pgdba.cluster",
  run: "pgdba.run",
  path: "pgdba.path",
  node: "pgdba.node",
  roles: "pgdba.roles",
  /** What a container is for: `node`, or one of ours beside them. */
  kind: "pgdba.kind",
  /** The facts that a spec is compared with, as JSON. */
  spec: "pgdba.spec",
  /** The published ports, as JSON: they are fixed for the life of the node. */
  ports: "pgdba.ports",
  address: "pgdba.address",
  /** Of a node its own address in the cluster's network, of the network the range of them. */
  ip: "pgdba.ip",
  /** What the spec said of the node's own place, as JSON. */
  place: "pgdba.place",
  /** The disks of a size, as JSON. */
  sizes: "pgdba.sizes",
} as const;

/** A volume for backups has it, and no cluster's name: it is never removed with a cluster, and several may share it. */
export const REPOSITORY_LABEL = "pgdba.repository";

export interface Cluster {
  engine: Engine;
  name: string;
}

/** The part of a spec that a node can't change. */
export interface FixedSpec {
  version: number;
  superuser: string;
  replication: string;
  patroni: boolean;
  tls?: boolean;
}

/** One container as the Engine lists it. */
export interface NodeRecord {
  id: string;
  node: string;
  /** Of the container. */
  name: string;
  roles: Role[];
  role: Role;
  labels: { run: string; path: string };
  /** A container has another name until its node is made to the end. */
  made: boolean;
  image: string;
  /** Of the image: another one may have its name by now. */
  imageId: string;
  place: JsonObject;
  /** `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`. */
  state: string;
  status: string;
  spec: FixedSpec;
  /** The published port of each port inside. */
  ports: Record<string, number>;
  /** Its disks that have a size of their own, in bytes. */
  sizes: { data?: number; wal?: number };
  /** The address that they are published on. */
  address: string;
  /** Its own in the cluster's network; null in one that was made before there were any. */
  ip: string | null;
  /** The volume for backups that it has; null in one that was made before there was any. */
  backups: string | null;
}

export const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const containerName = (cluster: string, node: string): string => `${cluster}-${node}`;
/** Until it is made, or made anew. */
export const draftName = (cluster: string, node: string): string => `${cluster}-${node}.new`;
export const renewedName = (cluster: string, node: string): string => `${cluster}-${node}.renew`;
export const dataVolume = (cluster: string, node: string): string => `${cluster}-${node}-data`;
export const secretsVolume = (cluster: string, node: string): string =>
  `${cluster}-${node}-secrets`;
export const networkName = (cluster: string): string => `${cluster}-net`;

export const labelsFor = (
  cluster: string,
  by: Pick<By, "run" | "path">,
): Record<string, string> => ({
  [LABEL.cluster]: cluster,
  [LABEL.run]: by.run,
  [LABEL.path]: by.path,
});

export const filter = (cluster: string, more: Record<string, string> = {}) => ({
  label: Object.entries({ [LABEL.cluster]: cluster, ...more }).map(
    ([name, value]) => `${name}=${value}`,
  ),
});

/** All nodes with the cluster's label, by name. @throws PgdbaError connection_failed */
export async function readRecords({ engine, name }: Cluster): Promise<NodeRecord[]> {
  const found = await ask(engine, "list containers", () =>
    engine.docker.listContainers({
      all: true,
      filters: filter(name, { [LABEL.kind]: "node" }),
      ...soon(),
    }),
  );
  const byNode = new Map<string, NodeRecord>();
  // A renewal that was cut off leaves two: the old one counts until it is gone.
  for (const info of found.toSorted((a, b) => a.Created - b.Created)) {
    const record = recordOf(name, info);
    if (record.state === "removing") continue;
    if (!byNode.has(record.node)) byNode.set(record.node, record);
  }
  return [...byNode.values()].toSorted((a, b) => (a.node < b.node ? -1 : 1));
}

function recordOf(cluster: string, info: Docker.ContainerInfo): NodeRecord {
  const label = (name: string): string => info.Labels[name] ?? "";
  const node = label(LABEL.node);
  const name = (info.Names[0] ?? "").replace(/^\//, "");
  const roles = label(LABEL.roles).split(",").filter(Boolean) as Role[];
  return {
    id: info.Id,
    node,
    name,
    roles,
    role: roles.find((role) => role in ROLES) ?? "postgres",
    labels: { run: label(LABEL.run), path: label(LABEL.path) },
    made: name !== draftName(cluster, node),
    image: info.Image,
    imageId: info.ImageID,
    place: JSON.parse(label(LABEL.place) || "{}") as JsonObject,
    state: info.State,
    status: info.Status,
    spec: JSON.parse(label(LABEL.spec) || "{}") as FixedSpec,
    ports: JSON.parse(label(LABEL.ports) || "{}") as Record<string, number>,
    sizes: JSON.parse(label(LABEL.sizes) || "{}") as NodeRecord["sizes"],
    address: label(LABEL.address) || "127.0.0.1",
    ip: label(LABEL.ip) || null,
    backups: info.Mounts.find(({ Destination }) => Destination === BACKUPS_DIR)?.Name ?? null,
  };
}

/** @throws PgdbaError step_failed (no such node) | connection_failed */
export async function nodeOf(cluster: Cluster, node: string): Promise<NodeRecord> {
  const all = await readRecords(cluster);
  const found = all.find((one) => one.node === node);
  if (found !== undefined) return found;
  const names = all.map((one) => one.node).join(", ");
  throw new PgdbaError("step_failed", `${cluster.name} has no node ${JSON.stringify(node)}`, {
    hint: names === "" ? "It has no nodes." : `Its nodes are ${names}.`,
    nothingDone: true,
  });
}

/** Where pgdba reaches a port of the node; null where it is not published. */
export function reachOf(record: NodeRecord, port: number): Address | null {
  const published = record.ports[String(port)];
  return published === undefined ? null : { host: record.address, port: published };
}
