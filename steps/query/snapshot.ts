import { amount } from "../../engine/shared/amount.ts";
import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { folderOf } from "../snapshots.ts";
import { session } from "../sql/session.ts";
import { rank, rowsOf } from "./statements/changed.ts";
import { type Counters, readCounters } from "./statements/counters.ts";
import { between, type Interval } from "./statements/interval.ts";
import { grantHint } from "./statements/recorded.ts";
import { CHANGES, RANKED_BY } from "./statements/row.ts";
import { parseSince, type Since } from "./statements/since.ts";
import { earlier, keep } from "./statements/snapshots.ts";
import { SPARE } from "./statements/texts.ts";

export default defineStep({
  type: "query.snapshot",
  summary: "Keep the counters of pg_stat_statements, and say what happened since an earlier time",
  docs: `The counters stay in the state folder (\`snapshots/<system identifier>/statements-<time>.json\`, 0600), at most 50 for each server and
role, the older the fewer; no texts of statements. With \`since\` the difference to the nearest older one is given: \`last\`, an age such as \`1h\`, or
a time. When none is as old, the oldest is taken, and that is said.

A statement's counters may have begun anew in between, by a reset or since it was dropped for want of room and came back: then \`basis\` is
\`reset\` and its figures are the least that it did. Dropped ones that did not come back are counted in \`evicted\`; what they did is not
known. Changes nothing on the server; with \`--plan\` nothing is kept.`,
  example: `- query.snapshot:
    since: 1h
    order: total
    limit: 10
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      since: {
        type: ["string", "null"],
        description:
          "`last`, an age such as 1h, or a time such as 2026-02-22T10:00:00Z (UTC without a zone)",
      },
      ...RANKED_BY,
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["file", "taken_at", "changes"],
    properties: {
      file: {
        type: ["string", "null"],
        description: "Where this snapshot is kept; null when it is not",
      },
      taken_at: { type: "string" },
      changes: {
        description: "Null without `since`",
        anyOf: [{ type: "null" }, CHANGES],
      },
    },
  },
  async run(ctx, input) {
    const { since = null, order = "total", threshold = "0ms", limit = 20 } = input;
    const parsed = since === null ? null : parseSince(since);
    const [pg, { identity }] = await Promise.all([session(ctx), ctx.target.facts()]);
    const live = await readCounters(pg, ctx.signal);
    const { counters } = live;
    const folder = folderOf(ctx.run.stateDir, identity, counters.node);
    const before = parsed === null ? null : await find(ctx, folder, counters, parsed);
    const file = ctx.run.plan ? null : await kept(ctx, folder, counters);
    const { taken_at, hidden, stats_reset, timed } = counters;
    if (parsed === null) return { file, taken_at, changes: null };
    if (before === null) {
      throw new PgdbaError(
        "invalid_param",
        "There is no earlier snapshot of this server to compare with",
        {
          hint: `${file === null ? "Each run of query/slow-log keeps one" : "This run kept the first one"}; compare later with --since last.`,
        },
      );
    }
    const interval = between(before, live);
    warn(ctx, interval);
    if (hidden > 0)
      ctx.warn(
        `${amount(hidden, "statement of others is", "statements of others are")} left out. ${grantHint(pg)}`,
      );
    const { changes, total_ms, from, to, reset, evicted, dealloc } = interval;
    const least = parseDuration(threshold);
    const top = rank(changes, { order, least, limit: limit + SPARE });
    return {
      file,
      taken_at,
      changes: {
        ...(await rowsOf(ctx, pg, top, { total_ms, timed, limit })),
        hidden,
        from,
        to,
        seconds: Math.max(0, Date.parse(to) - Date.parse(from)) / 1000,
        reset,
        evicted,
        dealloc,
        stats_reset,
      },
    };
  },
});

async function find(
  ctx: StepContext,
  folder: string,
  now: Counters,
  { since }: { since: Since },
): Promise<Counters | null> {
  const taken = Date.parse(now.taken_at);
  const wanted = since === null ? null : "age" in since ? taken - since.age : since.time;
  if (wanted !== null && wanted > taken) {
    throw new PgdbaError(
      "invalid_param",
      `since: ${new Date(wanted).toISOString()} is in the future; on the server it is ${now.taken_at}`,
      {
        hint: "Give a time in the past, or an age such as 1h.",
      },
    );
  }
  const { before, unreadable } = await earlier(folder, now, wanted);
  for (const file of unreadable)
    ctx.warn(`${file} is no snapshot that this version can read; remove it`);
  if (before !== null && wanted !== null && Date.parse(before.taken_at) > wanted)
    ctx.warn(
      `No snapshot is as old as the one asked for; compared with the oldest, of ${before.taken_at}.`,
    );
  return before;
}

/** A snapshot that can't be kept must not cost the answer. */
async function kept(ctx: StepContext, folder: string, counters: Counters): Promise<string | null> {
  try {
    return await keep(folder, counters);
  } catch (error) {
    if (!(error instanceof PgdbaError)) throw error;
    ctx.warn(`This snapshot is not kept: ${error.message}. ${error.hint}`);
    return null;
  }
}

function warn(ctx: StepContext, { reset, from, evicted, dealloc, untold }: Interval): void {
  if (reset) ctx.warn(`The statistics were reset in between; the figures count from ${from}.`);
  if (evicted > 0)
    ctx.warn(
      `${amount(evicted, "statement of the earlier snapshot is", "statements of the earlier snapshot are")} gone${dealloc === 0 ? "" : " (pg_stat_statements.max may be too low)"}; what ${evicted === 1 ? "it" : "they"} did since is not in the figures.`,
    );
  if (untold > 0)
    ctx.warn(
      `${amount(untold, "statement is", "statements are")} left out: the earlier snapshot could not see ${untold === 1 ? "it" : "them"}, so it is not known how much of ${untold === 1 ? "its" : "their"} time is new.`,
    );
}
