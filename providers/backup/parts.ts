/** The parts of a repository: each is one life of a cluster. */
import { PgdbaError } from "../../engine/errors.ts";
import type { Repository, Signalled } from "../repository/contract.ts";
import { type ClusterKey, clusterName, keyOf, recordPrefix } from "../repository/layout.ts";
import { textOf } from "./read-record.ts";

type Reads = Pick<Repository, "names" | "read" | "where">;

/** As `cluster.json` has it. `origins` are those of a copy, as an entry of the registry writes them. */
export interface PartFile extends ClusterKey {
  format: 1;
  origins?: string[];
}

export const partText = (key: ClusterKey, origins: readonly string[]): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({ format: 1, ...key, ...(origins.length === 0 ? {} : { origins }) }),
  );

/** Null for a part that is not there. */
async function readPart(
  repository: Reads,
  key: ClusterKey,
  options: Signalled,
): Promise<PartFile | null> {
  const name = clusterName(key);
  const bytes = await repository.read(name, options);
  return bytes === null ? null : (JSON.parse(await textOf(bytes, name)) as PartFile);
}

/**
 * The part of that name: IDENTIFIER/VERSION/CLUSTER_ID, or only the last of it. Without a name it is the only one that holds a backup.
 * @throws PgdbaError invalid_param with all parts
 */
export async function findPart(
  repository: Reads,
  wanted: string | null,
  options: Signalled,
): Promise<PartFile> {
  const all: { part: PartFile; newest: string | null }[] = [];
  for (const name of await partsIn(repository, options)) {
    const [system_identifier = "", version = "", cluster_id = ""] = name.split("/");
    const key = { system_identifier, version: Number(version), cluster_id };
    const part = await readPart(repository, key, options);
    if (part === null) continue;
    const records = await Array.fromAsync(repository.names(recordPrefix(key), options));
    const newest =
      records
        .at(-1)
        ?.slice(recordPrefix(key).length)
        .replace(/\.json$/, "") ?? null;
    all.push({ part, newest });
  }
  const fitting = all.filter(({ part, newest }) =>
    wanted === null ? newest !== null : wanted === part.cluster_id || wanted === keyOf(part),
  );
  if (fitting.length === 1) return fitting[0]!.part;
  const told = all.map(
    ({ part, newest }) =>
      `${keyOf(part)} (${newest === null ? "no backup" : `newest backup ${newest}`})`,
  );
  throw new PgdbaError(
    "invalid_param",
    fitting.length === 0
      ? `${repository.where} holds no ${wanted === null ? "backup" : `part ${wanted}`}`
      : `${repository.where} holds backups of ${fitting.length} clusters`,
    {
      hint:
        told.length === 0
          ? "Look whether this is the right place."
          : `Name one with --part: ${told.join(", ")}.`,
      data: { parts: all.map(({ part }) => keyOf(part)) },
      nothingDone: true,
    },
  );
}

/** IDENTIFIER/VERSION/CLUSTER_ID of each. */
async function partsIn(repository: Reads, options: Signalled): Promise<string[]> {
  let folders = [""];
  for (let depth = 0; depth < 3; depth++) {
    const below: string[] = [];
    for (const folder of folders)
      for await (const name of repository.names(folder, { ...options, shallow: true }))
        if (name.endsWith("/") && /^\d+\//.test(name)) below.push(name);
    folders = below;
  }
  return folders.map((folder) => folder.slice(0, -1));
}
