import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { keptBefore } from "./restore/before.ts";

export default defineStep({
  type: "backup.drop-before",
  summary: "Remove the data that a restore in place has moved aside",
  docs: `Of one restore, by its run; without one it is the only one that is there. The server's own data is not touched. This is the end of the way
back.`,
  example: `- backup.drop-before: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  locks: "backup",
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
    required: ["node", "removed"],
    properties: { node: { type: "string" }, removed: { type: ["string", "null"] } },
  },
  async run(ctx, { node, run }) {
    const folder = await keptBefore(ctx, node, run ?? null);
    if (folder === null) {
      ctx.unchanged();
      return { node, removed: null };
    }
    const nodes = await ctx.use("nodes");
    const { exit_code, stderr } = await nodes.exec(node, ["rm", "-rf", "--", folder]);
    if (exit_code === 0) return { node, removed: folder };
    throw new PgdbaError("io_failed", `${folder} on ${node} can't be removed: ${stderr.trim()}`, {
      hint: "Part of it may be gone. Look at the node, and run again.",
    });
  },
  plan: async (ctx, { node, run }): Promise<Json> => ({
    node,
    removes: await keptBefore(ctx, node, run ?? null),
  }),
  async undo(ctx) {
    // What was removed can't be brought back.
    ctx.unchanged();
  },
});
