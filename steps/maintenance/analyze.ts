import { quoteName } from "../../providers/planner/twin/names.ts";
import { defineStep } from "../define.ts";
import { LONG } from "../sql/long/run.ts";
import { session } from "../sql/session.ts";
import { lookAfter } from "./relation/look-after.ts";
import { relationOf } from "./relation/relation.ts";
import { LIMITS, limitsOf, LOCK_TIMEOUT, ON_TABLE } from "./relation/shape.ts";

export default defineStep({
  type: "maintenance.analyze",
  summary: "Analyse one table, and see that it was done",
  docs: `ANALYZE in a session of its own, with a lock timeout; readers and writers go on. A partitioned table is analysed with all its
partitions. A user who may not analyse the table is refused, where the server itself would only warn.`,
  example: `- maintenance.analyze: {schema: public, table: orders}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  job: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table"],
    properties: { ...ON_TABLE, ...LIMITS },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "changed_before", "rows"],
    properties: {
      table: { type: "string" },
      changed_before: { type: "number", description: "Rows changed since it was last analysed" },
      rows: { type: "number", description: "Rows that it has by its new statistics" },
    },
  },
  async run(ctx, input) {
    const sql = `ANALYZE ${quoteName(input.schema, input.table)}`;
    const { before, after } = await lookAfter(ctx, input, "analyzes", sql);
    return { table: before.name, changed_before: before.changed, rows: after.rows };
  },
  async plan(ctx, input) {
    const { lockTimeoutMs } = limitsOf(input);
    const { schema, table, lock_timeout } = input;
    const { changed } = await relationOf(await session(ctx), schema, table, lockTimeoutMs);
    return {
      sql: `ANALYZE ${quoteName(schema, table)}`,
      lock_timeout: lock_timeout ?? LOCK_TIMEOUT,
      changed,
    };
  },
  ...LONG,
});
