/** What a repository holds for a restore, asked for a step. */
import type { StepContext } from "../../../engine/types.ts";
import { gatherHoldings, type Holdings } from "../../../providers/backup/holdings.ts";
import { segmentReader } from "../../../providers/backup/locate.ts";
import { momentIn, restorable, type Restorable } from "../../../providers/backup/when.ts";
import type {} from "../../../providers/target/access.ts";
import { timelineOf } from "../../../providers/target/timeline.ts";
import { type TargetInput, wantedBy } from "./target.ts";

export interface Answer {
  holdings: Holdings;
  found: Restorable;
}

/** @throws PgdbaError step_refused | invalid_param, with the windows in `data` | repository_failed */
export async function askRepository(ctx: StepContext, input: TargetInput): Promise<Answer> {
  let wanted = wantedBy(input);
  const { repository, key, origins } = await ctx.use("repository");
  const { signal } = ctx;
  ctx.progress({ text: "looking at what the repository holds" });
  const holdings = await gatherHoldings(repository, [{ key, until: null }, ...origins], { signal });
  const read = segmentReader(repository);
  const now = await ownTimeline(ctx);
  if (input.random === true)
    wanted = await momentIn(
      holdings,
      { timeline: input.target_timeline, now },
      { read, signal },
      ctx.run.id,
    );
  const found = await restorable(
    holdings,
    {
      wanted,
      backup: input.backup_id,
      timeline: input.target_timeline,
      now,
      clock: ctx.clock.now(),
    },
    {
      read,
      progress: (done, file) => ctx.progress({ done, unit: "segments", text: `reading ${file}` }),
      signal,
    },
  );
  return { holdings, found };
}

/** The timeline that the cluster writes; null for one that can't be asked. */
async function ownTimeline(ctx: StepContext): Promise<number | null> {
  const { state, capabilities } = await ctx.target.facts();
  if (state !== "up" || !capabilities.includes("postgres")) return null;
  return timelineOf(await (await ctx.use("postgres")).session());
}
