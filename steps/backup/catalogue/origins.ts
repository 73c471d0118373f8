/** Of a copy: the backups of those that it comes from, as far as it can be restored from them. */
import type { StepContext } from "../../../engine/types.ts";
import { endsOn } from "../../../providers/backup/holdings.ts";
import { pathTo } from "../../../providers/backup/timelines.ts";
import { windowsOf } from "../../../providers/backup/windows.ts";
import { lsnText } from "../../../providers/postgres/lsn.ts";
import { keyOf } from "../../../providers/repository/layout.ts";
import type {} from "../../../providers/target/access.ts";
import { catalogueOf } from "./read.ts";
import { BACKUP, rowOf } from "./row.ts";

export const ORIGINS = {
  type: "array",
  description: "Of a copy: the parts that it comes from, the nearest first",
  items: {
    type: "object",
    additionalProperties: false,
    required: ["part", "timeline", "lsn", "total", "backups"],
    properties: {
      part: { type: "string" },
      timeline: { type: "number" },
      lsn: { type: "string", description: "Where it left that one" },
      total: { type: "number", description: "So many are there, listed or not" },
      backups: {
        type: "array",
        items: BACKUP,
        description:
          "From which it can be restored; they are the original's, and go when that removes them",
      },
    },
  },
} as const;

export async function originRows(
  ctx: StepContext,
  { type, last }: { type: string | null; last: number | null },
) {
  if (!(await ctx.target.facts()).capabilities.includes("repository")) return [];
  const { repository, origins } = await ctx.use("repository");
  const found = origins.map(async ({ key, until }) => {
    const catalogue = await catalogueOf(ctx, { repository, key });
    const histories = new Map(
      [...catalogue.histories].filter(([timeline]) => timeline <= until!.timeline),
    );
    const way = pathTo(histories, until!.timeline);
    const backups = catalogue.backups.filter(({ summary }) => endsOn(way, { until }, summary.wal));
    const reached = windowsOf({ ...catalogue, histories, backups });
    const wanted = backups
      .toReversed()
      .filter(({ summary }) => type === null || summary.type === type);
    return {
      part: keyOf(key),
      timeline: until!.timeline,
      lsn: lsnText(until!.lsn),
      total: wanted.length,
      backups: wanted
        .slice(0, last ?? undefined)
        .map((one) => rowOf(one, reached.until, reached.unfit)),
    };
  });
  return Promise.all(found);
}
