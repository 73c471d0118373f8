import { createHash } from "node:crypto";
import { join } from "node:path";
import { readCatalogue } from "../../providers/backup/catalogue.ts";
import { findUnfinished } from "../../providers/backup/unfinished.ts";
import { windowsOf } from "../../providers/backup/windows.ts";
import { keyOf } from "../../providers/repository/layout.ts";
import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { BACKUP, rowOf } from "./catalogue/row.ts";

const TIME = { type: ["string", "null"] } as const;

export default defineStep({
  type: "backup.catalogue",
  summary: "List the backups of a cluster, and from when to when it can be restored",
  docs: `What the repository has is asked each time; the columns of records, which never change, are kept in the state folder. \`timelines\` tells for each of them
from when to when it can be restored without a hole in the WAL. What a backup has left that was cut off is no backup: it stands under \`unfinished\`.`,
  example: `- backup.catalogue: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["repository"],
  input: { type: "object", additionalProperties: false, required: [], properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["where", "backups", "timelines", "gaps", "unfinished", "newest", "wal_age_seconds"],
    properties: {
      where: { type: "string" },
      backups: { type: "array", items: BACKUP, description: "The newest first" },
      timelines: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["timeline", "earliest", "latest", "backups", "gaps"],
          properties: {
            timeline: { type: "number" },
            earliest: TIME,
            latest: TIME,
            backups: { type: "number", description: "That can be restored from" },
            gaps: { type: "number" },
          },
        },
      },
      gaps: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["timeline", "first", "last", "segments"],
          properties: {
            timeline: { type: "number" },
            first: { type: "string", description: "The first segment that is missing" },
            last: { type: "string" },
            segments: { type: "number" },
          },
        },
      },
      unfinished: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["id", "run", "at", "bytes"],
          properties: {
            id: { type: "string" },
            run: { type: ["string", "null"], description: "The run that takes it, or took it" },
            at: { type: "string", description: "When its newest part was written" },
            bytes: { type: "number" },
          },
        },
      },
      newest: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["backup_id", "finished_at", "age_seconds"],
        properties: {
          backup_id: { type: "string" },
          finished_at: { type: "string" },
          age_seconds: { type: "number" },
        },
        description: "The newest physical backup that can be restored",
      },
      wal_age_seconds: {
        type: ["number", "null"],
        description: "Since the last segment of WAL was archived",
      },
    },
  },
  async run(ctx) {
    const { repository, key } = await backupPlace(ctx);
    const options = { signal: ctx.signal };
    const place = createHash("sha256")
      .update(`${repository.where}\n${keyOf(key)}`)
      .digest("hex");
    const file = join(ctx.run.stateDir, `catalogue-${place.slice(0, 16)}.json`);
    const catalogue = await readCatalogue(repository, key, file, options);
    const { windows, until, unfit } = windowsOf(catalogue);
    const rows = catalogue.backups.map((one) => rowOf(one, until, unfit)).toReversed();
    const good = rows.find(({ restorable_from }) => restorable_from !== null);
    const now = ctx.clock.now().getTime();
    const since = (time: string) => Math.max(0, Math.round((now - Date.parse(time)) / 1000));
    const last = catalogue.runs.reduce((most, { at }) => Math.max(most, at.getTime()), 0);
    return {
      where: repository.where,
      backups: rows,
      timelines: windows.map(({ gaps, ...window }) => ({ ...window, gaps: gaps.length })),
      gaps: windows.flatMap(({ gaps }) =>
        gaps.map(({ timeline, first, last, first_file, last_file }) => ({
          timeline,
          first: first_file,
          last: last_file,
          segments: Number(last - first + 1n),
        })),
      ),
      unfinished: (await findUnfinished(repository, key, options)).map(
        ({ id, run, at, bytes }) => ({ id, run, at: at.toISOString(), bytes }),
      ),
      newest:
        good === undefined
          ? null
          : {
              backup_id: good.id,
              finished_at: good.finished_at,
              age_seconds: since(good.finished_at),
            },
      wal_age_seconds: last === 0 ? null : since(new Date(last).toISOString()),
    };
  },
});
