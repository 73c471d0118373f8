import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import { defineStep } from "../define.ts";
import { type Whole, wholeNow } from "./whole/whole.ts";

const LOOK_MS = 300;
const NAMES = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "chaos.steady",
  summary: "Wait until the cluster is whole, and stays so for a time",
  docs: `Whole is a cluster that can lose any one of its parts: one server is out of recovery, all others stream from it on its timeline and replay, as many
are synchronous as Patroni is set to have, all nodes run, all of the store's members answer, and nothing is paused. Each look asks the servers
themselves. A look that finds something missing, another leader or another timeline begins the time anew.

Before a fault it is the steady state; after it, with \`since\`, it tells when redundancy was restored.`,
  example: `- chaos.steady: {for: 10s, within: 1m}
  timeout: 2m
`,
  effect: "read",
  idempotent: true,
  needs: ["member"],
  uses: ["nodes", "dcs", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      for: {
        type: "string",
        format: "duration",
        default: "10s",
        description: "How long it must be whole without a break",
      },
      within: {
        type: "string",
        format: "duration",
        default: "1m",
        description: "When it must have become whole",
      },
      since: { type: ["string", "null"], description: "A moment, from which `seconds` counts" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["leader", "timeline", "standbys", "synchronous", "whole_at", "seconds", "lacked"],
    properties: {
      leader: { type: "string" },
      timeline: { type: ["integer", "null"] },
      standbys: NAMES,
      synchronous: NAMES,
      whole_at: { type: "string", description: "Since when it is whole" },
      seconds: { type: "number", description: "From `since`, or from the first look, to that" },
      lacked: { ...NAMES, description: "What it lacked last before it was whole" },
    },
  },
  async run(ctx, { for: wanted = "10s", within = "1m", since }) {
    const [forMs, withinMs] = [parseDuration(wanted), parseDuration(within)];
    const began = ctx.clock.monotonic();
    const beganAt = ctx.clock.now();
    let held: { whole: Whole; from: number; at: Date } | undefined;
    let lacked: string[] = [];
    for (;;) {
      const asked = { from: ctx.clock.monotonic(), at: ctx.clock.now() };
      const now = await wholeNow(ctx).catch((error: unknown): Whole => {
        ctx.signal.throwIfAborted();
        return { ...NOTHING, missing: [toPgdbaError(error).message] };
      });
      if (now.missing.length > 0) {
        held = undefined;
        lacked = now.missing;
      } else if (held?.whole.leader !== now.leader || held.whole.timeline !== now.timeline)
        held = { whole: now, ...asked };
      const at = ctx.clock.monotonic();
      if (held !== undefined && at - held.from >= forMs) {
        const start = since == null ? beganAt.getTime() : Date.parse(since);
        return {
          leader: held.whole.leader!,
          timeline: held.whole.timeline,
          standbys: now.standbys,
          synchronous: now.synchronous,
          whole_at: held.at.toISOString(),
          seconds: Math.max(0, (held.at.getTime() - start) / 1000),
          lacked,
        };
      }
      if (held === undefined && at - began > withinMs)
        throw notWhole(ctx.target.name, within, lacked);
      ctx.progress({ text: lacked.length > 0 && held === undefined ? lacked.join("; ") : "whole" });
      await ctx.clock.sleep(LOOK_MS, ctx.signal);
    }
  },
});

const NOTHING: Whole = { leader: null, timeline: null, standbys: [], synchronous: [], missing: [] };

function notWhole(name: string, within: string, lacked: readonly string[]): PgdbaError {
  return new PgdbaError(
    "step_failed",
    `${name} was not whole within ${within}: ${lacked.join("; ")}`,
    {
      hint: `Look at \`pgdba cluster status --cluster ${name}\`. A drill begins and ends with a cluster that can lose any one of its parts.`,
      data: { missing: [...lacked] },
    },
  );
}
