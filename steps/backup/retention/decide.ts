import type { StepContext } from "../../../engine/types.ts";
import type { BackupPlace } from "../place.ts";
import { gather, type Gathered } from "./gather.ts";
import { policyOf, type PolicyInput } from "./input.ts";
import { retain, type Retained } from "./retain.ts";

/** What may go at this moment, by our clock and the server's, where it can be asked. */
export async function decide(
  ctx: StepContext,
  { repository, key }: BackupPlace,
  input: PolicyInput,
): Promise<{ gathered: Gathered; decision: Retained }> {
  const policy = policyOf(input);
  const gathered = await gather(repository, key, { signal: ctx.signal });
  const clocks = await serverClock(ctx);
  const decision = retain(gathered.holdings, policy, {
    now: ctx.clock.now().getTime(),
    clocks,
    moreThanHalf: input.more_than_half === true,
  });
  return { gathered, decision };
}

async function serverClock(ctx: StepContext) {
  const { state } = await ctx.target.facts();
  if (state !== "up") return [];
  const session = await (await ctx.use("postgres")).session();
  const { rows } = await session.ask(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8::text AS at",
  );
  return [{ whose: ctx.target.name, at: Number(rows[0]?.["at"]) }];
}
