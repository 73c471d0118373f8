import type { PgSession } from "../../providers/postgres/session.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { missingMarks } from "./marks/commit.ts";
import { seen } from "./facts/server-facts.ts";
import follows from "./sql/follows.sql" with { type: "text" };
import leads from "./sql/leads.sql" with { type: "text" };

/** How long one member is given to answer, ms. */
const MEMBER_MS = 2_000;

export default defineStep({
  type: "failover.settled",
  summary: "Tell how far a cluster has settled after its primary has moved",
  docs: `Asks each server itself: whether the new primary takes writes, on which timeline, whether it has the mark (\`failover.mark\`), and which of
the others stream from it on that timeline. Use it with \`until\`; a member that does not answer is among \`missing\`, with the reason.`,
  example: `- failover.settled: {leader: pg2, others: [pg1, pg3]}
  until: output.settled
  every: 200ms
  timeout: 60s
`,
  effect: "read",
  idempotent: true,
  needs: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["leader", "others"],
    properties: {
      leader: { type: "string", description: "The member that should lead" },
      others: {
        type: "array",
        items: { type: "string" },
        description: "The members that should stream from it",
      },
      xid: { type: ["string", "null"], description: "The mark that it should have" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["settled", "writable", "timeline", "marked", "attached", "missing"],
    properties: {
      settled: { type: "boolean", description: "It leads, has the mark, and all others follow" },
      writable: { type: "boolean" },
      timeline: { type: ["integer", "null"] },
      marked: {
        type: ["boolean", "null"],
        description: "Null where no mark was given, or nobody could ask",
      },
      attached: { type: "array", items: { type: "string" } },
      missing: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["member", "why"],
          properties: { member: { type: "string" }, why: { type: "string" } },
        },
      },
    },
  },
  async run(ctx, { leader, others, xid = null }) {
    const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(2 * MEMBER_MS)]);
    const at = await seen(() =>
      on(ctx, leader, async (pg) => {
        const { rows } = await pg.ask(leads, [], { signal });
        const about = rows[0] as { writable: boolean; timeline: number | null; senders: string[] };
        const missing =
          xid === null || !about.writable ? null : await missingMarks(pg, [xid], signal);
        return { ...about, marked: missing === null ? null : missing.length === 0 };
      }),
    );
    ctx.signal.throwIfAborted();
    const now = "value" in at ? at.value : null;
    const told = await Promise.all(
      others.map(async (member) => ({
        member,
        why: await whyNot(ctx, member, leader, now, signal),
      })),
    );
    ctx.signal.throwIfAborted();
    const missing = told.flatMap(({ member, why }) => (why === null ? [] : [{ member, why }]));
    const writable = now?.writable === true;
    return {
      settled: writable && missing.length === 0 && now.marked !== false,
      writable,
      timeline: now?.timeline ?? null,
      marked: now?.marked ?? null,
      attached: told.filter(({ why }) => why === null).map(({ member }) => member),
      missing:
        now === null && "unseen" in at ? [{ member: leader, why: at.unseen }, ...missing] : missing,
    };
  },
});

async function on<T>(
  ctx: StepContext,
  member: string,
  work: (pg: PgSession) => Promise<T>,
): Promise<T> {
  const pg = await (await ctx.use("member")).open(member, undefined, { timeoutMs: MEMBER_MS });
  try {
    return await work(pg);
  } finally {
    await pg.close();
  }
}

/** Why a member does not stream from the leader, on its timeline; null when it does. */
async function whyNot(
  ctx: StepContext,
  member: string,
  leader: string,
  now: { timeline: number | null; senders: string[] } | null,
  signal: AbortSignal,
): Promise<string | null> {
  const told = await seen(() =>
    on(ctx, member, async (pg) => (await pg.ask(follows, [], { signal })).rows[0] as JsonObject),
  );
  if ("unseen" in told) return told.unseen;
  const { standby, status, timeline } = told.value;
  if (standby !== true) return "it is no standby";
  if (status !== "streaming") return `its receiver is ${String(status ?? "not there")}`;
  if (now === null) return `${leader} does not answer`;
  if (now.timeline !== null && timeline !== now.timeline)
    return `it is on timeline ${String(timeline)}, and ${leader} on ${now.timeline}`;
  return now.senders.includes(member) ? null : `${leader} does not stream to it`;
}
