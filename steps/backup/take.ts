import { PgdbaError } from "../../engine/errors.ts";
import { parseBytes, parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult, StepContext } from "../../engine/types.ts";
import { recordIfThere } from "../../providers/backup/read-record.ts";
import type { BackupRecord } from "../../providers/backup/record.ts";
import { everySoOften } from "../../providers/backup/every-so-often.ts";
import { removeParts, take, type TakeOrder } from "../../providers/backup/take.ts";
import { findUnfinished } from "../../providers/backup/unfinished.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { backupPrefix, recordName } from "../../providers/repository/layout.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { assertClock } from "./clock.ts";
import { newBackupId } from "./id.ts";
import { parentFor } from "./take/parent.ts";
import { withoutCombine } from "./take/combine.ts";
import { chooseSource, type Source } from "./take/source.ts";
import { checkpointFor } from "./take/checkpoint.ts";
import { sweep } from "./take/sweep.ts";

const OBJECT_NOT_IN_STATE = "55000";

export default defineStep({
  type: "backup.take",
  summary: "Take a physical backup into the cluster's repository",
  docs: `Reads a base backup by the replication protocol, compresses it, and streams it into the repository, without a copy on any disk in between. Then the
WAL that it needs is awaited there; the record, which makes it a backup, is written last. From a healthy standby where there is one; its end
is then awaited from the primary, which archives.

It is \`complete\` then; \`backup.verify\` reads it back. What an earlier one has left that was cut off is removed first, unless somebody is still at
it. One that fails leaves nothing.`,
  example: `- backup.take: {type: full}
`,
  effect: "change",
  idempotent: false,
  risk: "change",
  locks: "backup",
  interruptible: true,
  needs: ["postgres", "repository"],
  uses: ["member", "nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: [],
    properties: {
      type: { type: "string", enum: ["full", "incremental"], default: "full" },
      parent: {
        type: ["string", "null"],
        description:
          "The backup that an incremental one is the difference to; the newest without it",
      },
      from: {
        type: "string",
        default: "auto",
        description:
          "`auto` (a healthy standby, else the primary), `primary`, `standby`, or a member",
      },
      checkpoint: {
        type: "string",
        enum: ["fast", "spread"],
        default: "fast",
        description: "`spread` spares the disk, and waits up to checkpoint_timeout",
      },
      max_rate: {
        type: ["string", "null"],
        format: "bytes",
        description: "Bytes a second that are read at most, 32kB to 1GB",
      },
      level: { type: "integer", minimum: 1, maximum: 19, default: 3, description: "Of zstd" },
      wal_timeout: {
        type: "string",
        format: "duration",
        default: "10m",
        description: "How long the archive is given to bring the last WAL",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "backup_id",
      "type",
      "parent",
      "node",
      "source",
      "bytes",
      "stored_bytes",
      "timeline",
      "end_lsn",
      "finished_at",
      "removed",
    ],
    properties: {
      backup_id: { type: "string" },
      type: { type: "string" },
      parent: { type: ["string", "null"] },
      node: { type: "string", description: "The member that it was read from" },
      source: { type: "string", enum: ["primary", "standby"] },
      bytes: { type: "number", description: "As on the server" },
      stored_bytes: { type: "number" },
      timeline: { type: "number" },
      end_lsn: { type: "string", description: "It is consistent from there on" },
      finished_at: { type: "string" },
      removed: {
        type: "array",
        items: { type: "string" },
        description: "Backups that were cut off, whose parts were removed",
      },
    },
  },
  async run(ctx, input) {
    const { repository, key, slot } = await ctx.use("repository");
    await assertClock(ctx);
    const type = input.type ?? "full";
    const source = await chooseSource(ctx, input.from ?? "auto");
    if (type === "incremental") {
      await assertSummaries(ctx);
      await warnOfChain(ctx);
    }
    const parent =
      type === "incremental"
        ? (await parentFor({ repository, key }, input.parent ?? null, ctx.signal)).id
        : null;
    const removed = await sweep(ctx, repository, key);
    const id = newBackupId(type, ctx.clock.now());
    ctx.note({ id });
    const order: Omit<TakeOrder, "node"> = {
      id,
      type,
      parent,
      key,
      slot,
      cluster: ctx.target.name,
      run: ctx.run.id,
      tool: "pgdba",
      checkpoint: input.checkpoint ?? "fast",
      max_rate_kb: rateOf(input.max_rate ?? null),
      level: input.level ?? 3,
      wal_timeout_ms: parseDuration(input.wal_timeout ?? "10m"),
    };
    const record = await takenFrom(ctx, order, source).catch(async (error: unknown) => {
      // A standby may lack what the primary has: summaries up to here, full page images.
      const fallsBack =
        (input.from ?? "auto") === "auto" && source.standby && source.member !== null;
      if (!fallsBack || sqlstateOf(error) !== OBJECT_NOT_IN_STATE) throw explained(error, type);
      ctx.warn(
        `${source.member} could not give the backup (${(error as Error).message}); it was taken from the primary`,
      );
      return takenFrom(ctx, order, await chooseSource(ctx, "primary")).catch((second: unknown) => {
        throw explained(second, type);
      });
    });
    return outputOf(record, removed);
  },
  async plan(ctx, input): Promise<Json> {
    const source = await chooseSource(ctx, input.from ?? "auto");
    const { repository, key } = await ctx.use("repository");
    if (input.type === "incremental") await warnOfChain(ctx);
    const parent =
      input.type === "incremental"
        ? (await parentFor({ repository, key }, input.parent ?? null, ctx.signal)).id
        : null;
    return {
      type: input.type ?? "full",
      parent,
      from: source.member,
      why: source.why,
      into: repository.where,
    };
  },
  async probe(ctx): Promise<ProbeResult> {
    const id = (ctx.noted as { id?: string } | undefined)?.id;
    if (id === undefined) return { state: "not_done" };
    const { repository, key } = await ctx.use("repository");
    const record = await recordIfThere(repository, recordName(key, id), ctx.signal);
    return record === null
      ? { state: "not_done" }
      : { state: "done", output: outputOf(record, []) };
  },
  /** A backup that is there stays, whatever becomes of the run. */
  async undo(ctx, _input, output) {
    const id = (ctx.noted as { id?: string } | undefined)?.id;
    if (output !== undefined || id === undefined) return ctx.unchanged();
    const { repository, key } = await ctx.use("repository");
    const left = await findUnfinished(repository, key, { signal: ctx.signal });
    if (!left.some((one) => one.id === id)) return ctx.unchanged();
    await removeParts(repository, backupPrefix(key, id));
  },
});

async function warnOfChain(ctx: StepContext): Promise<void> {
  const why = await withoutCombine(ctx);
  if (why !== null) ctx.warn(why);
}

async function takenFrom(
  ctx: StepContext,
  order: Omit<TakeOrder, "node">,
  { member, standby, why }: Source,
): Promise<BackupRecord> {
  ctx.log(`taking the backup from ${member ?? ctx.target.name}: ${why}`);
  const { repository } = await ctx.use("repository");
  const postgres = await ctx.use("postgres");
  if (standby && member !== null) await checkpointFor(ctx, member);
  const access = member === null ? null : await ctx.use("member");
  const replication = await (access === null
    ? postgres.replication()
    : access.replication(member!));
  let own: PgSession | undefined;
  try {
    return await take(
      { ...order, node: member ?? ctx.target.name },
      {
        repository,
        replication,
        async server(database) {
          if (database !== undefined)
            return access === null ? postgres.open(database) : access.open(member!, database);
          own ??= access === null ? await postgres.open() : await access.open(member!);
          return own;
        },
        // Asked for again each time: after a failover it is another one.
        primary: () => postgres.session(),
        tell: everySoOften(({ warning, text, ...counts }) => {
          if (warning !== undefined) ctx.warn(warning);
          else ctx.progress({ ...counts, ...(text === undefined ? {} : { text }) });
        }),
        now: () => ctx.clock.now(),
        signal: ctx.signal,
      },
    );
  } finally {
    replication.close();
    await own?.close();
  }
}

/** PostgreSQL asks for at least 32 kB, at most 1 GB a second. */
function rateOf(text: string | null): number | null {
  if (text === null) return null;
  return Math.min(Math.max(Math.round(parseBytes(text) / 1024), 32), 1024 ** 2);
}

/** @throws PgdbaError unsupported | step_refused */
async function assertSummaries(ctx: StepContext): Promise<void> {
  const pg = await (await ctx.use("postgres")).session();
  const { rows } = await pg.ask("SELECT current_setting('summarize_wal', true) AS summaries", [], {
    signal: ctx.signal,
  });
  const on = rows[0]?.["summaries"];
  if (on === "on") return;
  if (on === null)
    throw new PgdbaError(
      "unsupported",
      `PostgreSQL ${pg.info.version} has no incremental backups; they came with 17`,
      {
        hint: "Take full ones (`--type full`): between them WAL is archived, so that every moment can be restored. Where full ones are too large, pgBackRest has increments of its own for older versions.",
        nothingDone: true,
      },
    );
  throw new PgdbaError(
    "step_refused",
    "The server keeps no summaries of its WAL (summarize_wal is off), from which an incremental backup is made",
    {
      hint: `Turn them on (pgdba config apply --settings '{"summarize_wal":"on"}'), then take a full backup: the next ones can be incremental.`,
      nothingDone: true,
    },
  );
}

/** The server's own words say what is missing, and not what to do. */
function explained(error: unknown, type: string): unknown {
  if (type !== "incremental" || sqlstateOf(error) !== OBJECT_NOT_IN_STATE) return error;
  const { message, data } = error as PgdbaError;
  return new PgdbaError("step_refused", `There can be no increment: ${message}`, {
    hint: "Take a full backup: the next ones can be incremental again. Summaries of WAL begin when summarize_wal is turned on, and are kept for wal_summary_keep_time.",
    cause: error,
    data,
  });
}

function outputOf(record: BackupRecord, removed: string[]) {
  const { id, type, parent, node, source, bytes, stored_bytes, wal, finished_at } = record;
  return {
    backup_id: id,
    type,
    parent,
    node,
    source,
    bytes,
    stored_bytes,
    timeline: wal?.end_timeline ?? 0,
    end_lsn: wal?.end_lsn ?? "0/0",
    finished_at,
    removed,
  };
}
