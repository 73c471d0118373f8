import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { suggest } from "../../engine/shared/suggest.ts";
import { errnoOf } from "../../engine/shared/read-file.ts";
import { type ClusterEntry, readClusterFile } from "./read.ts";

/** The built-in cluster, which is there before it is made. */
export const LAB = "lab";

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
const ENDING = ".yaml";

export function clustersFolder(stateDir: string): string {
  return join(stateDir, "clusters");
}

/** @throws PgdbaError invalid_param for what is no name of a cluster; it is not repeated */
export function clusterFile(stateDir: string, name: string): string {
  if (NAME.test(name)) return join(clustersFolder(stateDir), name + ENDING);
  throw new PgdbaError("invalid_param", "This is not the name of a cluster", {
    hint: "A name is letters, digits, - and _, at most 63, and begins with a letter or digit.",
  });
}

/** The names that `--cluster` takes. */
export async function clusterNames(stateDir: string): Promise<string[]> {
  const files = await readdir(clustersFolder(stateDir)).catch(() => []);
  const names = files
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length));
  return [...new Set([LAB, ...names])].toSorted();
}

/** The one cluster that is registered; the built-in one counts by its name alone. A file that can't be read counts as well. */
export async function onlyCluster(stateDir: string): Promise<string | null> {
  const names = (await clusterNames(stateDir)).filter((name) => name !== LAB);
  return names.length === 1 ? names[0]! : null;
}

/** A file of the registry: what it says, or what is wrong with it. */
export interface Listed {
  name: string;
  file: string;
  entry: ClusterEntry | null;
  problem: PgdbaError | null;
}

/** All files of the registry, by name. @throws PgdbaError io_failed when the folder can't be read */
export async function listClusters(stateDir: string): Promise<Listed[]> {
  const folder = clustersFolder(stateDir);
  const files = await readdir(folder).catch((cause: unknown) => {
    if (errnoOf(cause) === "ENOENT") return [];
    throw new PgdbaError("io_failed", `${folder}: ${errnoOf(cause)}`, {
      cause,
      hint: "It must be a folder that the user who runs pgdba may read.",
    });
  });
  return Promise.all(
    files
      .filter((name) => !name.startsWith(".") && /\.ya?ml$/.test(name))
      .toSorted()
      .map((name) => listed(folder, name)),
  );
}

async function listed(folder: string, fileName: string): Promise<Listed> {
  const file = join(folder, fileName);
  const name = fileName.replace(/\.ya?ml$/, "");
  const misnamed =
    fileName.endsWith(ENDING) && NAME.test(name)
      ? null
      : new PgdbaError("invalid_config", `${file}: no cluster can have this name`, {
          hint: `Call it NAME${ENDING}; a name is letters, digits, - and _, at most 63, and begins with a letter or digit.`,
        });
  if (!fileName.endsWith(ENDING)) return { name, file, entry: null, problem: misnamed };
  try {
    // It may have been removed meanwhile.
    const entry = (await readClusterFile(name, file)) ?? null;
    return { name, file, entry, problem: misnamed };
  } catch (error) {
    return { name, file, entry: null, problem: toPgdbaError(error) };
  }
}

/** All that stands in the registry, and the files that nobody can read. */
export async function readRegistry(
  stateDir: string,
): Promise<{ entries: ClusterEntry[]; unread: string[] }> {
  try {
    const all = await listClusters(stateDir);
    return {
      entries: all.flatMap(({ entry }) => entry ?? []),
      // A file of another ending was never read; one that has only a bad name speaks of its server all the same.
      unread: all.flatMap(({ file, entry, problem }) =>
        entry === null && file.endsWith(ENDING) ? (problem?.message ?? []) : [],
      ),
    };
  } catch (error) {
    return { entries: [], unread: [toPgdbaError(error).message] };
  }
}

/** @throws PgdbaError no_target with the names that there are */
export async function unknownCluster(
  stateDir: string,
  name: string,
  nearest: (word: string, candidates: Iterable<string>) => string | undefined = suggest,
): Promise<PgdbaError> {
  const known = await clusterNames(stateDir);
  const near = nearest(name, known);
  const others =
    near === undefined
      ? `Known clusters: ${known.slice(0, 20).join(", ")}.`
      : `Did you mean ${near}?`;
  return new PgdbaError("no_target", `There is no cluster named ${name}`, {
    // The built-in one is known by name before it is there.
    hint: name === LAB ? "`pgdba lab up` makes it." : others,
  });
}
