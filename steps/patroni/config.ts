import type { Json, JsonObject } from "../../engine/types.ts";
import { defineStep } from "../define.ts";

/** Patroni's own where the configuration says nothing (docs: "Dynamic configuration"). */
const DEFAULTS = { ttl: 30, loop_wait: 10, retry_timeout: 10 };

export default defineStep({
  type: "patroni.config",
  summary: "Read the dynamic configuration of Patroni",
  docs: `\`config\` is the whole of it. The times, in seconds, and the synchronous mode stand beside it, with Patroni's own values where it says nothing.
`,
  example: `- patroni.config: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["patroni"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["ttl", "loop_wait", "retry_timeout", "synchronous_mode", "config"],
    properties: {
      ttl: { type: "integer" },
      loop_wait: { type: "integer" },
      retry_timeout: { type: "integer" },
      synchronous_mode: { type: "string", enum: ["off", "on", "strict", "quorum"] },
      config: { type: "object" },
    },
  },
  async run(ctx) {
    const config = await (await ctx.use("patroni")).config(ctx.signal);
    const seconds = (name: keyof typeof DEFAULTS): number => Number(config[name] ?? DEFAULTS[name]);
    return {
      ttl: seconds("ttl"),
      loop_wait: seconds("loop_wait"),
      retry_timeout: seconds("retry_timeout"),
      synchronous_mode: synchronousMode(config),
      config,
    };
  },
});

/** Strictness adds to the mode; a mode other than on or off is named by a word (docs: "Replication modes"). */
function synchronousMode(config: JsonObject): "off" | "on" | "strict" | "quorum" {
  const mode: Json | undefined = config["synchronous_mode"];
  if (mode === undefined || mode === null || mode === false || mode === "off") return "off";
  if (config["synchronous_mode_strict"] === true) return "strict";
  return mode === "quorum" ? "quorum" : "on";
}
