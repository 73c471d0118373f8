import { PgdbaError } from "../../engine/errors.ts";
import { LOCALE_COLUMNS, localeFrom } from "../../providers/backup/logical/locale.ts";
import type { StepContext } from "../../engine/types.ts";
import { type Dumping, dumpDatabase, dumpGlobals } from "../../providers/backup/logical/dump.ts";
import { shown } from "../../providers/backup/logical/programs.ts";
import { recordIfThere } from "../../providers/backup/read-record.ts";
import type { BackupRecord, DatabaseLocale, Part } from "../../providers/backup/record.ts";
import { recordName } from "../../providers/repository/layout.ts";
import { defineStep } from "../define.ts";
import { assertClock } from "./clock.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { newBackupId } from "./id.ts";
import { removeBackup } from "./remove.ts";
import { backupPlace } from "./place.ts";

const DATABASES = `SELECT datname AS name, pg_database_size(oid)::text AS bytes, ${LOCALE_COLUMNS}
FROM pg_database d WHERE datallowconn AND NOT datistemplate AND ($1::text[] IS NULL OR datname = ANY ($1)) ORDER BY datname`;
const SERVER = `SELECT current_setting('server_version') AS version, current_setting('block_size')::int AS block_size,
  pg_size_bytes(current_setting('wal_segment_size'))::bigint::text AS segment_bytes, current_setting('data_checksums') = 'on' AS checksums,
  pg_is_in_recovery() AS standby`;

interface Input {
  databases?: string[] | null;
  globals?: boolean;
}

