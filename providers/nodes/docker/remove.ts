import type { Change, Nodes } from "../contract.ts";
import { detachDisks, type DiskSizes, hasSizes } from "./disks.ts";
import { refused } from "../spec.ts";
import { ask, statusOf } from "./engine.ts";
import { exclusively, removeHoldings } from "./hold.ts";
import { helperImage } from "./images.ts";
import { removeContainer, type Work } from "./make.ts";
import {
  type Cluster,
  filter,
  LABEL,
  type NodeRecord,
  readRecords,
  REPOSITORY_LABEL,
} from "./record.ts";

export type Which = Parameters<Nodes["deprovision"]>[0];

const LOCK_MS = 300_000;
/** A network is in use for a moment after its last container has gone. */
const NETWORK_TRIES = 20;

/** The volumes of the cluster's nodes; a repository of backups is none of them. */
async function volumesOf({ engine, name }: Cluster) {
  const { Volumes } = await ask(engine, "list volumes", () =>
    engine.docker.listVolumes({ filters: JSON.stringify(filter(name)) as never }),
  );
  return (Volumes ?? []).filter(({ Labels }) => !(REPOSITORY_LABEL in (Labels ?? {})));
}

export async function deprovision(work: Work, which: Which): Promise<Change[]> {
  const { cluster, by } = work;
  const records = await readRecords(cluster);
  const isGoing = (one: { node: string; run: string }) =>
    which === undefined ||
    ("run" in which
      ? one.run === which.run && which.but?.includes(one.node) !== true
      : which.nodes.includes(one.node));
  const going = records.filter(({ node, labels }) => isGoing({ node, run: labels.run }));
  const staying = records.filter((record) => !going.includes(record));
  if (which !== undefined && "nodes" in which) assertDataStays(going, staying);
  const act = () =>
    remove(cluster, going, staying, isGoing, async () => known ?? helperImage(work));
  let known: string | undefined;
  if (records.length === 0) return act();
  known = await helperImage(work).catch(() => undefined);
  // Without an image nothing could run beside it either.
  if (known === undefined) return act();
  return exclusively(cluster, { image: known, waitMs: LOCK_MS, signal: by.signal }, act);
}

/** Nodes without data are no loss; the last server, and the last of the store that it needs, are. */
function assertDataStays(going: readonly NodeRecord[], staying: readonly NodeRecord[]): void {
  for (const role of ["postgres", "etcd"] as const) {
    if (!going.some((one) => one.made && one.role === role)) continue;
    if (staying.some((one) => one.made && one.role === role)) continue;
    throw refused(
      role === "postgres" ? "No node would be left that has the data" : "No etcd would be left",
      "To remove a whole cluster is another thing than to remove nodes: destroy it.",
    );
  }
}

async function remove(
  cluster: Cluster,
  going: readonly NodeRecord[],
  staying: readonly NodeRecord[],
  isGoing: (one: { node: string; run: string }) => boolean,
  image: () => Promise<string>,
): Promise<Change[]> {
  const { engine, name } = cluster;
  const removed = new Set<string>();
  const staysNode = (node: string | undefined): boolean =>
    staying.some((record) => record.node === node);
  // Servers first: what they still write has its store meanwhile.
  for (const record of going.toSorted((a, b) => rank(a) - rank(b))) {
    await removeContainer(cluster, record.id);
    removed.add(record.node);
  }
  const containers = await ask(engine, "list containers", () =>
    engine.docker.listContainers({ all: true, filters: filter(name) }),
  );
  for (const { Id, Labels } of containers) {
    const kind = Labels[LABEL.kind];
    // What a renewal has left goes with its node; helpers and healers of a node that stays are of use.
    if (kind === "hold" || staysNode(Labels[LABEL.node])) continue;
    // Also what stood beside a node whose own container somebody else has removed.
    const beside = Labels[LABEL.node] ?? "";
    const isOfGoing = beside !== "" && isGoing({ node: beside, run: Labels[LABEL.run] ?? "" });
    if (isOfGoing || removed.has(beside) || staying.length === 0)
      await removeContainer(cluster, Id);
  }
  const isDisk = ({ Labels }: { Labels: Record<string, string> | null }): number =>
    LABEL.sizes in (Labels ?? {}) ? 1 : 0;
  // The files of a disk are the last: it is mounted by the others.
  const volumes = (await volumesOf(cluster)).filter(({ Labels }) => {
    const node = Labels[LABEL.node] ?? "";
    if (staysNode(node)) return false;
    return removed.has(node) || isGoing({ node, run: Labels[LABEL.run] ?? "" });
  });
  const names = new Set(volumes.map(({ Name }) => Name));
  // A helper that has ended, and whose process was killed before it took it away, would keep its volume.
  for (const { Id, Labels, State, Mounts } of containers)
    if (Labels[LABEL.kind] === "helper" && State === "exited")
      if (Mounts.some(({ Name }) => names.has(Name ?? ""))) await removeContainer(cluster, Id);
  for (const { Name, Labels } of volumes.toSorted((a, b) => isDisk(a) - isDisk(b))) {
    const node = Labels[LABEL.node] ?? "";
    const sizes = JSON.parse(Labels[LABEL.sizes] ?? "{}") as DiskSizes;
    if (hasSizes(sizes)) await detachDisks(cluster, node, sizes, await image());
    await removeVolume(cluster, Name);
    removed.add(node);
  }
  if (staying.length === 0) {
    await removeNetworks(cluster);
    await removeHoldings(cluster);
  }
  return [...removed].toSorted().map((node) => ({ node, act: "remove", what: "with its data" }));
}

const rank = ({ role }: NodeRecord): number => (role === "etcd" ? 1 : 0);

async function removeVolume({ engine }: Cluster, volume: string): Promise<void> {
  await ask(engine, `remove the volume ${volume}`, async () => {
    try {
      await engine.docker.getVolume(volume).remove({ force: true });
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
  });
}

async function removeNetworks({ engine, name }: Cluster): Promise<void> {
  const all = await ask(engine, "list networks", () =>
    engine.docker.listNetworks({ filters: filter(name) }),
  );
  for (const { Id } of all) {
    for (let tries = 1; ; tries++) {
      try {
        await engine.docker.getNetwork(Id).remove();
        break;
      } catch (error) {
        if (statusOf(error) === 404) break;
        if (statusOf(error) !== 403 || tries === NETWORK_TRIES)
          await ask(engine, "remove the cluster's network", () => Promise.reject(error));
        await Bun.sleep(100);
      }
    }
  }
}
