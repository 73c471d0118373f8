/** The volume for backups: all servers of a cluster have it, several clusters may share it, and it outlives them. */
import type { JsonObject } from "../../../engine/types.ts";
import type { Role } from "../contract.ts";
import { ask } from "./engine.ts";
import { type Cluster, REPOSITORY_LABEL } from "./record.ts";

const USUAL = "pgdba-backups";

/** Those that keep backups, take them, or tell of them. */
const OF_BACKUPS: readonly Role[] = ["postgres", "backup", "monitoring"];

/** Its name; null for a node that has nothing to do with them. */
export const backupsFor = (place: JsonObject, role: Role): string | null =>
  OF_BACKUPS.includes(role) ? String(place["backups"] ?? USUAL) : null;

/** Makes it where there is none: one that somebody has made, on a disk or a share of his own, is taken as it is. */
export async function ensureBackups({ engine }: Cluster, volume: string): Promise<void> {
  await ask(engine, `make the volume ${volume}`, () =>
    engine.docker.createVolume({ Name: volume, Labels: { [REPOSITORY_LABEL]: "volume" } }),
  );
}
