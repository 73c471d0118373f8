import { defineStep } from "../define.ts";
import { controlOf } from "../node-files.ts";
import { NODE } from "./schema.ts";

export default defineStep({
  type: "nodes.control",
  summary: "Read what a data directory says of itself, whether a server runs on it or not",
  docs: `Reads global/pg_control on the node, as pg_controldata does: by \`system_identifier\` a cluster that is down is proven to be the one that is
registered, and a copy to be one of it. \`state\` is \`shut down\` after a clean stop.`,
  example: `- nodes.control: {node: pg1}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: NODE,
      folder: {
        type: "string",
        minLength: 1,
        description: "A data directory on the node; that of its server without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["folder", "system_identifier", "version", "state", "checkpoint", "timeline"],
    properties: {
      folder: { type: "string" },
      system_identifier: { type: "string" },
      version: { type: "integer", description: "Of the file: 1300, 1700, 1800" },
      state: { type: "string", description: "In the words of pg_controldata" },
      checkpoint: { type: "string", description: "LSN of the last checkpoint record" },
      timeline: { type: "integer" },
    },
  },
  async run(ctx, { node, folder }) {
    return controlOf(await ctx.use("nodes"), node, folder);
  },
});
