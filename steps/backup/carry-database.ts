import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Lent } from "../../providers/backup/lend.ts";
import { moveDatabase } from "../../providers/backup/logical/load.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { removePassfile } from "../local-programs.ts";
import { clientOf } from "./client.ts";
import { settle } from "./counted-rows.ts";
import { endLent, lend } from "./restore/lent.ts";
import {
  admin,
  assertDatabaseFree,
  databaseDone,
  makeScratch,
  missingRoles,
  nameScratch,
  removeScratch,
} from "./scratch-database.ts";

export default defineStep({
  type: "backup.carry-database",
  summary: "Bring one database out of a recovered scratch folder into the cluster, as a new one",
  docs: `For a scratch that \`backup.recover\` has brought to its end (\`promote\`). A server runs there for as long as it takes; pg_dump and pg_restore bring the
database over into one that nobody knows, its rows are counted and compared, and then it gets its name. Nothing that is there is touched. Subscriptions are left out, and so is
what belongs to a database and is in no dump, such as ALTER DATABASE … SET. Unlogged tables are empty: no physical backup has their rows.

What the database defines (functions, defaults, triggers) runs in the server, by the role that restores, and never on this machine.`,
  example: `- backup.carry-database:
    node: pg2
    backup_id: 20261128T184500Z-full-1a2b3c
    database: shop
    name: shop_restored_20261129_030405
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
    required: ["node", "backup_id", "database", "name"],
    properties: {
      node: { type: "string", minLength: 1, description: "Whose disk has the scratch folder" },
      backup_id: { type: "string", minLength: 1, description: "The backup that it started from" },
      database: { type: "string", minLength: 1 },
      name: { type: "string", minLength: 1, description: "Its new name" },
      owners: {
        type: "boolean",
        default: true,
        description: "With owners and privileges as they were",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["database", "tables", "rows"],
    properties: {
      database: { type: "string" },
      tables: { type: "integer" },
      rows: { type: "number" },
    },
  },
  async run(ctx, { node, backup_id, database, name, owners = true }) {
    await removeScratch(ctx);
    await assertDatabaseFree(ctx, name);
    const client = await clientOf(ctx);
    try {
      return await lend(ctx, { node, backup_id, database, table: null, client }, async (source) => {
        const there = source.database!;
        if (owners) await assertRoles(ctx, there.roles);
        tellUnlogged(ctx, there);
        const noted = await makeScratch(ctx, there.locale);
        let done = 0;
        await moveDatabase(
          { ...source, database },
          {
            ...client,
            database: noted.scratch,
            options: owners ? [] : ["--no-owner", "--no-privileges"],
          },
          (bytes) => ctx.progress({ done: (done += bytes), unit: "bytes", text: database }),
        );
        const output = { database: name, ...(await settle(ctx, noted.scratch, there.rows)) };
        ctx.note({ ...noted, output });
        await nameScratch(await admin(ctx), noted.scratch, name);
        return output;
      });
    } finally {
      await client.close();
    }
  },
  async plan(ctx, { database, name }): Promise<Json> {
    await assertDatabaseFree(ctx, name);
    return { from: database, to: name };
  },
  probe: databaseDone,
  async undo(ctx, { node }) {
    await removePassfile(ctx);
    await endLent(ctx, node);
    if (!(await removeScratch(ctx))) ctx.unchanged();
  },
  async forget(ctx) {
    await removePassfile(ctx);
  },
});

/** @throws PgdbaError step_refused */
async function assertRoles(ctx: StepContext, roles: readonly string[]): Promise<void> {
  const missing = await missingRoles(await admin(ctx), roles);
  if (missing.length === 0) return;
  throw new PgdbaError(
    "step_refused",
    `What is in the database belonged to roles that are not there any more: ${missing.join(", ")}`,
    { hint: "Create them, or restore without owners and privileges (--no-owners)." },
  );
}

function tellUnlogged(ctx: StepContext, { unlogged }: NonNullable<Lent["database"]>): void {
  if (unlogged.length > 0)
    ctx.warn(
      `Unlogged tables are empty, for no physical backup has their rows: ${unlogged.slice(0, 20).join(", ")}`,
    );
}
