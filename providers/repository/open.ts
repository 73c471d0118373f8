import { PgdbaError } from "../../engine/errors.ts";
import { onlyReads } from "../target/only-reads.ts";
import type { Place, Repository } from "./contract.ts";

/** The verbs of a repository that change nothing in it. */
export const REPOSITORY_READS = ["read", "stat", "list", "space", "close"] as const;

/** The repository at a place that this machine reaches. @throws PgdbaError repository_failed */
export async function openRepository(place: Place): Promise<Repository> {
  const { openDirectory } = await import("./directory.ts");
  if (place.kind === "directory") return openDirectory(place.path);
  throw notYet(place);
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
  const { makeDirectory } = await import("./directory.ts");
  if (place.kind === "directory") return makeDirectory(place.path, owner);
  throw notYet(place);
}

const notYet = ({ kind }: Place): PgdbaError =>
  new PgdbaError("unsupported", `A repository of the kind ${kind} can't be used yet`, {
    hint: "Use a folder.",
    nothingDone: true,
  });

export const readingOnly = (repository: Repository): Repository =>
  onlyReads(repository, REPOSITORY_READS, "repository");
