import { onlyReads } from "../target/only-reads.ts";
import type { Place, Repository } from "./contract.ts";

/** The verbs of a repository that change nothing in it. */
const REPOSITORY_READS = ["read", "stat", "list", "names", "space", "close"] as const;

/** The repository at a place that this machine reaches. `key`: of an object store, where no file holds it yet. @throws PgdbaError repository_failed | missing_secret */
export async function openRepository(place: Place, key?: string): Promise<Repository> {
  if (place.kind === "directory") return (await import("./directory.ts")).openDirectory(place.path);
  return (await import("./object-store.ts")).openStore(place, key);
}

/**
 * Makes a repository of the place, or sees that it is one. It is tried whether it keeps what it promises: that a name is given once.
 * @throws PgdbaError repository_failed | step_refused
 */
export async function makeRepository(
  place: Place,
  /** Of a folder that is made for it by root. */
  owner?: { uid: number; gid: number },
): Promise<void> {
  if (place.kind === "directory")
    return (await import("./directory.ts")).makeDirectory(place.path, owner);
  return (await import("./object-store.ts")).makeStore(place);
}

export const readingOnly = (repository: Repository): Repository =>
  onlyReads(repository, REPOSITORY_READS, "repository");
