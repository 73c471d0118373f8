import { PgdbaError } from "../../../engine/errors.ts";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { readRecord } from "../../../providers/backup/read-record.ts";
import { markPrefix, recordPrefix } from "../../../providers/repository/layout.ts";
import type { RepositoryAccess } from "../../../providers/target/repository-access.ts";

/**
 * The backup that an incremental one is the difference to: the newest physical one that is not known to be damaged. Whether the server
 * has what it takes for that one, it says itself.
 * @throws PgdbaError step_refused when there is none
 */
export async function parentFor(
  { repository, key }: Pick<RepositoryAccess, "repository" | "key">,
  asked: string | null,
  signal: AbortSignal,
): Promise<BackupRecord> {
  if (asked !== null) return assertPhysical(await readRecord(repository, key, asked, signal));
  const ids: string[] = [];
  for await (const { name } of repository.list(recordPrefix(key), { signal }))
    ids.push(name.slice(recordPrefix(key).length).replace(/\.json$/, ""));
  for (const id of ids.toReversed()) {
    if (id.includes("-logical-")) continue;
    if (!(await isDamaged({ repository, key }, id, signal)))
      return readRecord(repository, key, id, signal);
  }
  throw new PgdbaError(
    "step_refused",
    "There is no backup that an incremental one could build on",
    {
      hint: "Take a full one first: `pgdba backup create --type full`.",
      nothingDone: true,
    },
  );
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

/** By the newest of its marks that tell it: their names say when. */
async function isDamaged(
  { repository, key }: Pick<RepositoryAccess, "repository" | "key">,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  let [damaged, verified] = ["", ""];
  for await (const { name } of repository.list(markPrefix(key, id), { signal })) {
    const [, kind, time] = /(verified|damaged)-(\d{8}T\d{6})/.exec(name) ?? [];
    if (kind === "damaged" && time! > damaged) damaged = time!;
    if (kind === "verified" && time! > verified) verified = time!;
  }
  return damaged > verified;
}
