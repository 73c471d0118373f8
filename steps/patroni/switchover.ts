import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import type { PatroniCluster } from "../../providers/patroni/members.ts";
import { defineStep } from "../define.ts";
import { moved, noteBefore, probeMove } from "./move/moved.ts";
import { nameMeant } from "./named.ts";
import { CLUSTER, MOVED } from "./schema.ts";

export default defineStep({
  type: "patroni.switchover",
  summary: "Hand the primary role over through Patroni, now or at a time",
  docs: `Asks Patroni once, and looks at the cluster itself while it waits: done when the new leader says that its PostgreSQL has the role. Patroni may choose
another member than the one asked for: \`as_asked\` is false then. It is refused with nothing changed where nobody can take over; Patroni looks
at lag and timeline only when it acts, and an answer that is lost leaves the end unknown. All of that is told apart, and nothing is asked twice.

Connections to the old primary end. The step checks nothing itself: see \`failover.checks\`.`,
  example: `- patroni.switchover: {candidate: pg2}
`,
  effect: "change",
  idempotent: false,
  risk: "disruptive",
  locks: "roles",
  needs: ["patroni"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      leader: {
        type: ["string", "null"],
        description: "Refused when another member leads; without it, whoever leads",
      },
      candidate: {
        type: ["string", "null"],
        description: "Patroni chooses without it, except in a pause",
      },
      scheduled_at: {
        type: ["string", "null"],
        description: "A time with its zone, such as 2026-03-01T02:00:00+01:00; now without it",
      },
      seen: {
        ...CLUSTER,
        description:
          "The cluster as `patroni.cluster` told it a moment ago, so that it is not read while clients wait",
      },
      loop_wait: {
        type: "number",
        description: "The same of `patroni.config`. With both, the wish is the first that is sent",
      },
    },
  },
  output: MOVED,
  async run(ctx, { leader, candidate: asked, scheduled_at, seen, loop_wait: loopWait }) {
    const client = await ctx.use("patroni");
    const known = seen as unknown as PatroniCluster | undefined;
    // Clients may wait for this step, so that nothing is asked twice, nor one after the other without need.
    const [candidate, cluster] = await Promise.all([
      asked && known?.members.every(({ name }) => name !== asked) !== false
        ? nameMeant(ctx, asked)
        : (asked ?? null),
      known ?? client.cluster(ctx.signal),
    ]);
    const from = leader ?? cluster.leader;
    if (from === null)
      throw new PgdbaError(
        "step_refused",
        "Nobody leads the cluster, so that nobody can hand over",
        {
          hint: "Wait for Patroni to elect a leader, or look at `pgdba failover status`.",
          nothingDone: true,
        },
      );
    if (from === candidate && cluster.leader === candidate) {
      ctx.unchanged();
      const done = { leader: from, asked: from, as_asked: true, scheduled: null };
      return moved(ctx, client, from, done);
    }
    noteBefore(ctx, cluster, { candidate, scheduled_at });
    const wanted = {
      leader: from,
      candidate: candidate ?? undefined,
      scheduled_at: scheduled_at ?? undefined,
      seen: cluster,
      loopWait,
    };
    return moved(ctx, client, from, await client.switchover(wanted, ctx.signal));
  },
  async plan(ctx, { leader, candidate: asked, scheduled_at }): Promise<Json> {
    const candidate = asked ? await nameMeant(ctx, asked) : null;
    const now = await (await ctx.use("patroni")).cluster(ctx.signal);
    return {
      leader: leader ?? now.leader,
      leads_now: now.leader,
      candidate,
      scheduled_at: scheduled_at ?? null,
    };
  },
  probe: (ctx) => probeMove(ctx),
});
