import { PgdbaError } from "../../engine/errors.ts";
import type { Bytes, Repository } from "../repository/contract.ts";
import { type ClusterKey, recordName } from "../repository/layout.ts";
import { damaged } from "./damaged.ts";
import type { BackupRecord } from "./record.ts";

const MAX_RECORD = 16 * 1024 * 1024;

/** As pgdba makes them; anything else is no name of a backup. */
export const ID = /^\d{8}T\d{6}Z-(full|incremental|logical)-[0-9a-f]{6,}$/;

/** @throws PgdbaError invalid_param when there is no such backup | backup_damaged | repository_failed */
export async function readRecord(
  repository: Repository,
  key: ClusterKey,
  id: string,
  signal?: AbortSignal,
): Promise<BackupRecord> {
  const found = ID.test(id) ? await recordIfThere(repository, recordName(key, id), signal) : null;
  if (found !== null) return found;
  throw noBackup(repository, id);
}

export function noBackup({ where }: Pick<Repository, "where">, id: string): PgdbaError {
  return new PgdbaError("invalid_param", `There is no backup ${id} in ${where}`, {
    hint: "`pgdba backup list` shows all; one without a record was not finished.",
  });
}

/** By the name of its object. @throws PgdbaError backup_damaged | repository_failed */
export async function recordIfThere(
  repository: Pick<Repository, "read">,
  name: string,
  signal?: AbortSignal,
): Promise<BackupRecord | null> {
  const bytes = await repository.read(name, { signal });
  if (bytes === null) return null;
  const text = await textOf(bytes, name);
  try {
    const record = JSON.parse(text) as BackupRecord;
    if (record.format === 1 && typeof record.id === "string") return record;
  } catch {
    // Said below.
  }
  throw damaged(name, "it is no record of a backup that this pgdba knows (a newer one may)");
}

/** Records that are read at a time. */
const AT_ONCE = 16;

/** In the order of their names; null for one that is gone. @throws PgdbaError as `recordIfThere` */
export async function* recordsOf(
  repository: Pick<Repository, "read">,
  names: readonly string[],
  signal?: AbortSignal,
): AsyncGenerator<[name: string, record: BackupRecord | null]> {
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const records = await Promise.all(some.map((name) => recordIfThere(repository, name, signal)));
    for (const [index, record] of records.entries()) yield [some[index]!, record];
  }
}

/** The text of a small object. */
export async function textOf(bytes: Bytes, name: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of bytes) {
    total += piece.length;
    if (total > MAX_RECORD) throw damaged(name, "it is too large for what it should be");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
