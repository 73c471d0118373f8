/** Records and marks of backups. */
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { BackupRecord, Mark, MarkKind } from "../../providers/backup/record.ts";
import type { Bytes, Repository } from "../../providers/repository/contract.ts";
import { type ClusterKey, markPrefix, recordName } from "../../providers/repository/layout.ts";
import { markFile } from "./id.ts";
import type { BackupPlace } from "./place.ts";

const MAX_BYTES = 16 * 1024 * 1024;
/** As pgdba makes them; anything else is no name of a backup. */
export const ID = /^\d{8}T\d{6}Z-(full|incremental|logical)-[0-9a-f]{6,}$/;

/** @throws PgdbaError invalid_param */
export async function recordOf(
  { repository, key }: BackupPlace,
  id: string,
): Promise<BackupRecord> {
  const found = ID.test(id) ? await recordIfThere(repository, key, id) : null;
  if (found !== null) return found;
  throw new PgdbaError("invalid_param", `There is no backup ${id} in ${repository.where}`, {
    hint: "`pgdba backup list` shows all.",
  });
}

export async function recordIfThere(
  repository: Repository,
  key: ClusterKey,
  id: string,
): Promise<BackupRecord | null> {
  const name = recordName(key, id);
  const bytes = await repository.read(name);
  if (bytes === null) return null;
  try {
    const record = JSON.parse(await textOf(bytes, name)) as BackupRecord;
    if (record.format === 1 && record.id === id) return record;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new PgdbaError("step_failed", `${name} is no record that this pgdba can read`, {
    hint: "A newer pgdba may have written it; else it is damaged.",
  });
}

/** Puts a mark beside a record. */
export async function mark(
  ctx: StepContext,
  { repository, key }: BackupPlace,
  backup: string,
  kind: MarkKind,
  facts: unknown,
): Promise<void> {
  const at = ctx.clock.now();
  const content: Mark = { backup, kind, at: at.toISOString(), run: ctx.run.id, facts };
  const name = `${markPrefix(key, backup)}${markFile(kind, at, ctx.run.id)}`;
  await repository.create(name, new TextEncoder().encode(`${JSON.stringify(content)}\n`), {
    signal: ctx.signal,
  });
}

/** The newest mark of a kind; null when there is none. */
export async function newestMark(
  { repository, key }: BackupPlace,
  backup: string,
  kind: MarkKind,
): Promise<Mark | null> {
  let newest: string | undefined;
  for await (const { name } of repository.list(`${markPrefix(key, backup)}${kind}-`)) newest = name;
  const bytes = newest === undefined ? null : await repository.read(newest);
  return bytes === null ? null : (JSON.parse(await textOf(bytes, newest!)) as Mark);
}

async function textOf(bytes: Bytes, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of bytes) {
    length += part.length;
    if (length > MAX_BYTES) {
      throw new PgdbaError("limit_exceeded", `${name} is larger than ${MAX_BYTES} bytes`, {
        hint: "It was not made by pgdba, or is damaged.",
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
