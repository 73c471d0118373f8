import { parseLsn } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { poolerFor } from "../clients.ts";
import { defineStep } from "../define.ts";
import { PROBE, type Probe } from "./measure/probe.ts";
import { Writer } from "./measure/writer.ts";

const CONNECT_MS = 2_000;
const WHO = "The client that measures";
/** A client that has not written before the steps that follow would miss the gap that they make. */
const FIRST_MS = 2_000;

export default defineStep({
  type: "failover.probe",
  summary:
    "Begin to write as a client of the cluster would, until failover.measured tells what became of it",
  docs: `It waits for the first write that is acknowledged, and goes on beside the steps that follow: a small transaction about every 10 ms, which writes to the WAL and to no table, through the first
PgBouncer of the cluster or, where there is none or it does not let the role in, to the members themselves. It ends with the run.`,
  example: `- failover.probe: {members: [pg1, pg2]}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres", "member"],
  uses: ["pgbouncer"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["members"],
    properties: {
      members: {
        type: "array",
        minItems: 1,
        items: { type: "string" },
        description: "Tried in turn where there is no PgBouncer",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["through"],
    properties: {
      through: {
        type: ["string", "null"],
        description: "A PgBouncer; null for the members themselves",
      },
    },
  },
  async run(ctx, { members }) {
    const through = await poolerFor(ctx, WHO, CONNECT_MS);
    const postgres = await ctx.use("postgres");
    const member = await ctx.use("member");
    const open = async (attempt: number): Promise<PgSession> =>
      through === null
        ? member.open(members[attempt % members.length]!, undefined, { timeoutMs: CONNECT_MS })
        : postgres.open(undefined, { through, timeoutMs: CONNECT_MS });
    await ctx.resource(PROBE, async () => {
      const writer = new Writer(open, parseLsn);
      if (!(await writer.first(FIRST_MS)))
        ctx.warn(
          `The client that measures had no write acknowledged in ${FIRST_MS} ms: its longest gap counts from its beginning`,
        );
      const value: Probe = { writer, through };
      return { value, close: async () => void (await writer.stop()) };
    });
    return { through };
  },
  async plan(ctx, { members }): Promise<Json> {
    return { through: await poolerFor(ctx, WHO, CONNECT_MS), members };
  },
});
