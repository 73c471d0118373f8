import type { Json } from "../../engine/types.ts";
import type { KillTarget } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { FAULT, FOR, inject, INJECTED, NODE } from "./fault/inject.ts";
import { seenToFall } from "./fault/sight.ts";

const WHAT: Record<string, KillTarget> = {
  postgres: "process",
  patroni: "patroni",
  node: "node",
  power: "power",
};

export default defineStep({
  ...FAULT,
  type: "chaos.kill",
  summary: "Kill a process, a node or its power on purpose, or let it stand still, for a time",
  docs: `\`how\`:

| | what is killed | who brings it back |
|---|---|---|
| \`postgres\` | the first process of the node's service, by SIGKILL | Patroni, in place, after a recovery |
| \`patroni\` | Patroni; where it is set up so, PostgreSQL does not outlive it | whoever runs the node |
| \`node\` | all processes of the node | nobody before the deadline |
| \`power\` | the network is cut in the same breath, so that nobody hears of the end of a connection | nobody before the deadline |
| \`freeze\` | nothing: all processes stand still, hold what they hold, and go on afterwards as if nothing had been | nobody before the deadline |

The start (the thaw) of the node is armed first, outside of it. \`took\` is what a client sees from here: no answer, or a server that was started since.
Only clusters with the label \`test\`, and none where a fault of another run is in force.`,
  example: `- id: killed
  chaos.kill: {node: pg1, how: power, for: 60s}
- chaos.heal: {id: "\${steps.killed.output.id}"}
`,
  hazards: ["fault", "loses"],
  needs: ["nodes"],
  uses: ["member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "how"],
    properties: {
      node: NODE,
      how: { enum: ["postgres", "patroni", "node", "power", "freeze"] },
      for: FOR,
    },
  },
  output: INJECTED,
  async run(ctx, { node, how, for: lasts }) {
    const nodes = await ctx.use("nodes");
    return inject(ctx, nodes, {
      kind: how === "freeze" ? how : `kill-${how}`,
      node,
      lasts,
      inverse: how === "freeze" ? { thaw: node } : { start: node },
      act: () =>
        seenToFall(ctx, nodes, node, () =>
          how === "freeze" ? nodes.freeze(node) : nodes.kill(node, WHAT[how]!),
        ),
    });
  },
  async plan(ctx, { node, how }): Promise<Json> {
    return { node, how, now: (await (await ctx.use("nodes")).state(node)).running };
  },
});
