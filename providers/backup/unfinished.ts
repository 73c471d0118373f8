/** What backups have left that were cut off: parts without a record. None of them is a backup, and nobody lists it as one. */
import type { Repository, Signalled } from "../repository/contract.ts";
import { backupPrefix, type ClusterKey, keyOf, recordPrefix } from "../repository/layout.ts";
import { textOf } from "./read-record.ts";

export interface Unfinished {
  id: string;
  /** Written first, so that it can be found out whether somebody is still at it; null where that is not there. */
  run: string | null;
  /** When its newest part was made. */
  at: Date;
  names: string[];
  bytes: number;
}

const BEGUN = "begun.json";

/** Says whose parts these will be. */
export async function begin(
  repository: Repository,
  { key, id, run }: { key: ClusterKey; id: string; run: string },
  options: Signalled = {},
): Promise<void> {
  const text = `${JSON.stringify({ backup: id, run })}\n`;
  await repository.create(`${backupPrefix(key, id)}${BEGUN}`, Buffer.from(text), options);
}

/**
 * Those of them that nobody has finished so far, be it because somebody is still at it. `finished`: ids of which it is known that they have a record.
 */
export async function findUnfinished(
  repository: Pick<Repository, "list" | "names" | "read">,
  key: ClusterKey,
  { finished = [], ...options }: Signalled & { finished?: Iterable<string> } = {},
): Promise<Unfinished[]> {
  const prefix = `${keyOf(key)}/backup/`;
  const ids = new Set<string>();
  for await (const name of repository.names(prefix, { ...options, shallow: true }))
    ids.add(name.slice(prefix.length).split("/")[0]!);
  for (const id of finished) ids.delete(id);
  if (ids.size === 0) return [];
  // Records are looked at last: one that was finished meanwhile counts as finished.
  for await (const name of repository.names(recordPrefix(key), options))
    ids.delete(name.slice(recordPrefix(key).length).replace(/\.json$/, ""));
  const found: Unfinished[] = [];
  for (const id of ids) {
    const one = await partsOf(repository, key, id, options);
    if (one) found.push({ ...one, run: await runOf(repository, key, id, options) });
  }
  return found;
}

/** Null when nothing is left of it. */
async function partsOf(
  repository: Pick<Repository, "list">,
  key: ClusterKey,
  id: string,
  options: Signalled,
): Promise<Unfinished | null> {
  let one: Unfinished | null = null;
  for await (const { name, bytes, at } of repository.list(backupPrefix(key, id), options)) {
    one ??= { id, run: null, at, names: [], bytes: 0 };
    one.names.push(name);
    one.bytes += bytes;
    if (at > one.at) one.at = at;
  }
  return one;
}

async function runOf(
  repository: Pick<Repository, "read">,
  key: ClusterKey,
  id: string,
  options: Signalled,
): Promise<string | null> {
  const name = `${backupPrefix(key, id)}${BEGUN}`;
  const bytes = await repository.read(name, options);
  if (bytes === null) return null;
  try {
    const { run } = JSON.parse(await textOf(bytes, name)) as { run?: unknown };
    return typeof run === "string" ? run : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
