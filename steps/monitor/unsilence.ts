import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { echoOf, end, inWords, meant, orWarn, patiently, put } from "./watch/silences.ts";

/** Within the time that the runbooks give it. */
const PATIENCE_MS = 20_000;

export default defineStep({
  type: "monitor.unsilence",
  summary: "End silences of Alertmanager",
  docs: `The beginning of an id is enough where one silence alone has it. One that is over counts as ended. With \`echo\`, after planned work, the silence of alerts that look back (\`LeaderChanged\`, \`PostgresRestarted\`) ends 16 minutes later, when
they no longer look at the work. With \`optional\` an Alertmanager that does not answer within 20 s is a warning: each silence has an end of its own.`,
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
    const ended = new Set<string>();
    const said = "Silences of this work are not ended, and end by themselves";
    const endAll = async () => {
      if (silences.length === 0) return;
      const monitoring = await ctx.use("monitoring");
      for (const id of silences) {
        const silence = await meant(monitoring, ctx.target.cluster!, id);
        if (silence === null && !optional)
          throw new PgdbaError("invalid_param", `Alertmanager knows no silence ${id}`, {
            hint: "`pgdba monitor silence list` shows those in force.",
          });
        if (silence === null || silence.status.state === "expired") continue;
        const echoMs = echo ? echoOf(silence.matchers) : 0;
        if (echoMs === 0) await end(monitoring, silence.id);
        else {
          const { status: _status, ...rest } = silence;
          const endsAt = new Date(ctx.clock.now().getTime() + echoMs).toISOString();
          await put(monitoring, { ...rest, endsAt });
        }
        ended.add(silence.id);
      }
    };
    await orWarn(ctx, optional, said, undefined, () =>
      patiently(ctx, optional ? PATIENCE_MS : 0, endAll),
    );
    if (ended.size === 0) ctx.unchanged();
    return { ended: [...ended] };
  },
  async plan(ctx, { silences }): Promise<Json> {
    const monitoring = await ctx.use("monitoring");
    const all = await Promise.all(silences.map((id) => meant(monitoring, ctx.target.cluster!, id)));
    return { ends: all.flatMap((one) => (one === null ? [] : [inWords(one.matchers)])) };
  },
});
