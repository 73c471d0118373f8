import type { Json } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { mark } from "./records.ts";

export default defineStep({
  type: "backup.mark",
  summary: "Keep beside a backup that it was drilled, and how that went",
  docs: "The newest mark of a kind counts. `backup list` shows it, and the facts of a drill are what the next restore is forecast by.",
  example: `- backup.mark: {backup_id: 20261128T184500Z-full-1a2b3c, kind: drilled, facts: {fetch_seconds: 12.5}}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id", "kind", "facts"],
    properties: {
      backup_id: { type: "string", minLength: 1 },
      kind: { enum: ["drilled", "drill_failed"] },
      facts: { type: "object" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id", "kind"],
    properties: { backup_id: { type: "string" }, kind: { type: "string" } },
  },
  async run(ctx, { backup_id, kind, facts }) {
    const { repository, key } = await ctx.use("repository");
    await mark(
      ctx,
      { repository, key, cluster: ctx.target.name },
      { backup: backup_id, kind, facts },
    );
    return { backup_id, kind };
  },
  plan: async (_ctx, { backup_id, kind }): Promise<Json> => ({ backup_id, kind }),
  async undo(ctx) {
    // It says what was found, which stays so.
    ctx.unchanged();
  },
});
