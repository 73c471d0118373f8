import type { Json, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { readRecovery, reload, type Recovery, writeRecovery } from "./files/recovery.ts";
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
    const nodes = await ctx.use("nodes");
    const now = await readRecovery(nodes, node);
    // An undo puts back the state from before the first attempt.
    const before = (ctx.noted as Recovery | undefined) ?? now;
    if (ctx.noted === undefined) ctx.note({ ...before });
    const wanted = { conf: withSettings(now.conf, settings), mode };
    if (wanted.conf === now.conf && mode === now.mode) {
      ctx.unchanged();
      // It may have been written before by one who could not say so to the server.
      await reload(nodes, node);
    } else await writeRecovery(nodes, node, wanted);
    return { node, mode, was: before.mode };
  },
  async plan(ctx, { node, mode }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, mode, now: (await readRecovery(nodes, node)).mode };
  },
  async undo(ctx: StepContext, { node }) {
    const before = ctx.noted as Recovery | undefined;
    if (before === undefined) return ctx.unchanged();
    await writeRecovery(await ctx.use("nodes"), node, before);
  },
});
