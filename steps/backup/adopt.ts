import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { isThere, serverFacts } from "../node-files.ts";
import { assertStopped, keepConfiguration, moved } from "./restore/move.ts";
import { scratchOf } from "./restore/scratch.ts";

export default defineStep({
  type: "backup.adopt",
  summary: "Make the scratch folder the data of a server that this run has made",
  docs: `The empty database that the server was made with goes, and its configuration stays: where it listens, who may come in, its settings. Only a node that the same
run has made is touched; its server is stopped for it. What takes it back is the removal of the node.`,
  example: `- backup.adopt: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "data"],
    properties: { node: { type: "string" }, data: { type: "string" } },
  },
  async run(ctx, { node }) {
    const { nodes, data, scratch } = await sight(ctx, node);
    // Where it is gone already, an earlier attempt has done all of it.
    if (!(await isThere(nodes, node, scratch))) {
      if (await isAdopted(ctx, node)) return { node, data };
      throw new PgdbaError("step_refused", `${node} has no ${scratch} to make its data of`, {
        hint: "`backup.fetch` makes it.",
        nothingDone: true,
      });
    }
    if (await isThere(nodes, node, data)) {
      await nodes.stop(node, "fast");
      await assertStopped(nodes, node, data);
      const run = async (argv: string[]) => {
        const { exit_code, stderr } = await nodes.exec(node, argv);
        if (exit_code === 0) return;
        throw new PgdbaError("io_failed", `${argv[0]} failed on ${node}: ${stderr.trim()}`, {
          hint: "Look at the disk of the node.",
        });
      };
      // What the original was told must not stand beside the configuration of the new node.
      const stale = ["postgresql.base.conf", "postgresql.auto.conf", "patroni.dynamic.json"];
      await run(["rm", "-f", "--", ...stale.map((name) => join(scratch, name))]);
      await keepConfiguration(ctx, nodes, { node, data, scratch });
      ctx.note({ adopted: true });
      await run(["rm", "-rf", "--", data]);
    }
    await moved(nodes, node, scratch, data);
    return { node, data };
  },
  async plan(ctx, { node }): Promise<Json> {
    const { data, scratch } = await sight(ctx, node);
    return { node, data, from: scratch };
  },
  async undo(ctx) {
    // The node goes with all that it has.
    ctx.unchanged();
  },
});

/** An earlier attempt wrote down that it was about to remove what was there. */
const isAdopted = async (ctx: StepContext, node: string): Promise<boolean> => {
  const { nodes, data } = await sight(ctx, node);
  return ctx.noted !== undefined && isThere(nodes, node, join(data, "PG_VERSION"));
};

/** @throws PgdbaError step_refused for a node that this run has not made */
async function sight(ctx: StepContext, node: string) {
  const nodes = await ctx.use("nodes");
  const found = (await nodes.list()).find((one) => one.node === node);
  if (found === undefined || found.labels.run !== ctx.run.id)
    throw new PgdbaError(
      "step_refused",
      `${node} was not made by this run: its data is not replaced`,
      {
        hint: "A server that is there goes back by `pgdba backup restore --in-place`.",
        nothingDone: true,
      },
    );
  const { data } = (await serverFacts(nodes, node)).postgres;
  return { nodes, data, scratch: scratchOf(data, ctx.run.id) };
}
