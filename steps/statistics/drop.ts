import { quoteIdent, quoteLiteral } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { type Statistics, statisticsNamed } from "./object/existing.ts";

const LOCK_TIMEOUT = "2s";

export default defineStep({
  type: "statistics.drop",
  summary: "Drop an extended statistics object; the undo makes it again and analyses its table",
  docs: `One DROP STATISTICS with a short lock timeout. The undo makes it again with its owner, its statistics target and its comment, and analyses the table,
without which it would say nothing.`,
  example: `- statistics.drop: {schema: public, name: places_country_city_stat}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "name"],
    properties: {
      schema: { type: "string", minLength: 1 },
      name: { type: "string", minLength: 1 },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "the lock"),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["dropped", "definition"],
    properties: {
      dropped: { type: "boolean", description: "False when there was none" },
      definition: { type: ["string", "null"], description: "The statement that makes it again" },
    },
  },
  async run(ctx, { schema, name, lock_timeout }) {
    const found = await beforeActing(ctx, async () =>
      statisticsNamed(await session(ctx), schema, name),
    );
    const own = ctx.noted as unknown as Statistics | undefined;
    if (found === null) {
      if (own === undefined) ctx.unchanged();
      return { dropped: own !== undefined, definition: own?.definition ?? null };
    }
    ctx.note({ ...found });
    const pg = await session(ctx);
    const lockTimeoutMs = milliseconds(lock_timeout ?? LOCK_TIMEOUT);
    await pg.transaction({ readOnly: false, lockTimeoutMs, signal: ctx.signal }, (run) =>
      run(`DROP STATISTICS ${found.shown}`),
    );
    return { dropped: true, definition: found.definition };
  },
  async plan(ctx, { schema, name }) {
    const found = await statisticsNamed(await session(ctx), schema, name);
    return found === null
      ? { found: false }
      : { sql: `DROP STATISTICS ${found.shown}`, definition: found.definition };
  },
  async undo(ctx, { schema, name, lock_timeout }) {
    const old = ctx.noted as unknown as Statistics | undefined;
    const pg = await session(ctx);
    if (old === undefined || (await statisticsNamed(pg, schema, name)) !== null)
      return ctx.unchanged();
    const lockTimeoutMs = milliseconds(lock_timeout ?? LOCK_TIMEOUT);
    await pg.transaction({ readOnly: false, lockTimeoutMs }, async (run) => {
      for (const sql of madeAgain(old)) await run(sql);
    });
  },
});

function madeAgain({ definition, shown, table, owner, target, comment }: Statistics): string[] {
  return [
    definition,
    `ALTER STATISTICS ${shown} OWNER TO ${quoteIdent(owner)}`,
    ...(target === null ? [] : [`ALTER STATISTICS ${shown} SET STATISTICS ${target}`]),
    ...(comment === null ? [] : [`COMMENT ON STATISTICS ${shown} IS ${quoteLiteral(comment)}`]),
    `ANALYZE ${table}`,
  ];
}
