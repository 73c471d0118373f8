import TABLES from "./sql/widening-tables.sql" with { type: "text" };
import { defineStep } from "../define.ts";
import { beforeActing } from "../before-acting.ts";
import { milliseconds, session } from "../sql/session.ts";
import {
  type Ask,
  askOf,
  type Column,
  findWidening,
  isNarrow,
  narrowNames,
  tableName,
} from "./widening/find.ts";
import { DEFAULT_LOCK_TIMEOUT, LOCK_TIMEOUT, WANTED, WIDENED } from "./widening/input.ts";
import { alterStatements, lockStatement } from "./widening/statements.ts";
import { lockedTogether } from "./widening/together.ts";
import { createStatements, dropStatements, makeAgain, mayGo, viewsOf } from "./widening/views.ts";

export default defineStep({
  type: "sequence.widen",
  summary:
    "Make a sequence, its columns and all that reference them bigint at once, in one transaction",
  docs: `All tables are locked first, for no longer than \`lock_timeout\` is waited, and nobody is made the victim of a deadlock; then each is rewritten, its indexes with it. Nobody reads or
writes them meanwhile: for small tables. Plain views that read the columns, and views on these, are dropped and made again in the same transaction, with owner, rights, options, comments and
defaults; what can't be made again as it is, such as a materialized view or a trigger on a view, is refused. What has to be widened is found by \`sequence.widening\`.`,
  example: `- sequence.widen: {sequence: public.orders_id_seq}
`,
  effect: "change",
  oneAct: true,
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    properties: { ...WANTED, lock_timeout: LOCK_TIMEOUT },
  },
  output: WIDENED,
  async run(ctx, input) {
    const pg = await session(ctx);
    const { found, tables } = await beforeActing(ctx, async () => {
      const found = await findWidening(pg, input);
      return { found, tables: await lockedBy(askOf(pg), found.columns.filter(isNarrow)) };
    });
    const statements = alterStatements(found);
    if (statements.length === 0) ctx.unchanged();
    else {
      const lockTimeoutMs = milliseconds(input.lock_timeout ?? DEFAULT_LOCK_TIMEOUT)!;
      await lockedTogether(ctx, pg, lockTimeoutMs, tables, async (run) => {
        const views = mayGo(await viewsOf(run, found.columns.filter(isNarrow)));
        for (const sql of [...dropStatements(views), ...statements]) await run(sql);
        await makeAgain(run, views);
      });
    }
    return narrowNames(found);
  },
  async plan(ctx, input) {
    const pg = await session(ctx);
    const found = await findWidening(pg, input);
    const tables = await lockedBy(askOf(pg), found.columns.filter(isNarrow));
    const views = mayGo(await viewsOf(askOf(pg), found.columns.filter(isNarrow)));
    return {
      sql: [
        ...tables.map(lockStatement),
        ...dropStatements(views),
        ...alterStatements(found),
        ...createStatements(views),
      ],
    };
  },
});

/** The names of all tables that a change of the columns' type locks, quoted. */
async function lockedBy(ask: Ask, columns: readonly Column[]): Promise<string[]> {
  const of = [columns.map(({ relid }) => relid), columns.map(({ attnum }) => attnum)];
  const { rows } = await ask(TABLES, of);
  return (rows as unknown as Pick<Column, "schema" | "table">[]).map(tableName);
}
