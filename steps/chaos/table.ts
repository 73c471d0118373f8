import type { StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { assertUnpublished, createSchema, notOurs, ownerOf } from "./drills/own-schema.ts";

const SCHEMA = "pgdba_corrupt";
const OWN = { name: SCHEMA, mark: "pgdba: a table that a drill damages; removed at its end" };
/** So many rows fill some hundred pages. */
const ROWS = 20_000;

export default defineStep({
  type: "chaos.table",
  summary: "Make a table that a drill may damage, and have amcheck at hand",
  docs: `In a schema \`pgdba_corrupt\` of its own, which bears a mark; one that a killed drill has left is replaced, one of somebody else refused. Nothing writes to the
table afterwards: it is frozen, and autovacuum leaves it alone. amcheck is installed into that schema where the server has it and nobody has installed it. \`remove\` takes all of it away.`,
  example: `- id: own
  chaos.table: {}
- chaos.table: {remove: true}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      remove: { type: "boolean", default: false, description: "Take it away" },
      rows: { type: "integer", minimum: 1000, maximum: 10_000_000, default: ROWS },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "rows", "amcheck"],
    properties: {
      table: { type: "string" },
      rows: { type: "integer" },
      amcheck: { type: "boolean", description: "Whether the server has it" },
    },
  },
  async run(ctx, { remove = false, rows = ROWS }) {
    const table = `${SCHEMA}.rows`;
    const pg = await session(ctx);
    if (remove) {
      await removeTable(ctx, pg);
      return { table, rows: 0, amcheck: false };
    }
    if ((await ownerOf(pg, OWN)) === "other") throw notOurs(OWN);
    await assertUnpublished(pg);
    await removeTable(ctx, pg);
    await pg.transaction({ readOnly: false, signal: ctx.signal }, async (run) => {
      await createSchema(run, OWN);
      await run(
        `CREATE TABLE ${table} (id int PRIMARY KEY, said text NOT NULL) WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false)`,
      );
      await run(
        `INSERT INTO ${table} SELECT n, repeat(md5(n::text), 3) FROM generate_series(1, $1::int) n`,
        [rows],
      );
    });
    await pg.query(`VACUUM (FREEZE, ANALYZE) ${table}`, [], { alone: true, signal: ctx.signal });
    return { table, rows, amcheck: await amcheck(pg) };
  },
  async undo(ctx) {
    await removeTable(ctx, await session(ctx));
  },
});

async function amcheck(pg: PgSession): Promise<boolean> {
  const { rows } = await pg.ask(
    "SELECT installed_version IS NOT NULL AS there FROM pg_available_extensions WHERE name = 'amcheck'",
  );
  if (rows[0] === undefined) return false;
  if (rows[0]["there"] !== true) await pg.query(`CREATE EXTENSION amcheck SCHEMA ${SCHEMA}`);
  return true;
}

async function removeTable(ctx: StepContext, pg: PgSession): Promise<void> {
  if ((await ownerOf(pg, OWN)) !== "ours") return void ctx.unchanged();
  await pg.query(`DROP SCHEMA ${SCHEMA} CASCADE`, [], { signal: ctx.signal });
}
