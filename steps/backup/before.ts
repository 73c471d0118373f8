import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { keptBefore } from "./restore/before.ts";

export default defineStep({
  type: "backup.before",
  summary: "Find the data that a restore in place has moved aside",
  docs: "Of one restore, by its run; without one it is the only one that is there.",
  example: `- backup.before: {node: pg1}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: { type: "string", minLength: 1 },
      run: { type: ["string", "null"], pattern: "^[A-Za-z0-9][A-Za-z0-9-]*$" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "folder", "bytes"],
    properties: {
      node: { type: "string" },
      folder: { type: ["string", "null"], description: "Null where none is kept" },
      bytes: { type: ["number", "null"], description: "The room that it takes" },
    },
  },
  async run(ctx, { node, run }) {
    const folder = await keptBefore(ctx, node, run ?? null);
    if (folder === null) return { node, folder, bytes: null };
    const nodes = await ctx.use("nodes");
    const { exit_code, stdout } = await nodes.exec(node, ["du", "-s", "-k", "--", folder]);
    const kilobytes = exit_code === 0 ? Number.parseInt(stdout, 10) : Number.NaN;
    return { node, folder, bytes: Number.isNaN(kilobytes) ? null : kilobytes * 1024 };
  },
});
