import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { changeRecovery, putBackRecovery, readRecovery } from "./files/recovery.ts";
import { withSettings } from "./files/settings.ts";

export default defineStep({
  type: "recovery.configure",
  summary: "Say how a node starts next: as a standby, with a recovery that ends, or as it was left",
  docs: `Writes the signal file and settings of recovery into postgresql.auto.conf, null taking a setting out; a server that runs reads its
settings again. A recovery that ends begins a new timeline.`,
  example: `- recovery.configure:
    node: pg1
    mode: recovery
    settings: {restore_command: "cp /archive/%f %p", recovery_target_time: "2026-01-02 03:04:05+00"}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "mode"],
    properties: {
      node: { type: "string", minLength: 1 },
      mode: { enum: ["standby", "recovery", "none"] },
      settings: {
        type: "object",
        additionalProperties: { type: ["string", "null"] },
        description: "Settings by name; null takes one out",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "mode", "was"],
    properties: {
      node: { type: "string" },
      mode: { type: "string" },
      was: { type: "string", description: "How it would have started before" },
    },
  },
  async run(ctx, { node, mode, settings = {} }) {
    const before = await changeRecovery(ctx, node, ({ conf }) => ({
      conf: withSettings(conf, settings),
      mode,
    }));
    return { node, mode, was: before.mode };
  },
  async plan(ctx, { node, mode }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, mode, now: (await readRecovery(nodes, node)).mode };
  },
  undo: (ctx, { node }) => putBackRecovery(ctx, node),
});
