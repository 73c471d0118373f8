import { defineStep } from "../define.ts";
import { watchersOf } from "./node/watchers.ts";

export default defineStep({
  type: "monitor.watchers",
  summary: "The nodes that monitor a cluster, among its own or beside it",
  docs: `Those of the cluster itself are told by the provider of its nodes. Where that has none, this machine's Docker Engine is asked for one that \`monitor.beside\` has made; where none answers, that is a warning. One whose container somebody else has removed is told as well, as one that does not run, as long as
the entry names it, or the Engine keeps anything of it.`,
  example: `- monitor.watchers: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: {
      nodes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["node", "beside", "running"],
          properties: {
            node: { type: "string" },
            beside: { type: "boolean", description: "It is none of the cluster's own nodes" },
            running: { type: "boolean" },
          },
        },
      },
    },
  },
  run: async (ctx) => ({ nodes: (await watchersOf(ctx)).map((one) => ({ ...one })) }),
});
