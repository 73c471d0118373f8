import { defineStep } from "../define.ts";
import { CLUSTER } from "./schema.ts";

export default defineStep({
  type: "patroni.cluster",
  summary: "Read the members of a Patroni cluster: who leads, their state, timeline and lag",
  docs: `What the store says, which is up to one loop of Patroni old: \`lag\` above all. \`leader\` holds the leader key; a moment later its PostgreSQL takes
writes. To be sure of lag, ask the servers.`,
  example: `- id: settled
  patroni.cluster: {}
  until: output.leader != null && output.members.all(m, m.state in ['running', 'streaming'])
  every: 500ms
  timeout: 60s
`,
  effect: "read",
  idempotent: true,
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: CLUSTER,
  async run(ctx) {
    return (await ctx.use("patroni")).cluster(ctx.signal);
  },
});
