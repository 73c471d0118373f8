import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { patroniOf } from "../patroni-access.ts";
import { missingMarks } from "./marks/commit.ts";
import { PROBE, type Probe } from "./measure/probe.ts";
import { beyondForks, longestGap } from "./measure/writer.ts";

const NUMBER = { type: ["integer", "null"] } as const;
const MOST_ERRORS = 10;

export default defineStep({
  type: "failover.measured",
  summary: "End the probe of the run, and tell what a client of the cluster has seen meanwhile",
  docs: `Lost are acknowledged writes that the primary of now does not have. All is null where the probe did not run in this process, as after a
crash.`,
  example: `- failover.probe: {members: [pg1, pg2]}
- failover.measured: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "through",
      "seconds",
      "acknowledged",
      "failed",
      "unknown",
      "refused",
      "lost",
      "longest_gap_ms",
      "gap_began_ms",
      "errors",
    ],
    properties: {
      through: {
        type: ["string", "null"],
        description: "The PgBouncer; null for the members themselves",
      },
      seconds: { type: ["number", "null"] },
      acknowledged: NUMBER,
      failed: { ...NUMBER, description: "Transactions that surely did not happen" },
      unknown: {
        ...NUMBER,
        description: "Transactions whose connection broke, so that nobody knows",
      },
      refused: { ...NUMBER, description: "Attempts to connect that failed" },
      lost: { ...NUMBER, description: "Acknowledged, and not there" },
      longest_gap_ms: { ...NUMBER, description: "The longest time without an acknowledged write" },
      gap_began_ms: { ...NUMBER, description: "After the probe began" },
      errors: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["message", "times"],
          properties: { message: { type: "string" }, times: { type: "integer" } },
        },
      },
    },
  },
  async run(ctx) {
    const probe = await ctx.resource<Probe | null>(PROBE, async () => ({
      value: null,
      close: async () => {},
    }));
    if (probe === null) return NOTHING;
    const measured = await probe.writer.stop();
    const { acknowledged, errors } = measured;
    const patroni = await patroniOf(ctx);
    const history = (await patroni?.history(ctx.signal)) ?? [];
    const forks = new Map(history.map(({ timeline, lsn }) => [timeline, BigInt(lsn)]));
    const gone = new Set(beyondForks(acknowledged, forks).map(({ xid }) => xid));
    const xids = acknowledged.map(({ xid }) => xid);
    for (const xid of await missingMarks(await session(ctx), xids, ctx.signal)) gone.add(xid);
    const gap = longestGap(measured);
    return {
      through: probe.through,
      seconds: Math.round((measured.ended - measured.began) / 10) / 100,
      acknowledged: acknowledged.length,
      failed: measured.failed,
      unknown: measured.unknown,
      refused: measured.refused,
      lost: gone.size,
      longest_gap_ms: Math.round(gap.ms),
      gap_began_ms: Math.round(gap.at),
      errors: [...errors].slice(0, MOST_ERRORS).map(([message, times]) => ({ message, times })),
    };
  },
});

const NOTHING = {
  through: null,
  seconds: null,
  acknowledged: null,
  failed: null,
  unknown: null,
  refused: null,
  lost: null,
  longest_gap_ms: null,
  gap_began_ms: null,
  errors: [],
};