export default defineStep({
  type: "backup.dump",
  summary: "Dump databases with pg_dump into the backups",
  docs: `Each database by itself, as pg_dump sees it in one transaction, in the custom format; and with \`globals\` the roles and tablespaces, whose
passwords are left out where the role may not read them. The programs are those of the server's node, else of this machine, and never older than
the server. The record is written last: until then there is no backup. Where the target has no repository, dumps go to \`backups/\` in the state folder.

A dump that was made is not yet a good one: \`backup.read-dump\` reads it back.`,
  example: `- backup.dump: {databases: [shop], globals: true}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  needs: ["postgres"],
  uses: ["nodes", "repository"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      databases: {
        type: ["array", "null"],
        items: { type: "string", minLength: 1 },
        description: "Their names; all that take connections without this",
      },
      globals: { type: "boolean", default: true, description: "Roles and tablespaces as well" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["id", "databases", "bytes", "stored_bytes", "location", "tool"],
    properties: {
      id: { type: "string" },
      databases: { type: "array", items: { type: "string" } },
      bytes: { type: "number", description: "Of the databases on the server" },
      stored_bytes: { type: "number" },
      location: { type: "string" },
      tool: { type: "string", description: "pg_dump's version, and where it was found" },
    },
  },
  async run(ctx, input: Input) {
    const place = await backupPlace(ctx);
    await sweep(ctx);
    await assertClock(ctx);
    const client = await clientOf(ctx);
    try {
      const databases = await databasesOf(ctx, input.databases ?? null);
      const started = ctx.clock.now();
      const id = newBackupId("logical", started);
      ctx.note({ id });
      const at: Dumping = { ...client, ...place, id, signal: ctx.signal };
      const parts = await dumpAll(ctx, at, databases, input.globals !== false);
      const record = await recordOf(ctx, { id, started, parts, databases, tool: toolOf(client) });
      const content = new TextEncoder().encode(
        `${JSON.stringify({ ...record, cluster: { ...place.key, name: place.cluster } })}\n`,
      );
      await place.repository.create(recordName(place.key, id), content, { signal: ctx.signal });
      return outputOf(record, place.repository.where);
    } finally {
      await client.close();
    }
  },
  varies: ["bytes"],
  async plan(ctx, input: Input) {
    const databases = await databasesOf(ctx, input.databases ?? null);
    return { databases: databases.map(({ name }) => name), bytes: sum(databases) };
  },
  async probe(ctx) {
    const { id } = (ctx.noted ?? {}) as { id?: string };
    if (id === undefined) return { state: "not_done" };
    const { repository, key } = await backupPlace(ctx);
    const record = await recordIfThere(repository, recordName(key, id));
    return record === null
      ? { state: "not_done" }
      : { state: "done", output: outputOf(record, repository.where) };
  },
  async undo(ctx) {
    await sweep(ctx);
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

/** Removes what an attempt before has left. */
async function sweep(ctx: StepContext): Promise<void> {
  await removePassfile(ctx);
  const { id } = (ctx.noted ?? {}) as { id?: string };
  if (id === undefined) return;
  const { repository, key } = await backupPlace(ctx);
  await removeBackup(repository, key, id);
}

interface Database {
  name: string;
  bytes: number;
  locale: DatabaseLocale;
}

/** @throws PgdbaError invalid_param */
async function databasesOf(ctx: StepContext, wanted: string[] | null): Promise<Database[]> {
  const postgres = await ctx.use("postgres");
  const session = await postgres.session();
  const { rows } = await session.ask(DATABASES, [wanted]);
  const found = rows.map((row) => ({
    name: String(row["name"]),
    bytes: Number(row["bytes"]),
    locale: localeFrom(row),
  }));
  const missing = wanted?.filter((name) => !found.some((one) => one.name === name)) ?? [];
  if (missing.length === 0 && found.length > 0) return found;
  throw new PgdbaError(
    "invalid_param",
    `${ctx.target.name} has no database ${missing.join(", ")} that takes connections`,
    {
      hint: "`select datname from pg_database where datallowconn` shows all. Names are case-sensitive.",
    },
  );
}

async function dumpAll(
  ctx: StepContext,
  at: Dumping,
  databases: readonly Database[],
  globals: boolean,
): Promise<Part[]> {
  const parts: Part[] = [];
  let done = 0;
  const onBytes = (text: string) => (bytes: number) =>
    ctx.progress({ done: (done += bytes), unit: "bytes", text });
  if (globals) {
    const session = await (await ctx.use("postgres")).session();
    const passwords = session.info.superuser;
    if (!passwords)
      ctx.warn(
        `${session.info.user} is no superuser: the roles are dumped without their passwords`,
      );
    parts.push(await dumpGlobals(at, { passwords }));
  }
  for (const [index, { name, bytes }] of databases.entries())
    parts.push(
      await dumpDatabase(at, { number: index + 1, database: name, raw: bytes }, onBytes(name)),
    );
  return parts;
}

const toolOf = ({ programs }: Pick<Dumping, "programs">) =>
  `pg_dump ${shown(programs.version)} ${programs.where}`;

async function recordOf(
  ctx: StepContext,
  made: { id: string; started: Date; parts: Part[]; databases: Database[]; tool: string },
): Promise<Omit<BackupRecord, "cluster">> {
  const session = await (await ctx.use("postgres")).session();
  const { facts } = await ctx.target.facts();
  const server = (await session.ask(SERVER)).rows[0] ?? {};
  return {
    format: 1,
    id: made.id,
    type: "logical",
    parent: null,
    node: String(facts["member"] ?? ctx.target.name),
    source: server["standby"] === true ? "standby" : "primary",
    started_at: made.started.toISOString(),
    finished_at: ctx.clock.now().toISOString(),
    wal: null,
    parts: made.parts,
    manifest: null,
    bytes: sum(made.databases),
    stored_bytes: made.parts.reduce((total, part) => total + part.stored_bytes, 0),
    compression: "pg_dump",
    server: {
      version: String(server["version"]),
      block_size: Number(server["block_size"]),
      segment_bytes: Number(server["segment_bytes"]),
      checksums: server["checksums"] === true,
      settings: {},
    },
    databases: made.databases.map((one) => ({ ...one, tables: null })),
    run: ctx.run.id,
    tool: made.tool,
  };
}

function outputOf(record: Omit<BackupRecord, "cluster">, location: string) {
  const { id, databases, bytes, stored_bytes, tool } = record;
  return { id, databases: databases.map(({ name }) => name), bytes, stored_bytes, location, tool };
}

const sum = (databases: readonly Database[]) =>
  databases.reduce((total, { bytes }) => total + bytes, 0);
