import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { shown } from "./list.ts";
import { onPurpose } from "./on-purpose.ts";
import { CHANGES } from "./schema.ts";

interface Input {
  nodes?: readonly string[];
}

export default defineStep({
  type: "nodes.deprovision",
  summary: "Stop nodes of the cluster and remove them with their data",
  docs: `With \`nodes\` only these, and never the last one that holds the data. Without it the whole cluster is removed, also what an unfinished
run has left of it; meanwhile it holds the lease that tells a guard of the leader that this is no death. A repository of backups is no node, and stays.`,
  example: `- nodes.deprovision: {nodes: [pg3]}
`,
  effect: "change",
  idempotent: true,
  risk: (input: Input) => (input.nodes === undefined ? "destructive" : "disruptive"),
  hazards: (input: Input) => (input.nodes === undefined ? ["destroys", "loses"] : []),
  needs: ["nodes"],
  takes: (input: Input) => (input.nodes === undefined ? ["postgres", "primary"] : []),
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      nodes: {
        type: "array",
        minItems: 1,
        items: { type: "string" },
        description: "Only these; the whole cluster without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changes"],
    properties: { changes: CHANGES },
  },
  async run(ctx, input) {
    const nodes = await ctx.use("nodes");
    const changes = await (input.nodes === undefined
      ? onPurpose(nodes, ctx.run.id, () => nodes.deprovision())
      : nodes.deprovision({ nodes: input.nodes }));
    if (changes.length === 0) ctx.unchanged();
    return { changes };
  },
  async plan(ctx, input): Promise<Json> {
    const nodes = await ctx.use("nodes");
    const there = (await nodes.list()).filter(
      ({ node }) => input.nodes === undefined || input.nodes.includes(node),
    );
    return { removes: there.map(shown) };
  },
});
