import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { contentsOf, loadDump, moveTable } from "../../providers/backup/logical/load.ts";
import { entriesFor } from "../../providers/backup/logical/table-list.ts";
import { quoteIdent, quoteName } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { defineStep } from "../define.ts";
import { clientOf, removePassfile } from "./client.ts";
import { assertNotOlder, dumpOf, toolMajor } from "./logical-part.ts";
import { backupPlace } from "./place.ts";
import { recordOf } from "./records.ts";
import { admin, makeScratch, removeScratch } from "./scratch-database.ts";

interface Input {
  id: string;
  database?: string | null;
  table: string;
  to?: string | null;
  into?: string | null;
}

export default defineStep({
  type: "backup.load-table",
  summary: "Restore one table from a logical backup, beside the one that there is",
  docs: `The definitions of the dump and the data of this table are loaded into a database that is made for it and goes afterwards; from there the table is brought
into its database under the new name, in one transaction: with data, indexes, primary key, checks and its own sequences, which get new names too. Triggers, rules, policies
and foreign keys are left out, for they would change or refuse its rows.`,
  example: `- backup.load-table:
    id: 20261128T184500Z-logical-1a2b3c
    database: shop
    table: public.orders
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  needs: ["postgres", "primary"],
  uses: ["nodes", "repository"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["id", "table"],
    properties: {
      id: { type: "string", minLength: 1, description: "The logical backup" },
      database: {
        type: ["string", "null"],
        description: "The database in it; the only one without this",
      },
      table: {
        type: "string",
        minLength: 1,
        description: "`schema.table`, or a table of `public`",
      },
      to: {
        type: ["string", "null"],
        minLength: 1,
        maxLength: 63,
        description: "Its new name in the same schema; with `_restored` without this",
      },
      into: {
        type: ["string", "null"],
        description:
          "The database that it is brought into; the one that it comes from without this",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["database", "table", "rows"],
    properties: {
      database: { type: "string" },
      table: { type: "string" },
      rows: { type: "number" },
    },
  },
  async run(ctx, input: Input) {
    const place = await backupPlace(ctx);
    const record = await recordOf(place, input.id);
    const part = dumpOf(record, input.database ?? null);
    assertNotOlder(record, (await admin(ctx)).info.version_num);
    const { schema, table } = nameIn(input.table);
    const into = input.into ?? part.database;
    const name = input.to ?? `${table.slice(0, 54)}_restored`;
    await assertFree(ctx, into, schema, name);
    await removeScratch(ctx);
    const client = await clientOf(ctx, toolMajor(record));
    try {
      const stored = { ...place, id: record.id, part, signal: ctx.signal };
      const entries = entriesFor(await contentsOf(client.programs, stored), schema, table);
      if (entries === null) {
        throw new PgdbaError(
          "invalid_param",
          `${record.id} has no data of a table ${schema}.${table}`,
          {
            hint: "Names are case-sensitive. Of a partitioned table, name the partitions.",
          },
        );
      }
      const noted = await makeScratch(
        ctx,
        record.databases.find((one) => one.name === part.database)?.locale,
      );
      let done = 0;
      const options = ["--no-owner", "--no-privileges"];
      await loadDump(
        client.programs,
        client.env,
        stored,
        { database: noted.scratch, options, entries },
        (bytes) =>
          ctx.progress({
            done: (done += bytes),
            total: part.stored_bytes,
            unit: "bytes",
            text: input.table,
          }),
      );
      const rows = await prepare(ctx, noted.scratch, { schema, table, name });
      await moveTable(
        client.programs,
        { env: client.env, database: noted.scratch, table: quoteName(schema, name) },
        { env: client.env, database: into, options: ["--no-owner", "--no-privileges"] },
      );
      ctx.note({ ...noted, table: { database: into, name: quoteName(schema, name) } });
      const there = await inDatabase(ctx, into, (pg) => countOf(pg, schema, name));
      if (there !== rows)
        throw new PgdbaError(
          "step_failed",
          `${schema}.${name} has ${there} rows, and the backup has ${rows}`,
          { hint: "Look who changes it." },
        );
      await removeScratch(ctx);
      return { database: into, table: `${schema}.${name}`, rows };
    } finally {
      await client.close();
    }
  },
  async plan(ctx, input: Input) {
    const record = await recordOf(await backupPlace(ctx), input.id);
    const part = dumpOf(record, input.database ?? null);
    const { schema, table } = nameIn(input.table);
    return {
      from: `${schema}.${table}`,
      into: input.into ?? part.database,
      name: input.to ?? `${table.slice(0, 54)}_restored`,
    };
  },
  async undo(ctx) {
    await removePassfile(ctx);
    const { table } = (ctx.noted ?? {}) as { table?: { database: string; name: string } };
    if (table !== undefined)
      await inDatabase(ctx, table.database, (pg) =>
        pg.query(`DROP TABLE IF EXISTS ${table.name}`, [], { changes: true }),
      );
    if (!(await removeScratch(ctx))) ctx.unchanged();
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

/** @throws PgdbaError invalid_param */
function nameIn(text: string): { schema: string; table: string } {
  const found = /^(?:("(?:[^"]|"")+"|[^".]+)\.)?("(?:[^"]|"")+"|[^".]+)$/.exec(text);
  const plain = (part: string) =>
    part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
  if (found?.[2] !== undefined)
    return { schema: plain(found[1] ?? "public"), table: plain(found[2]) };
  throw new PgdbaError("invalid_param", `${JSON.stringify(text)} names no table`, {
    hint: 'Write schema.table, with quotes where a name has a dot: public.orders, "my.schema".orders.',
  });
}

async function inDatabase<T>(
  ctx: StepContext,
  database: string,
  work: (pg: PgSession) => Promise<T>,
): Promise<T> {
  const pg = await (await ctx.use("postgres")).open(database);
  try {
    return await work(pg);
  } finally {
    await pg.close();
  }
}

async function countOf(pg: PgSession, schema: string, table: string): Promise<number> {
  const { rows } = await pg.ask(
    `SELECT count(*)::text AS rows FROM ONLY ${quoteName(schema, table)}`,
  );
  return Number(rows[0]?.["rows"]);
}

/** @throws PgdbaError invalid_param */
async function assertFree(
  ctx: StepContext,
  database: string,
  schema: string,
  name: string,
): Promise<void> {
  const found = await inDatabase(ctx, database, (pg) =>
    pg.ask(
      "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
      [schema, name],
    ),
  );
  if (found.rows.length === 0) return;
  throw new PgdbaError("invalid_param", `${database} has ${schema}.${name} already`, {
    hint: "Give another name with --to.",
  });
}

const NAMES = `SELECT 'INDEX' AS kind, i.relname AS name FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = $1::text::regclass
  UNION ALL SELECT 'SEQUENCE', s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::text::regclass AND d.deptype IN ('a', 'i')`;

/** Gives the table, its indexes and its sequences names that are free beside the old ones. @returns its rows */
async function prepare(
  ctx: StepContext,
  scratch: string,
  { schema, table, name }: { schema: string; table: string; name: string },
): Promise<number> {
  return inDatabase(ctx, scratch, async (pg) => {
    const { rows } = await pg.ask(NAMES, [quoteName(schema, table)]);
    for (const [at, { kind, name: old }] of rows.entries()) {
      const fresh = `${String(old).slice(0, 45)}_restored${at + 1}_${ctx.run.id.slice(-4)}`;
      await pg.query(
        `ALTER ${String(kind)} ${quoteName(schema, String(old))} RENAME TO ${quoteIdent(fresh)}`,
        [],
        { changes: true },
      );
    }
    if (name === table) return countOf(pg, schema, name);
    await pg.query(`ALTER TABLE ${quoteName(schema, table)} RENAME TO ${quoteIdent(name)}`, [], {
      changes: true,
    });
    return countOf(pg, schema, name);
  });
}
