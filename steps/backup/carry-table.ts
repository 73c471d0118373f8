import type { Json, StepContext } from "../../engine/types.ts";
import type { Alone } from "../../providers/backup/logical/alone.ts";
import { moveTables } from "../../providers/backup/logical/load.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { endLent, lend } from "./restore/lent.ts";
import { admin, missingRoles } from "./scratch-database.ts";
import {
  assertTableFree,
  finishTable,
  markOf,
  newTableName,
  type NotedTable,
  removeTable,
  tableDone,
  tableIn,
} from "./table-beside.ts";

export default defineStep({
  type: "backup.carry-table",
  summary:
    "Bring one table out of a recovered scratch folder into the cluster, beside the one that there is",
  docs: `For a scratch that \`backup.recover\` has brought to its end (\`promote\`). A server runs there for as long as it takes; in it the table is made to stand by
itself, and pg_dump and pg_restore bring it over in one transaction, under a name that nobody knows; when its rows are counted, it gets its own. Its primary key, unique and check constraints, indexes,
own sequences and identity columns, statistics objects and comments come along, and get new names where names must be unique; so do all partitions of a partitioned
table. Foreign keys, triggers, rules, policies, privileges and the parent of a child or a partition don't, and are told in \`left_out\`. It belongs to its owner where that
role is there, else to the role that restores.`,
  example: `- backup.carry-table:
    node: pg2
    backup_id: 20261128T184500Z-full-1a2b3c
    database: shop
    table: public.orders
    name: orders_restored_20261129_030405
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  needs: ["postgres", "primary", "nodes", "repository"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "backup_id", "database", "table", "name"],
    properties: {
      node: { type: "string", minLength: 1, description: "Whose disk has the scratch folder" },
      backup_id: { type: "string", minLength: 1, description: "The backup that it started from" },
      database: { type: "string", minLength: 1 },
      table: {
        type: "string",
        minLength: 1,
        description: "`schema.table`, or a table of `public`",
      },
      name: { type: "string", minLength: 1, description: "Its new name in the same schema" },
      into: {
        type: ["string", "null"],
        description: "The database that it is brought into; the one that it comes from without it",
      },
      owners: {
        type: "boolean",
        default: true,
        description: "It belongs to whom it belonged to, where that role is there",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["database", "table", "rows", "partitions", "owner", "left_out"],
    properties: {
      database: { type: "string" },
      table: { type: "string" },
      rows: { type: "number" },
      partitions: { type: "integer" },
      owner: { type: ["string", "null"], description: "Null: the role that restores" },
      left_out: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["kind", "name", "definition"],
          properties: {
            kind: {
              enum: ["foreign key", "trigger", "rule", "policy", "parent", "child", "partition"],
            },
            name: { type: "string" },
            definition: { type: ["string", "null"] },
          },
        },
      },
    },
  },
  async run(ctx, { node, backup_id, database, table, name, into, owners = true }) {
    const from = tableIn(table);
    const to = into ?? database;
    await removeTable(ctx);
    await assertTableFree(ctx, to, from.schema, name);
    const client = await clientOf(ctx);
    const wish = { ...from, name: newTableName(ctx), mark: markOf(ctx) };
    try {
      return await lend(ctx, { node, backup_id, database, table: wish, client }, async (source) => {
        const alone = source.table!;
        const owner = owners ? await ownerOf(ctx, alone) : null;
        await assertSchemas(ctx, to, alone, from.schema);
        const made: NotedTable = { table: { database: to, schema: from.schema, name: wish.name } };
        ctx.note({ ...made } as Json);
        ctx.progress({ text: `bringing ${alone.rows} rows over` });
        await moveTables({ ...source, database }, alone.tables, {
          ...client,
          database: to,
          options: ["--no-privileges", ...(owner === null ? ["--no-owner"] : [])],
        });
        const output = {
          database: to,
          table: `${from.schema}.${name}`,
          rows: alone.rows,
          partitions: alone.partitions,
          owner,
          left_out: alone.left_out as unknown as Json[],
        };
        await finishTable(ctx, { made, alone, to: name, output });
        return output;
      });
    } finally {
      await client.close();
    }
  },
  async plan(ctx, { database, table, name, into }): Promise<Json> {
    const { schema } = tableIn(table);
    await assertTableFree(ctx, into ?? database, schema, name);
    return { from: `${database}: ${table}`, into: into ?? database, name: `${schema}.${name}` };
  },
  async probe(ctx) {
    const output = await tableDone(ctx);
    return output ? { state: "done", output } : { state: "not_done" };
  },
  async undo(ctx, { node }) {
    await removePassfile(ctx);
    await endLent(ctx, node);
    if (!(await removeTable(ctx))) ctx.unchanged();
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

/** Null: all belongs to the role that restores. */
async function ownerOf(ctx: StepContext, { owners }: Alone): Promise<string | null> {
  const pg = await admin(ctx);
  if (!pg.info.superuser) return null;
  const missing = await missingRoles(pg, owners);
  if (missing.length === 0) return owners[0]!;
  ctx.warn(
    `The owner ${missing.join(", ")} is not there any more: the table belongs to ${pg.info.user}`,
  );
  return null;
}

/** Partitions may lie in others than their table does. @throws PgdbaError invalid_param */
async function assertSchemas(
  ctx: StepContext,
  database: string,
  { schemas }: Alone,
  known: string,
): Promise<void> {
  for (const schema of schemas)
    if (schema !== known) await assertTableFree(ctx, database, schema, newTableName(ctx));
}
