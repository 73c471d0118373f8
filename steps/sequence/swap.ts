import { PgdbaError } from "../../engine/errors.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { milliseconds, session } from "../sql/session.ts";
import { unfit } from "./widening/batches.ts";
import { type Facts, factsOf } from "./widening/facts.ts";
import {
  type Ask,
  askOf,
  columnName,
  follow,
  isNarrow,
  narrowNames,
  shown,
  startingPoints,
  tableName,
  type Widening,
} from "./widening/find.ts";
import { DEFAULT_LOCK_TIMEOUT, LOCK_TIMEOUT, WANTED, WIDENED } from "./widening/input.ts";
import { grantAgain, grantedOn, grantStatements } from "./widening/privileges.ts";
import { lockStatement, sequenceStatements } from "./widening/statements.ts";
import { generatorsOf, swapStatements } from "./widening/swap.ts";
import { lockedTogether } from "./widening/together.ts";
import { createStatements, dropStatements, makeAgain, mayGo, viewsOf } from "./widening/views.ts";

export default defineStep({
  type: "sequence.swap",
  summary: "Let the bigint columns that sequence.fill has filled take the places of the old ones",
  docs: `One transaction that reads no table, under a lock that is not waited for longer than \`lock_timeout\`, and that makes nobody the victim of a deadlock. What was made meanwhile, such as a materialized view or
another foreign key, is seen, and then nothing is done. Plain views that read the columns, and views on these, are dropped and made again in the same transaction, as \`sequence.widen\` does. What was granted on the columns and on the sequences of identities is granted again by whom
it was, and compared; nothing that default privileges would add stays. The columns stand at the end of their tables afterwards. Foreign keys are NOT VALID: new rows are
held to them, and the old ones have to be read once with VALIDATE CONSTRAINT.`,
  example: `- sequence.swap: {sequence: public.orders_id_seq}
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
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? DEFAULT_LOCK_TIMEOUT)!;
    const { start, tables } = await beforeActing(ctx, async () => {
      const start = await startingPoints(pg, input);
      const ask = askOf(pg);
      const columns = (await follow(ask, start)).columns.filter(isNarrow);
      return { start, tables: tablesOf(await factsOf(ask, columns)) };
    });
    return lockedTogether(ctx, pg, lockTimeoutMs, tables, async (run) => {
      await run("SET LOCAL search_path = pg_catalog");
      const found = await follow(run, start);
      for (const sql of sequenceStatements(found.sequences)) await run(sql);
      const facts = await factsOf(run, found.columns.filter(isNarrow));
      await judge(run, found, facts, tables);
      const generators = await generatorsOf(run, facts.details);
      const granted = await grantedOn(run, facts.details);
      const views = mayGo(await viewsOf(run, found.columns.filter(isNarrow)));
      for (const sql of [...dropStatements(views), ...swapStatements(facts, generators)])
        await run(sql);
      await grantAgain(run, granted);
      await makeAgain(run, views);
      return narrowNames(found);
    });
  },
  async plan(ctx, input) {
    const pg = await session(ctx);
    const ask = askOf(pg);
    const found = await follow(ask, await startingPoints(pg, input));
    const facts = await factsOf(ask, found.columns.filter(isNarrow));
    const generators = await generatorsOf(ask, facts.details);
    const granted = await grantedOn(ask, facts.details);
    const views = mayGo(await viewsOf(ask, found.columns.filter(isNarrow)));
    return {
      sql: [
        ...tablesOf(facts).map(lockStatement),
        ...sequenceStatements(found.sequences),
        ...dropStatements(views),
        ...swapStatements(facts, generators),
        ...granted.flatMap(({ grants, ...thing }) => grantStatements(thing, grants)),
        ...createStatements(views),
      ],
    };
  },
});

/** All that the swap changes. */
function tablesOf({ details, foreignKeys }: Facts): string[] {
  const names = [
    ...details.map(({ column }) => tableName(column)),
    ...foreignKeys.flatMap(({ schema, table, other_schema, other }) => [
      quoteName(schema, table),
      quoteName(other_schema, other),
    ]),
  ];
  return [...new Set(names)];
}

/** With the locks held: what was made since the columns were filled. @throws PgdbaError step_refused */
async function judge(
  ask: Ask,
  found: Widening,
  facts: Facts,
  locked: readonly string[],
): Promise<void> {
  const open = [
    ...facts.details
      .filter((one) => !(one.added && one.kept_in_step && one.proven && one.not_null_proven))
      .map(({ column }) => `the column ${columnName(column)}`),
    ...facts.indexes
      .filter(({ built }) => built !== true)
      .map(({ schema, name }) => `the index ${shown(schema, name)}`),
    ...tablesOf(facts)
      .filter((table) => !locked.includes(table))
      .map((table) => `a foreign key of ${table}`),
  ];
  if (open.length > 0)
    throw new PgdbaError("step_refused", `These are not ready yet: ${open.join(", ")}`, {
      hint: "Somebody has changed the tables meanwhile; run it again.",
    });
  const reasons = [
    ...found.columns.filter(isNarrow).flatMap(({ blockers }) => blockers),
    ...(await unfit(ask, found)),
  ];
  if (reasons.length > 0)
    throw new PgdbaError("step_refused", `These were made meanwhile: ${reasons.join("; ")}`, {
      hint: "Take them away, run it again, and make them again afterwards.",
    });
}
