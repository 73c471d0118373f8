/** Containers of nodes that are made anew: another image, another limit, the same volumes, ports, name and labels. */
import type { Json } from "../../../engine/types.ts";
import type { Change, Difference, NodeSpec, Prepared, Role, Spec } from "../contract.ts";
import { refused } from "../spec.ts";
import { backupsFor, ensureBackups } from "./backups.ts";
import { createContainer, nodeLabels } from "./create.ts";
import { decide } from "./decide.ts";
import { ask } from "./engine.ts";
import { exclusively } from "./hold.ts";
import { imageFor, imageNamed } from "./images.ts";
import { inspected, startNode, stopNode } from "./life.ts";
import { findNodes, LOCK_MS, removeContainer, type Work } from "./make.ts";
import {
  type Cluster,
  containerName,
  LABEL,
  nodeOf,
  type NodeRecord,
  renewedName,
} from "./record.ts";
import { stateOf } from "./state.ts";

export async function prepare(
  work: Work,
  spec: Spec,
  options: { anew?: boolean } = {},
): Promise<Prepared[]> {
  decide(spec, await findNodes(work.cluster));
  const at = { ...work, place: { ...work.place, ...spec.place } };
  const prepared: Prepared[] = [];
  for (const role of new Set(spec.nodes.flatMap(({ roles }) => roles))) {
    const before = await imageNamed(at, role, spec.version);
    const from = await imageFor(at, role, spec.version, options);
    const { id } = await imageNamed(at, role, spec.version);
    prepared.push({ role, from, changed: before.id !== id });
  }
  return prepared;
}

export async function compare(work: Work, spec: Spec): Promise<Difference[]> {
  const found = await findNodes(work.cluster);
  decide(spec, found);
  const place = { ...work.place, ...spec.place };
  const images = new Map<Role, Awaited<ReturnType<typeof imageNamed>>>();
  const differences: Difference[] = [];
  for (const wanted of spec.nodes) {
    const record = found.find((one) => one.record.node === wanted.name)?.record;
    if (record === undefined) continue;
    const { role } = record;
    const image = images.get(role) ?? (await imageNamed({ ...work, place }, role, spec.version));
    images.set(role, image);
    const is = await imageNameOf(work.cluster, record);
    differences.push({
      node: wanted.name,
      differs: differencesOf({ ...record, image: is }, wanted, {
        image,
        backups: backupsFor(place, role),
      }),
    });
  }
  return differences;
}

/** The Engine lists the image by its id alone once another one has its name. */
async function imageNameOf(cluster: Cluster, record: NodeRecord): Promise<string> {
  return record.image.startsWith("sha256:")
    ? (await inspected({ cluster, record })).Config.Image
    : record.image;
}

function differencesOf(
  { image: is, imageId, place, backups: has }: NodeRecord,
  wanted: NodeSpec,
  { image, backups }: { image: { name: string; id: string | null }; backups: string | null },
): string[] {
  const all: string[] = [];
  if (image.id === null) all.push(`image ${image.name}, which is not there yet, instead of ${is}`);
  else if (image.id !== imageId && image.name !== is)
    all.push(`image ${image.name} instead of ${is}`);
  else if (image.id !== imageId) all.push(`image ${image.name}, which was made anew since`);
  if (has !== backups) all.push(`volume for backups ${said(backups)} instead of ${said(has)}`);
  for (const [what, value] of Object.entries(wanted.place ?? {})) {
    // That of a port can't be changed: `decide` has refused it.
    if (what === "port" || Bun.deepEquals(value, place[what])) continue;
    all.push(`${what} ${said(value)} instead of ${said(place[what])}`);
  }
  return all;
}

const said = (value: Json | undefined): string =>
  value == null ? "none" : typeof value === "string" ? value : JSON.stringify(value);

export async function renew(work: Work, node: string, spec: Spec): Promise<Change> {
  const { cluster, by } = work;
  const named = spec.nodes.find((one) => one.name === node);
  if (named === undefined) throw refused(`The spec has no node ${node}`, "Name one that it has.");
  decide(spec, await findNodes(cluster));
  const before = await nodeOf(cluster, node);
  const { running } = await stateOf(cluster, before);
  if (running === "frozen")
    throw refused(`${node} is frozen: it can't be made anew`, "Thaw it first, or kill it.");
  const place = { ...work.place, ...spec.place };
  const image = await imageFor({ ...work, place }, before.role, spec.version);
  const isUp = running !== "stopped" && running !== "failed";
  const held = { image: before.image, waitMs: LOCK_MS, signal: by.signal };
  return exclusively(cluster, held, async () => {
    const record = await wholeAgain(cluster, node);
    const { ports, address, sizes, ip } = record;
    const wanted = { ...named, place: { ...record.place, ...named.place } };
    const labels = nodeLabels(cluster, record.labels, spec, wanted);
    const name = renewedName(cluster.name, node);
    const made = { cluster, spec, node: wanted, image, name, labels, address, ports, sizes };
    const backups = backupsFor(place, record.role);
    if (backups !== null) await ensureBackups(cluster, backups);
    const id = await createContainer({ ...made, backups, ip });
    await stopNode({ cluster, record, by }, "fast");
    await removeContainer(cluster, record.id);
    await giveName(cluster, id, node);
    if (isUp) await startNode({ cluster, record: await nodeOf(cluster, node), by });
    return { node, act: "make", what: `anew from ${image}` };
  });
}

/** What a renewal that was cut off has left: its draft is removed, or is the node where the old container is gone. */
async function wholeAgain(cluster: Cluster, node: string): Promise<NodeRecord> {
  const { engine, name } = cluster;
  const draft = renewedName(name, node);
  const record = await nodeOf(cluster, node);
  if (record.name === draft) await giveName(cluster, record.id, node);
  const filters = { name: [`^/${draft}$`] };
  const stale = await ask(engine, "list containers", () =>
    engine.docker.listContainers({ all: true, filters }),
  );
  for (const { Id, Labels } of stale)
    if (Labels[LABEL.cluster] === name) await removeContainer(cluster, Id);
  return record;
}

const giveName = ({ engine, name }: Cluster, id: string, node: string): Promise<void> =>
  ask(engine, `rename ${renewedName(name, node)}`, () =>
    engine.docker.getContainer(id).rename({ name: containerName(name, node) }),
  );
