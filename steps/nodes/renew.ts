import { toPgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, ProbeResult } from "../../engine/types.ts";
import type { Nodes, Spec } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { NODE, SPEC, specOf } from "./schema.ts";

export default defineStep({
  type: "nodes.renew",
  summary: "Make the container of one node anew by a spec: another image, another limit",
  docs: `Its data, name and addresses stay, and so does what the spec does not say of the node's place. What runs on it is stopped for it: hand the
primary role over first. A node that is as the spec says is left alone, unless \`anew\` is set. It is done when the node takes connections; that a
standby streams is for the runbook to see. One that had been stopped stays down. It is not taken back: give the former image by another renewal.`,
  example: `- nodes.renew:
    node: pg2
    spec:
      version: 18
      superuser: {user: postgres, password: superuser}
      replication: {user: replicator, password: replication}
      nodes:
        - {name: pg2, roles: [postgres], place: {memory: 4g}}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "spec"],
    properties: {
      node: NODE,
      spec: SPEC,
      anew: { type: "boolean", default: false, description: "Also when it is as the spec says" },
      timeout: {
        type: "string",
        format: "duration",
        default: "5m",
        description: "How long it may take to take connections again",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "renewed", "differed"],
    properties: {
      node: { type: "string" },
      renewed: { type: "boolean", description: "False when it was left as it is" },
      differed: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, { node, anew = false, timeout = "5m", spec: wanted }) {
    const nodes = await ctx.use("nodes");
    const spec = specOf(wanted);
    // A further attempt may find it as the first has left it: stopped, or as wanted and not started yet.
    const begun = ctx.noted as Begun | undefined;
    const { running } = await nodes.state(node);
    const before = begun ?? { was: running, differed: await differencesOf(nodes, node, spec) };
    const differs = begun === undefined ? before.differed : await differencesOf(nodes, node, spec);
    if (begun === undefined && differs.length === 0 && !anew) {
      ctx.unchanged();
      return { node, renewed: false, differed: [] };
    }
    if (begun === undefined) ctx.note({ was: before.was, differed: [...before.differed] });
    if (differs.length > 0 || anew) {
      await nodes.renew(node, spec).catch(async (error: unknown) => {
        // It is there, and only takes longer to start.
        const isLate = toPgdbaError(error).code === "timeout" && !anew;
        if (!isLate || (await differencesOf(nodes, node, spec)).length > 0) throw error;
      });
    }
    if (before.was !== "stopped") await nodes.start(node, { timeoutMs: parseDuration(timeout) });
    return { node, renewed: true, differed: before.differed };
  },
  async plan(ctx, { node, anew = false, spec }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    const differs = await differencesOf(nodes, node, specOf(spec));
    return { node, renewed: anew || differs.length > 0, differs };
  },
  async probe(ctx, { node, anew = false, spec }): Promise<ProbeResult> {
    const begun = ctx.noted as Begun | undefined;
    // By its looks nobody can tell whether one that was as wanted was made anew: then it is made anew once more.
    if (begun === undefined || anew) return { state: "not_done" };
    const nodes = await ctx.use("nodes");
    if ((await differencesOf(nodes, node, specOf(spec))).length > 0) return { state: "not_done" };
    const { running } = await nodes.state(node);
    if (running !== "running" && begun.was !== "stopped") return { state: "not_done" };
    return { state: "done", output: { node, renewed: true, differed: begun.differed } };
  },
});

/** As it was found, before anything was done. */
interface Begun {
  was: string;
  differed: string[];
}

async function differencesOf(nodes: Nodes, node: string, spec: Spec): Promise<string[]> {
  const all = await nodes.compare(spec);
  return all.find((one) => one.node === node)?.differs ?? [];
}
