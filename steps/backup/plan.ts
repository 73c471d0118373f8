import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { treeOf, type Branch } from "../../providers/backup/timelines.ts";
import { iso } from "../../providers/backup/instant.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import { newestMark as newestMarkIn, segmentReader } from "../../providers/backup/locate.ts";
import { lsnText } from "../../providers/postgres/lsn.ts";
import { defineStep } from "../define.ts";
import { newestMark } from "./records.ts";
import { type Answer, askRepository } from "./restore/question.ts";
import { type Origin, ORIGIN } from "./restore/origin.ts";
import { TARGET_INPUT, type TargetInput } from "./restore/target.ts";
import { withoutCombine } from "./take/combine.ts";

const nullable = (type: "string" | "number" | "boolean", description: string) =>
  ({ type: [type, "null"], description }) as const;

export default defineStep({
  type: "backup.plan",
  summary:
    "Tell whether a cluster can be restored to a target, from which backup, and how long it takes",
  docs: `Nothing but the repository is asked, and the server for its timeline where it is up. WAL itself is read for the proof: the records around the
target. A time needs its timezone. Without a target it is the end of WAL.

The timeline is the cluster's own unless one is named; PostgreSQL's \`latest\` would follow the branch of an earlier restore.`,
  example: `- backup.plan: {target_time: "2026-03-01 14:03:00+01:00"}
`,
  effect: "read",
  idempotent: true,
  needs: ({ origin }: { origin?: unknown }) => (origin == null ? ["repository"] : []),
  uses: ["postgres", "repository", "nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...TARGET_INPUT,
      origin: ORIGIN,
      random: {
        type: ["boolean", "null"],
        description:
          "A moment between the newest backup and the end of WAL, another one in each run",
      },
      refuse: {
        type: "boolean",
        default: true,
        description: "Fail where it can't be restored; else `possible` tells",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "possible",
      "why",
      "proof",
      "timeline",
      "backup_id",
      "chain",
      "quality",
      "finished_at",
      "stop_lsn",
      "inclusive",
      "last_commit",
      "wal_bytes",
      "stored_bytes",
      "bytes",
      "forecast_seconds",
      "databases",
      "wal_age_seconds",
      "windows",
      "timelines",
    ],
    properties: {
      possible: { type: "boolean" },
      why: nullable("string", "The reason why not"),
      proof: nullable("string", "What shows that it can"),
      timeline: nullable("number", "The timeline that is followed"),
      backup_id: nullable("string", "The backup it starts from"),
      chain: { type: "array", items: { type: "string" }, description: "The full backup first" },
      quality: nullable("string", "complete, verified or drilled"),
      finished_at: nullable("string", "When the backup was finished"),
      stop_lsn: nullable("string", "Where recovery stops; null at the end of WAL"),
      inclusive: nullable("boolean", "Whether the record there is replayed, too"),
      last_commit: nullable("string", "The last commit that is there afterwards"),
      wal_bytes: nullable("number", "WAL from the backup to the target"),
      stored_bytes: nullable("number", "Bytes to read from the repository, without WAL"),
      bytes: nullable("number", "Bytes of the restored data"),
      forecast_seconds: nullable(
        "number",
        "As long as it would take by the last drill; null without one",
      ),
      databases: {
        type: "array",
        items: {},
        description: "As they were when the backup was taken: name, bytes, tables",
      },
      version: nullable("number", "PostgreSQL's major version"),
      segment_bytes: nullable("number", "Of a segment of WAL"),
      settings: {
        type: "object",
        additionalProperties: { type: "string" },
        description:
          "Settings of the server that whoever runs the restored data must have as much of",
      },
      wal_age_seconds: nullable(
        "number",
        "Age of the newest record that is archived: what is lost when all nodes are lost now",
      ),
      windows: {
        type: "array",
        items: {},
        description:
          "From where to where it can be restored: where the target can't, and with `refuse: false`",
      },
      timelines: {
        type: "array",
        description: "The tree of timelines, each below the one that it left",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["timeline", "depth", "parent", "at", "reason", "followed"],
          properties: {
            timeline: { type: "number" },
            depth: { type: "number" },
            parent: { type: ["number", "null"] },
            at: { type: ["string", "null"], description: "Where it left its parent" },
            reason: { type: ["string", "null"] },
            followed: { type: "boolean" },
          },
        },
      },
    },
  },
  async run(ctx, { refuse = true, origin, ...input }) {
    try {
      const from = origin as Origin | null | undefined;
      const answer = await askRepository(ctx, input as TargetInput, from);
      if (answer.found.start.chain.length > 1 && from == null) {
        const why = await withoutCombine(ctx);
        if (why !== null) ctx.warn(why);
      }
      return { ...(await told(ctx, answer)), windows: refuse ? [] : await answer.found.windows() };
    } catch (error) {
      const isNo = error instanceof PgdbaError && error.code === "step_refused";
      if (refuse || !isNo) throw error;
      const data = (error.data ?? {}) as { windows?: Json[]; timeline?: number };
      return {
        ...NO,
        why: error.message,
        timeline: data.timeline ?? null,
        windows: data.windows ?? [],
      };
    }
  },
});

