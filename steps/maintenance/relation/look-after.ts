import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Notice } from "../../../providers/postgres/channel.ts";
import { beforeActing } from "../../before-acting.ts";
import { counterOf, markOf, runLong, waitForEnd } from "../../sql/long/run.ts";
import { session } from "../../sql/session.ts";
import { type Relation, relationOf } from "./relation.ts";
import { limitsOf } from "./shape.ts";

/** Before 15 a collector of its own takes up the counters, a moment later. */
const WAIT_MS = 5000;
const POLL_MS = 100;

type Input = { schema: string; table: string } & Parameters<typeof limitsOf>[0];
type Counter = "vacuums" | "analyzes";

/**
 * Runs the command for a table, once in a run, and sees by the server's counter that it was done.
 * @returns the table before and afterwards
 * @throws PgdbaError step_failed when the counter has not moved; what `relationOf` and `runLong` throw
 */
export async function lookAfter(
  ctx: StepContext,
  input: Input,
  counter: Counter,
  sql: string,
): Promise<{ before: Relation; after: Relation }> {
  const { schema, table } = input;
  const { lockTimeoutMs } = limitsOf(input);
  const before = await beforeActing(ctx, async () =>
    relationOf(await session(ctx), schema, table, lockTimeoutMs),
  );
  if (ctx.attached) await waitForEnd(ctx);
  const warnings = await onceOnly(ctx, input, before[counter], counter, sql);
  return { before, after: await confirmed(ctx, input, before, counter, warnings) };
}

/**
 * Runs the command, unless an earlier process of this run had begun it and the server has ended it well since: it goes on without us.
 * The counter is kept as its mark.
 */
async function onceOnly(
  ctx: StepContext,
  input: Input,
  before: number,
  counter: Counter,
  sql: string,
): Promise<Notice[]> {
  const mark = await counterOf(ctx);
  const act = (count: number) => runLong(ctx, sql, limitsOf(input), count);
  if (mark === null) return act(before);
  const now = await relationOf(await session(ctx), input.schema, input.table, WAIT_MS);
  return now[counter] > mark ? [] : act(now[counter]);
}

/**
 * The table after it was looked after, as the server has it. A server that leaves a table out says so in a warning at most.
 * @throws PgdbaError step_failed when the server's counter has not moved
 */
async function confirmed(
  ctx: StepContext,
  { schema, table }: Input,
  before: Relation,
  counter: Counter,
  warnings: readonly Notice[],
): Promise<Relation> {
  for (const { message } of warnings) ctx.warn(`${before.name}: ${message}`);
  const until = ctx.clock.monotonic() + WAIT_MS;
  for (;;) {
    const after = await relationOf(await session(ctx), schema, table, WAIT_MS);
    if (after[counter] > Math.min(before[counter], markOf(ctx) ?? Infinity)) return after;
    if (!after.counted) {
      ctx.warn(
        `The server does not count what is done to ${before.name}, so this is not confirmed`,
      );
      return after;
    }
    if (ctx.clock.monotonic() >= until) break;
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
  const said = warnings.map(({ message }) => message).join("; ");
  throw new PgdbaError(
    "step_failed",
    `The server has left ${before.name} out${said === "" ? "" : `: ${said}`}`,
    { hint: "Its log may tell why; run it again as the table's owner or as a superuser (--user)." },
  );
}
