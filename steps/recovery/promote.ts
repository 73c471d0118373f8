import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { controlOf } from "../node-files.ts";
import { assertMayBePromoted } from "../second-primary.ts";
import { readRecovery, writeRecovery } from "./files/recovery.ts";

/** Pause between two looks, ms. */
const PAUSE_MS = 100;
/** A server in one of these states has taken no write since it was a standby. */
const IN_RECOVERY: ReadonlySet<string> = new Set(["in archive recovery", "shut down in recovery"]);

export default defineStep({
  type: "recovery.promote",
  summary: "Make a standby the primary, and wait until it is one",
  docs: `For clusters without Patroni. Refused while another node runs as a primary. A node that is a primary already is left as it is.

A promotion can't be taken back. One that did not end is: the node is stopped, its data must show that it has taken no write, and it
starts as a standby again. Where that can't be shown, the run stops and takes nothing more back, so that no second primary starts beside this one.
Give the step \`keep: true\`: once it is done, the run only goes forward.`,
  example: `- recovery.promote: {node: pg2}
  keep: true
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  gives: ["postgres", "primary"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: { type: "string", minLength: 1, description: "The standby" },
      timeout: { type: "string", format: "duration", default: "1m" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "was_standby"],
    properties: { node: { type: "string" }, was_standby: { type: "boolean" } },
  },
  async run(ctx, { node, timeout = "1m" }) {
    const nodes = await ctx.use("nodes");
    if (await isPrimary(nodes, node)) {
      ctx.unchanged();
      return { node, was_standby: false };
    }
    try {
      await assertMayBePromoted(nodes, node, (message) => ctx.warn(message));
    } catch (error) {
      ctx.unchanged();
      throw error;
    }
    const { exit_code, stderr } = await nodes.exec(node, ["pg_ctl", "promote", "--no-wait"]);
    await promoted(ctx, nodes, node, { timeout, said: exit_code === 0 ? "" : stderr.trim() });
    return { node, was_standby: true };
  },
  async plan(ctx, { node }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, is_primary: await isPrimary(nodes, node) };
  },
  async undo(ctx, { node }) {
    const nodes = await ctx.use("nodes");
    try {
      const { running } = await nodes.state(node);
      if (running !== "stopped" && running !== "failed") await nodes.stop(node, "fast");
    } catch (cause) {
      throw mayBePrimary(node, "it can't be stopped, and may become one", cause);
    }
    const { state } = await controlOf(nodes, node).catch((cause: unknown) => {
      throw mayBePrimary(node, "its data can't be looked at", cause);
    });
    if (!IN_RECOVERY.has(state)) {
      // It is the only one, and stays it.
      await nodes.start(node).catch(() => {});
      throw mayBePrimary(node, "it has become one");
    }
    const { conf, mode } = await readRecovery(nodes, node);
    if (mode !== "standby") await writeRecovery(nodes, node, { conf, mode: "standby" });
    await nodes.start(node);
  },
});

async function isPrimary(nodes: Nodes, node: string): Promise<boolean> {
  const { running } = await nodes.state(node);
  return running === "running" && (await controlOf(nodes, node)).state === "in production";
}

async function promoted(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  { timeout, said }: { timeout: string; said: string },
): Promise<void> {
  const deadline = ctx.clock.monotonic() + parseDuration(timeout);
  while (!(await isPrimary(nodes, node))) {
    if (said === "" && ctx.clock.monotonic() < deadline) {
      await ctx.clock.sleep(PAUSE_MS, ctx.signal);
      continue;
    }
    throw new PgdbaError(
      said === "" ? "timeout" : "command_failed",
      said === ""
        ? `${node} is not the primary after ${timeout}`
        : `${node} was not promoted: ${said}`,
      { hint: `Look at the log of ${node}.` },
    );
  }
}

/** Ends the taking back: what was stopped before must not start while this one may be a primary. */
function mayBePrimary(node: string, why: string, cause?: unknown): PgdbaError {
  return new PgdbaError("needs_operator", `${node} can't be made a standby again: ${why}`, {
    cause,
    hint: `No other node may start as a primary while ${node} may be one. If it is the primary, it stays it: make the others follow it.`,
  });
}
