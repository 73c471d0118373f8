import { PgdbaError } from "../../../engine/errors.ts";
import { isDamaged, marksIn } from "../../../providers/backup/marks.ts";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { readRecord, recordIfThere } from "../../../providers/backup/read-record.ts";
import { recordName, recordPrefix } from "../../../providers/repository/layout.ts";
import type { RepositoryAccess } from "../../../providers/target/repository-access.ts";

type Place = Pick<RepositoryAccess, "repository" | "key">;

/**
 * The backup that an incremental one is the difference to: the one that was asked for, else the newest physical one that is not known to be
 * damaged, nor anything that it builds on. Whether the server has what it takes for that one, it says itself.
 * @throws PgdbaError invalid_param | step_refused when there is none
 */
export async function parentFor(
  { repository, key }: Place,
  asked: string | null,
  signal: AbortSignal,
): Promise<BackupRecord> {
  if (asked !== null) {
    const record = assertPhysical(await readRecord(repository, key, asked, signal));
    const flaw = await flawOf({ repository, key }, record, signal);
    if (flaw === null) return record;
    throw none(`Nothing can build on ${asked}: ${flaw}`);
  }
  const ids: string[] = [];
  for await (const name of repository.names(recordPrefix(key), { signal }))
    ids.push(name.slice(recordPrefix(key).length).replace(/\.json$/, ""));
  for (const id of ids.toReversed()) {
    if (id.includes("-logical-")) continue;
    const record = await readRecord(repository, key, id, signal);
    if ((await flawOf({ repository, key }, record, signal)) === null) return record;
  }
  throw none("There is no backup that an incremental one could build on");
}

function none(why: string): PgdbaError {
  return new PgdbaError("step_refused", why, {
    hint: "Take a full one first: `pgdba backup create --type full`.",
    nothingDone: true,
  });
}

function assertPhysical(record: BackupRecord): BackupRecord {
  if (record.type !== "logical") return record;
  throw new PgdbaError(
    "invalid_param",
    `${record.id} is a logical backup: nothing can be the difference to it`,
    {
      hint: "Name a full or an incremental one, or none: then it is the newest.",
    },
  );
}

/** A backup is as good as all of its chain. Null when nothing bad is known of it. */
async function flawOf(
  { repository, key }: Place,
  record: BackupRecord,
  signal: AbortSignal,
): Promise<string | null> {
  const seen = new Set<string>();
  for (let one = record; ;) {
    if (seen.has(one.id)) return `${one.id} builds on itself`;
    seen.add(one.id);
    const marks = await marksIn(repository, key, { id: one.id, signal });
    if (isDamaged(marks.get(one.id) ?? {})) return `${one.id} is damaged`;
    if (one.parent === null) return null;
    const next = await recordIfThere(repository, recordName(key, one.parent), signal);
    if (next === null) return `${one.parent} is gone`;
    one = next;
  }
}
