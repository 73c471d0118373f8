import type { Repository, Signalled } from "../../providers/repository/contract.ts";
import {
  backupPrefix,
  type ClusterKey,
  markPrefix,
  recordName,
} from "../../providers/repository/layout.ts";

/** So many names are removed at a time. */
const MANY = 500;

/** The record first: from then on there is no backup, and what a removal that is cut leaves is garbage. */
export async function removeBackup(
  repository: Repository,
  key: ClusterKey,
  id: string,
  options: Signalled = {},
): Promise<void> {
  await repository.remove([recordName(key, id)], options);
  for (const prefix of [backupPrefix(key, id), markPrefix(key, id)])
    await removeAll(repository, await namesOf(repository, prefix, options), options);
}

export async function removeAll(
  repository: Repository,
  names: readonly string[],
  options: Signalled & { onRemoved?: (count: number) => void } = {},
): Promise<void> {
  for (let at = 0; at < names.length; at += MANY) {
    await repository.remove(names.slice(at, at + MANY), options);
    options.onRemoved?.(Math.min(at + MANY, names.length));
  }
}

async function namesOf(
  repository: Repository,
  prefix: string,
  options: Signalled,
): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of repository.list(prefix, options)) names.push(name);
  return names;
}
