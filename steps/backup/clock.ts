import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";

/** How far two clocks may differ, ms. */
export const CLOCK_MS = 5 * 60_000;

/** The server's, where it can be asked. */
export async function serverClock(ctx: StepContext): Promise<{ whose: string; at: number }[]> {
  const { state } = await ctx.target.facts();
  if (state !== "up") return [];
  const session = await (await ctx.use("postgres")).session();
  const { rows } = await session.ask(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8::text AS at",
  );
  return [{ whose: ctx.target.name, at: Number(rows[0]?.["at"]) }];
}

/** Backups stand in the order of their time: one by a wrong clock would be taken for the newest, or never be. @throws PgdbaError step_refused */
export async function assertClock(ctx: StepContext): Promise<void> {
  for (const { whose, at } of await serverClock(ctx)) {
    const now = ctx.clock.now().getTime();
    if (Math.abs(at - now) <= CLOCK_MS) continue;
    const said = (ms: number) => new Date(ms).toISOString();
    throw new PgdbaError(
      "step_refused",
      `The clock of ${whose} says ${said(at)}, and this machine's ${said(now)}`,
      {
        hint: "Set the clocks right (NTP), then again: by a wrong clock a backup would stand at the wrong place among the others.",
        nothingDone: true,
      },
    );
  }
}
