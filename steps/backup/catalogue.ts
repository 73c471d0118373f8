import type { Listed } from "../../providers/backup/catalogue.ts";
import { findUnfinished } from "../../providers/backup/unfinished.ts";
import { windowsOf } from "../../providers/backup/windows.ts";
import { defineStep } from "../define.ts";
import { HOLE, holeRow } from "./archive/shape.ts";
import { type BackupPlace, backupPlace } from "./place.ts";
import { newestMark } from "./records.ts";
import { catalogueOf, walAge } from "./catalogue/read.ts";
import { ORIGINS, originRows } from "./catalogue/origins.ts";
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
  input: {
    type: "object",
    additionalProperties: false,
    required: [],
    properties: {
      type: {
        type: ["string", "null"],
        enum: ["full", "incremental", "logical", null],
        description: "List only those",
      },
      last: {
        type: ["integer", "null"],
        minimum: 0,
        description:
          "List the newest ones only, so many of them; all without it. With 0 those of a copy's origins are not looked for",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "where",
      "backups",
      "total",
      "origins",
      "timelines",
      "gaps",
      "unfinished",
      "newest",
      "drill",
      "wal_age_seconds",
    ],
    properties: {
      where: { type: "string" },
      backups: { type: "array", items: BACKUP, description: "The newest first" },
      total: { type: "number", description: "So many are there of that type, listed or not" },
      origins: ORIGINS,
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
        items: HOLE,
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
      drill: {
        type: ["object", "null"],
        additionalProperties: false,
        required: ["backup_id", "at", "passed", "why"],
        properties: {
          backup_id: { type: "string" },
          at: { type: "string" },
          passed: { type: "boolean" },
          why: TIME,
        },
        description: "The last drill of any backup; one that could not be begun counts as none",
      },
      wal_age_seconds: {
        type: ["number", "null"],
        description: "Since the last segment of WAL was archived",
      },
    },
  },
  async run(ctx, { type = null, last = null }) {
    const place = await backupPlace(ctx);
    const { repository, key } = place;
    const catalogue = await catalogueOf(ctx, place);
    const { windows, until, unfit } = windowsOf(catalogue);
    const newestFirst = catalogue.backups.toReversed();
    const wanted = newestFirst.filter(({ summary }) => type === null || summary.type === type);
    const listed = last === null ? wanted : wanted.slice(0, last);
    const good = newestFirst.find(({ summary }) => until.has(summary.id))?.summary;
    const now = ctx.clock.now();
    const unfinished = await findUnfinished(repository, key, {
      signal: ctx.signal,
      finished: newestFirst.map(({ summary }) => summary.id),
    });
    return {
      where: repository.where,
      backups: listed.map((one) => rowOf(one, until, unfit)),
      total: wanted.length,
      origins: last === 0 ? [] : await originRows(ctx, { type, last }),
      timelines: windows.map(({ gaps, ...window }) => ({ ...window, gaps: gaps.length })),
      gaps: windows.flatMap(({ gaps }) => gaps.map(holeRow)),
      unfinished: unfinished.map(({ id, run, at, bytes }) => ({
        id,
        run,
        at: at.toISOString(),
        bytes,
      })),
      newest:
        good === undefined
          ? null
          : {
              backup_id: good.id,
              finished_at: good.finished_at,
              age_seconds: Math.max(
                0,
                Math.round((now.getTime() - Date.parse(good.finished_at)) / 1000),
              ),
            },
      drill: await lastDrill(place, catalogue.backups),
      wal_age_seconds: walAge(catalogue, now),
    };
  },
});

async function lastDrill(place: BackupPlace, backups: readonly Listed[]) {
  let last: { backup_id: string; at: string; passed: boolean } | undefined;
  for (const { summary, marks } of backups) {
    for (const [at, passed] of [
      [marks.drill_failed, false],
      [marks.drilled, true],
    ] as const)
      if (at !== undefined && at >= (last?.at ?? "")) last = { backup_id: summary.id, at, passed };
  }
  if (last === undefined) return null;
  if (last.passed) return { ...last, why: null };
  const facts = (await newestMark(place, last.backup_id, "drill_failed"))?.facts;
  return { ...last, why: (facts as { message?: string } | undefined)?.message ?? null };
}