const NO = {
  possible: false,
  proof: null,
  backup_id: null,
  chain: [],
  quality: null,
  finished_at: null,
  stop_lsn: null,
  inclusive: null,
  last_commit: null,
  wal_bytes: null,
  stored_bytes: null,
  bytes: null,
  forecast_seconds: null,
  databases: [],
  version: null,
  segment_bytes: null,
  settings: {},
  wal_age_seconds: null,
  timelines: [],
};

async function told(ctx: StepContext, answer: Answer) {
  const { holdings, found } = answer;
  const { start, stop, timeline, path } = found;
  const { record, quality } = start.backup;
  const stored = start.chain.reduce((sum, one) => sum + one.record.stored_bytes, 0);
  const on = new Set(path.map((one) => one.timeline));
  return {
    possible: true,
    why: null,
    proof: found.proof,
    timeline,
    backup_id: record.id,
    chain: start.chain.map((one) => one.record.id),
    quality,
    finished_at: record.finished_at,
    stop_lsn: stop && lsnText(stop.lsn),
    inclusive: stop && stop.inclusive,
    last_commit: found.commit && iso(found.commit.time),
    wal_bytes: Number(found.walBytes),
    stored_bytes: stored,
    bytes: record.bytes,
    databases: record.databases as object[],
    version: Number.parseInt(record.server.version, 10),
    segment_bytes: record.server.segment_bytes,
    settings: record.server.settings,
    wal_age_seconds: await walAge(ctx, answer),
    forecast_seconds: await forecast(ctx, answer, { stored, wal: Number(found.walBytes) }),
    timelines: flat(
      treeOf(
        holdings.histories,
        holdings.runs.map((run) => run.timeline),
      ),
      0,
      on,
    ),
  };
}

async function walAge(
  ctx: StepContext,
  { sources: { repository }, holdings, found }: Answer,
): Promise<number | null> {
  const from = parseLsn(found.start.backup.record.wal!.start_lsn);
  const read = segmentReader(repository);
  const newest = await newestMarkIn({ holdings, path: found.path, from, read, signal: ctx.signal });
  return newest && (ctx.clock.now().getTime() - Number(newest.time / 1000n)) / 1000;
}

function flat(branches: readonly Branch[], depth: number, on: ReadonlySet<number>): object[] {
  return branches.flatMap(({ timeline, parent, at, reason, branches: below }) => [
    {
      timeline,
      depth,
      parent,
      at: at === null ? null : lsnText(at),
      reason,
      followed: on.has(timeline),
    },
    ...flat(below, depth + 1, on),
  ]);
}

/** What a drill keeps of itself, so that the next restore can be told beforehand. */
export interface DrillFacts {
  fetch_seconds: number;
  stored_bytes: number;
  replay_seconds: number;
  wal_bytes: number;
}

async function forecast(
  ctx: StepContext,
  { sources: { repository }, holdings: { backups } }: Answer,
  { stored, wal }: { stored: number; wal: number },
): Promise<number | null> {
  const last = backups
    .filter((one) => one.marks.drilled !== undefined)
    .toSorted((a, b) => (a.marks.drilled! < b.marks.drilled! ? -1 : 1))
    .at(-1);
  if (!last) return null;
  const place = { repository, key: last.source, cluster: ctx.target.name };
  const facts = (await newestMark(place, last.record.id, "drilled"))?.facts as
    | DrillFacts
    | undefined;
  if (!facts?.stored_bytes || !facts.fetch_seconds) return null;
  const fetch = (stored * facts.fetch_seconds) / facts.stored_bytes;
  // A drill that replayed next to nothing tells nothing of how fast WAL is replayed; but its server had to start.
  const replay = Math.max(
    facts.replay_seconds,
    (wal * facts.replay_seconds) / Math.max(facts.wal_bytes, 1 << 20),
  );
  return Math.round((fetch + replay) * 10) / 10;
}
