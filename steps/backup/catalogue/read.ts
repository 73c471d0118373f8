import { createHash } from "node:crypto";
import { join } from "node:path";
import type { StepContext } from "../../../engine/types.ts";
import { type Catalogue, readCatalogue } from "../../../providers/backup/catalogue.ts";
import { keyOf } from "../../../providers/repository/layout.ts";
import type { BackupPlace } from "../place.ts";

/** What the repository has of a cluster. The columns of records, which never change, are kept in the state folder. */
export function catalogueOf(
  ctx: StepContext,
  { repository, key }: Pick<BackupPlace, "repository" | "key">,
  segmentBytes?: number,
): Promise<Catalogue> {
  const place = createHash("sha256")
    .update(`${repository.where}\n${keyOf(key)}`)
    .digest("hex");
  const file = join(ctx.run.stateDir, `catalogue-${place.slice(0, 16)}.json`);
  return readCatalogue(repository, key, file, {
    signal: ctx.signal,
    ...(segmentBytes === undefined ? {} : { segmentBytes }),
  });
}

/** Since the newest segment of any timeline was archived, by the repository's clock. */
export function walAge({ runs }: Catalogue, now: Date): number | null {
  const last = runs.reduce((most, { at }) => Math.max(most, at.getTime()), 0);
  return last === 0 ? null : Math.max(0, Math.round((now.getTime() - last) / 1000));
}
