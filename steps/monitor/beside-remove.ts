import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { withBeside } from "./node/beside.ts";

export default defineStep({
  type: "monitor.beside-remove",
  summary: "Remove nodes that monitor a cluster from beside it, with their volumes",
  docs: `The other half of \`monitor.beside\`. What is not there any more counts as removed.`,
  example: `- monitor.beside-remove: {nodes: [monitor1]}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: { nodes: { type: "array", items: { type: "string", minLength: 1 } } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["removed"],
    properties: { removed: { type: "array", items: { type: "string" } } },
  },
  async run(ctx, { nodes: names }) {
    const changes =
      names.length === 0
        ? []
        : await withBeside(ctx, (nodes) => nodes.deprovision({ nodes: names }));
    if (changes.length === 0) ctx.unchanged();
    return { removed: changes.map(({ node }) => node) };
  },
  async plan(_ctx, { nodes }): Promise<Json> {
    return { removes: nodes };
  },
});
