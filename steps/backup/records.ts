/** Records and marks of backups. */
import type { StepContext } from "../../engine/types.ts";
import { readRecord, recordIfThere, textOf } from "../../providers/backup/read-record.ts";
import type { BackupRecord, Mark, MarkKind } from "../../providers/backup/record.ts";
import { type ClusterKey, markPrefix, recordName } from "../../providers/repository/layout.ts";
import { markFile } from "./id.ts";
import type { BackupPlace } from "./place.ts";

/** @throws PgdbaError invalid_param | backup_damaged */
export const recordOf = ({ repository, key }: BackupPlace, id: string): Promise<BackupRecord> =>
  readRecord(repository, key, id);

/** The record of a backup that a restore may start from, the cluster's own or an origin's, and whose it is; null where nobody has it. */
export async function restorableRecord(
  ctx: StepContext,
  id: string,
): Promise<{ record: BackupRecord; key: ClusterKey } | null> {
  const { repository, key, origins } = await ctx.use("repository");
  for (const one of [key, ...origins.map((origin) => origin.key)]) {
    const record = await recordIfThere(repository, recordName(one, id), ctx.signal);
    if (record !== null) return { record, key: one };
  }
  return null;
}

/** Puts a mark beside a record. */
export async function mark(
  ctx: StepContext,
  { repository, key }: BackupPlace,
  { backup, kind, facts }: Pick<Mark, "backup" | "kind" | "facts">,
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
