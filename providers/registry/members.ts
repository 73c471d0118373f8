import { listClusters } from "./folder.ts";

/** The members that the registry knows, by name: of one cluster, or of all. A file that can't be read has none. */
export async function memberNames(stateDir: string, cluster?: string): Promise<string[]> {
  const listed = await listClusters(stateDir);
  const names = listed
    .filter(({ name }) => cluster === undefined || name === cluster)
    .flatMap(({ entry }) => [
      ...(entry?.data.nodes ?? [])
        .filter(({ roles }) => roles.includes("postgres"))
        .map(({ name }) => name),
      ...Object.keys(entry?.data.patroni?.members ?? {}),
    ]);
  return [...new Set(names)].toSorted();
}
