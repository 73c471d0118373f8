import { parseDuration } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { FAULT, FOR, inject, INJECTED, NODE } from "./fault/inject.ts";

export default defineStep({
  ...FAULT,
  type: "chaos.slow",
  summary: "Delay what goes between a node and others, for a time",
  docs: `Where the place can (\`target.can.slow_network\`); it is refused with the reason elsewhere.`,
  example: `- chaos.slow: {node: pg2, to: [pg1], delay: 300ms, jitter: 100ms, for: 60s}
`,
  hazards: ["fault"],
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "to", "delay"],
    properties: {
      node: NODE,
      to: { type: "array", minItems: 1, items: { type: "string" } },
      delay: { type: "string", format: "duration" },
      jitter: { type: "string", format: "duration", default: "0ms" },
      loss_percent: { type: "number", minimum: 0, maximum: 100, default: 0 },
      for: FOR,
    },
  },
  output: INJECTED,
  async run(ctx, { node, to, delay, jitter = "0ms", loss_percent: lossPercent = 0, for: lasts }) {
    const nodes = await ctx.use("nodes");
    return inject(ctx, nodes, {
      kind: "slow",
      node,
      lasts,
      act: (until) =>
        nodes.slowNetwork(
          node,
          {
            to: { nodes: to },
            delayMs: parseDuration(delay),
            jitterMs: parseDuration(jitter),
            lossPercent,
          },
          until,
        ),
    });
  },
  async plan(_ctx, { node, to, delay }): Promise<Json> {
    return { node, to: [...to], delay };
  },
});
