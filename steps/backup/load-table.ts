import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { standAlone } from "../../providers/backup/logical/alone.ts";
import { contentsOf, loadDump, moveTables } from "../../providers/backup/logical/load.ts";
import { withSuffix } from "../../providers/backup/logical/names.ts";
import { entriesFor } from "../../providers/backup/logical/table-list.ts";
import { defineStep } from "../define.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { assertNotOlder, dumpOf, toolMajor } from "./logical-part.ts";
import { backupPlace } from "./place.ts";
import { recordOf } from "./records.ts";
import { admin, makeScratch, removeScratch } from "./scratch-database.ts";
import {
  assertTableFree,
  finishTable,
  inDatabase,
  type NotedTable,
  markOf,
  newTableName,
  removeTable,
  tableIn,
} from "./table-beside.ts";

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
    const { schema, table } = tableIn(input.table);
    const into = input.into ?? part.database;
    const to = input.to ?? withSuffix(table, "_restored");
    await assertTableFree(ctx, into, schema, to);
    await removeTable(ctx);
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
      await loadDump(client, stored, { database: noted.scratch, options, entries }, (bytes) =>
        ctx.progress({
          done: (done += bytes),
          total: part.stored_bytes,
          unit: "bytes",
          text: input.table,
        }),
      );
      const wish = { schema, table, name: newTableName(ctx), mark: markOf(ctx) };
      const alone = await inDatabase(ctx, noted.scratch, (pg) => standAlone(pg, wish));
      const made: NotedTable = { ...noted, table: { database: into, schema, name: wish.name } };
      ctx.note({ ...made } as Json);
      const { programs, env } = client;
      await moveTables({ programs, env, database: noted.scratch }, alone.tables, {
        programs,
        env,
        database: into,
        options: ["--no-owner", "--no-privileges"],
      });
      const rows = await finishTable(ctx, { made, alone, to });
      await removeScratch(ctx);
      return { database: into, table: `${schema}.${to}`, rows };
    } finally {
      await client.close();
    }
  },
  async plan(ctx, input: Input) {
    const record = await recordOf(await backupPlace(ctx), input.id);
    const part = dumpOf(record, input.database ?? null);
    const { schema, table } = tableIn(input.table);
    const into = input.into ?? part.database;
    const name = input.to ?? withSuffix(table, "_restored");
    await assertTableFree(ctx, into, schema, name);
    return { from: `${schema}.${table}`, into, name };
  },
  async undo(ctx) {
    await removePassfile(ctx);
    await removeTable(ctx);
    if (!(await removeScratch(ctx))) ctx.unchanged();
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});
