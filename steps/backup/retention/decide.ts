import type { StepContext } from "../../../engine/types.ts";
import { serverClock } from "../clock.ts";
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
