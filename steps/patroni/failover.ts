import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { moved, noteBefore, probeMove } from "./move/moved.ts";
import { nameMeant } from "./named.ts";
import { MEMBER, MOVED } from "./schema.ts";

export default defineStep({
  type: "patroni.failover",
  summary: "Make a member the leader through Patroni, where nobody can hand over",
  docs: `For a cluster without a leader. Patroni looks neither at lag, nor at the timeline, nor at who is synchronous: what the member has not received is
lost. Where somebody leads and can hand over, \`patroni.switchover\` is the better way. Otherwise as there: asked once, and told who leads in the end.`,
  example: `- patroni.failover: {candidate: pg2}
`,
  effect: "change",
  idempotent: false,
  risk: "disruptive",
  hazards: ["loses"],
  locks: "roles",
  needs: ["patroni"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["candidate"],
    properties: { candidate: MEMBER },
  },
  output: MOVED,
  async run(ctx, { candidate: asked }) {
    const candidate = await nameMeant(ctx, asked);
    const client = await ctx.use("patroni");
    const cluster = await client.cluster(ctx.signal);
    if (cluster.leader === candidate) ctx.unchanged();
    else noteBefore(ctx, cluster, { candidate });
    const move = await client.failover({ candidate }, ctx.signal);
    return moved(ctx, client, cluster.leader, move);
  },
  async plan(ctx, { candidate: asked }): Promise<Json> {
    const candidate = await nameMeant(ctx, asked);
    const { leader } = await (await ctx.use("patroni")).cluster(ctx.signal);
    return { leads_now: leader, candidate };
  },
  probe: (ctx) => probeMove(ctx),
});
