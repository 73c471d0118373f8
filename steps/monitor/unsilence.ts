import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { echoOf, end, found, inWords, orWarn, put } from "./watch/silences.ts";

export default defineStep({
  type: "monitor.unsilence",
  summary: "End silences of Alertmanager",
  docs: `One that is over counts as ended. With \`echo\`, after planned work, the silence of alerts that look back (\`LeaderChanged\`, \`PostgresRestarted\`) ends 16 minutes later, when
they no longer look at the work. With \`optional\` an Alertmanager that does not answer is a warning: each silence has an end of its own.`,
  example: `- monitor.unsilence: {silences: ["0cd5b2ad-3ba5-4de9-a1a5-e1ca9d2e4ff8"]}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["monitoring"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["silences"],
    properties: {
      silences: { type: "array", items: { type: "string", minLength: 1 } },
      echo: { type: "boolean", default: false },
      optional: { type: "boolean", default: false },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["ended"],
    properties: { ended: { type: "array", items: { type: "string" } } },
  },
  async run(ctx, { silences, echo = false, optional = false }) {
    const ended: string[] = [];
    const said = "Silences of this work are not ended, and end by themselves";
    await orWarn(ctx, optional, said, undefined, async () => {
      if (silences.length === 0) return;
      const monitoring = await ctx.use("monitoring");
      for (const id of silences) {
        const silence = await found(monitoring, id);
        if (silence === null && !optional)
          throw new PgdbaError("invalid_param", `Alertmanager knows no silence ${id}`, {
            hint: "`pgdba monitor silence list` shows those in force.",
          });
        if (silence === null || silence.status.state === "expired") continue;
        const echoMs = echo ? echoOf(silence.matchers) : 0;
        if (echoMs === 0) await end(monitoring, id);
        else {
          const { status: _status, ...rest } = silence;
          const endsAt = new Date(ctx.clock.now().getTime() + echoMs).toISOString();
          await put(monitoring, { ...rest, endsAt });
        }
        ended.push(id);
      }
    });
    if (ended.length === 0) ctx.unchanged();
    return { ended };
  },
  async plan(ctx, { silences }): Promise<Json> {
    const monitoring = await ctx.use("monitoring");
    const all = await Promise.all(silences.map((id) => found(monitoring, id)));
    return { ends: all.flatMap((one) => (one === null ? [] : [inWords(one.matchers)])) };
  },
});
