import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { isThere, serverFacts } from "../node-files.ts";
import { assertStopped, keepConfiguration, moved } from "./restore/move.ts";
import { beforeOf, scratchOf } from "./restore/scratch.ts";

export default defineStep({
  type: "backup.swap",
  summary: "Move a stopped server's data aside, and put the scratch folder in its place",
  docs: `Two renames on one disk: no data is copied and none removed. The data before is in a folder beside it, by its name with
\`.before-RUN\` at the end, until \`backup.drop-before\` removes it. The server's settings and its pg_hba.conf stay as they are now: only data goes
back. Taken back, the data before is the data again, and the other one the scratch.`,
  example: `- backup.swap: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
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
    required: ["node", "data", "before"],
    properties: {
      node: { type: "string" },
      data: { type: "string" },
      before: { type: "string", description: "Where the data before is kept" },
    },
  },
  async run(ctx, { node }) {
    const { nodes, data, before, scratch, has } = await sight(ctx, node);
    if (!has.before) {
      if (!has.scratch) {
        throw new PgdbaError(
          "step_refused",
          `${node} has no ${scratch} to put in the place of its data`,
          {
            hint: "`backup.fetch` makes it.",
            nothingDone: true,
          },
        );
      }
      await assertStopped(nodes, node, data);
      await keepConfiguration(ctx, nodes, { node, data, scratch });
      await moved(nodes, node, data, before);
    }
    // Between the two renames there is no data directory: a process that died there left it so.
    if (await isThere(nodes, node, scratch)) await moved(nodes, node, scratch, data);
    return { node, data, before };
  },
  async plan(ctx, { node }): Promise<Json> {
    const { data, before, scratch } = await sight(ctx, node);
    return { node, moves: [`${data} to ${before}`, `${scratch} to ${data}`] };
  },
  async probe(ctx, { node }) {
    const { data, before, has } = await sight(ctx, node);
    return has.before && has.data && !has.scratch
      ? { state: "done", output: { node, data, before } }
      : { state: "not_done" };
  },
  async undo(ctx, { node }) {
    const { nodes, data, before, scratch, has } = await sight(ctx, node);
    if (!has.before) return ctx.unchanged();
    await assertStopped(nodes, node, data);
    if (has.data) await moved(nodes, node, data, scratch);
    await moved(nodes, node, before, data);
  },
});

async function sight(ctx: StepContext, node: string) {
  const nodes = await ctx.use("nodes");
  const { data } = (await serverFacts(nodes, node)).postgres;
  const before = beforeOf(data, ctx.run.id);
  const scratch = scratchOf(data, ctx.run.id);
  const [hasBefore, hasData, hasScratch] = await Promise.all(
    [before, data, scratch].map((path) => isThere(nodes, node, path)),
  );
  return {
    nodes,
    data,
    before,
    scratch,
    has: { before: hasBefore, data: hasData, scratch: hasScratch },
  };
}
