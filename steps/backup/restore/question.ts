/** What a repository holds for a restore, asked for a step. */
import type { StepContext } from "../../../engine/types.ts";
import { gatherHoldings, type Holdings } from "../../../providers/backup/holdings.ts";
import { segmentReader } from "../../../providers/backup/locate.ts";
import { momentIn, restorable, type Restorable } from "../../../providers/backup/when.ts";
import type {} from "../../../providers/target/access.ts";
import { timelineOf } from "../../../providers/target/timeline.ts";
import { type Origin, type Sources, sourcesOf } from "./origin.ts";
import { type TargetInput, wantedBy } from "./target.ts";

export interface Answer {
  sources: Sources;
  holdings: Holdings;
  found: Restorable;
}

/** @throws PgdbaError step_refused | invalid_param, with the windows in `data` | repository_failed */
export async function askRepository(
  ctx: StepContext,
  input: TargetInput,
  origin?: Origin | null,
): Promise<Answer> {
  let wanted = wantedBy(input);
  const sources = await sourcesOf(ctx, origin);
  const { repository, key, origins } = sources;
  const { signal } = ctx;
  ctx.progress({ text: "looking at what the repository holds" });
  const holdings = await gatherHoldings(repository, [{ key, until: null }, ...origins], { signal });
  const read = segmentReader(repository);
  // A cluster that is made from an origin writes none yet; the origin's own is the newest in its part.
  const now = origin == null ? await ownTimeline(ctx) : null;
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
  return { sources, holdings, found };
}

/** The timeline that the cluster writes; null for one that can't be asked. */
async function ownTimeline(ctx: StepContext): Promise<number | null> {
  const { state, capabilities } = await ctx.target.facts();
  if (state !== "up" || !capabilities.includes("postgres")) return null;
  return timelineOf(await (await ctx.use("postgres")).session());
}
