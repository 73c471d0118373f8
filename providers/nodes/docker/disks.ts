import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Role, Spec } from "../contract.ts";
import { refused } from "../spec.ts";
import { runHelper } from "./helper.ts";
import script from "./node/disk.py" with { type: "text" };
import { type Cluster, dataVolume, readRecords } from "./record.ts";
import { HOME_DIR, WAL_DIR } from "./roles.ts";

/** The disks of a node that have a size of their own, in bytes. */
export interface DiskSizes {
  data?: number;
  wal?: number;
}

const UNITS: Record<string, number> = { k: 1 << 10, m: 1 << 20, g: 1 << 30, t: 2 ** 40 };
const IMAGES = "/disk";
/** xfs makes none that is smaller. */
const LEAST = "300m";

/** As in `512m` or `20g`. */
export function bytesOf(text: string): number {
  return Number(text.slice(0, -1)) * UNITS[text.at(-1)!]!;
}

export function sizesOf(place: JsonObject, role: Role): DiskSizes {
  const { data_size, wal_size, dcs_size } = place as Record<string, string | undefined>;
  if (role === "etcd") return dcs_size === undefined ? {} : { data: bytesOf(dcs_size) };
  if (role !== "postgres") return {};
  return {
    ...(data_size === undefined ? {} : { data: bytesOf(data_size) }),
    ...(wal_size === undefined ? {} : { wal: bytesOf(wal_size) }),
  };
}

/** @throws PgdbaError step_refused where a disk would be too small for its file system */
export function assertSizes({ place = {} }: Pick<Spec, "place">): void {
  const tooSmall = ["data_size", "wal_size", "dcs_size"].filter((name) => {
    const size = place[name] as string | undefined;
    return size !== undefined && bytesOf(size) < bytesOf(LEAST);
  });
  if (tooSmall.length === 0) return;
  const names = tooSmall.map((name) => `${name} ${String(place[name])}`);
  throw refused(
    `A disk takes ${LEAST} at least, and ${names.join(" and ")} is less`,
    "Give more, or leave it out for a volume without a limit.",
  );
}

export const hasSizes = (sizes: DiskSizes): boolean => Object.keys(sizes).length > 0;

/** The volume that the files lie in which such disks are made of. */
export const diskVolume = (cluster: string, node: string): string => `${cluster}-${node}-disk`;
const walVolume = (cluster: string, node: string): string => `${cluster}-${node}-wal`;
const linkOf = (cluster: string, node: string, of: string): string =>
  `/dev/pgdba-${cluster}-${node}-${of}`;

/** The volumes of a node's service, and where each is mounted. */
export function volumesFor(
  cluster: string,
  node: string,
  sizes: DiskSizes,
): { of: keyof DiskSizes; volume: string; target: string }[] {
  const data = { of: "data", volume: dataVolume(cluster, node), target: HOME_DIR } as const;
  const wal = { of: "wal", volume: walVolume(cluster, node), target: WAL_DIR } as const;
  return sizes.wal === undefined ? [data] : [data, wal];
}

/** What makes a volume one of a size; undefined for one without. */
export function optionsFor(
  cluster: string,
  node: string,
  of: keyof DiskSizes,
  sizes: DiskSizes,
): Record<string, string> | undefined {
  return sizes[of] === undefined
    ? undefined
    : { type: "xfs", device: linkOf(cluster, node, of), o: "noatime" };
}

/**
 * Makes the disks, or attaches them again: after a restart of the machine nothing is attached. Done again it changes nothing. The image of a
 * server, where there is one, for it has the programs.
 * @throws PgdbaError unsupported: the Engine's machine has no such devices
 */
export function attachDisks(
  cluster: Cluster,
  node: string,
  sizes: DiskSizes,
  image: string,
): Promise<void> {
  return onDisks(cluster, node, sizes, { verb: "attach", image });
}

export function detachDisks(
  cluster: Cluster,
  node: string,
  sizes: DiskSizes,
  image: string,
): Promise<void> {
  return onDisks(cluster, node, sizes, { verb: "detach", image });
}

async function onDisks(
  cluster: Cluster,
  node: string,
  sizes: DiskSizes,
  { verb, image }: { verb: "attach" | "detach"; image: string },
): Promise<void> {
  if (!hasSizes(sizes)) return;
  const server = (await readRecords(cluster)).find(({ role }) => role === "postgres");
  const disks = Object.entries(sizes).map(([of, bytes]) => ({
    path: `${IMAGES}/${of}.img`,
    link: linkOf(cluster.name, node, of),
    bytes,
  }));
  const done = await runHelper(
    cluster,
    server?.image ?? image,
    ["python3", "-I", "-S", "-c", script, JSON.stringify({ verb, disks })],
    {
      NetworkMode: "none",
      Privileged: true,
      Binds: ["/dev:/dev", `${diskVolume(cluster.name, node)}:${IMAGES}`],
    },
  );
  if (done.code === 0) return;
  throw new PgdbaError("unsupported", `The disks of ${node} can't be ${verb}ed: ${done.text}`, {
    hint: "Disks of a size take loop devices and a privileged helper on the Engine's machine. Leave `data_size`, `wal_size` and `dcs_size` out for volumes without a limit.",
  });
}
