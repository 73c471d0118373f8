import { toPgdbaError, withNothingDone } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { shown } from "./list.ts";
import { CHANGES, NODE_LIST, SPEC, specOf } from "./schema.ts";

export default defineStep({
  type: "nodes.provision",
  summary: "Make the nodes of a cluster that are missing, and start them",
  docs: `The cluster's entry in the registry must be there (\`cluster.reserve\`). A node that exists and is not in the list is left as it is. More
nodes in a later call are added to the cluster. What this run has made is removed again when it fails: by its label, never by name.`,
  example: `- nodes.provision:
    version: 18
    superuser: {user: postgres, password: superuser}
    replication: {user: replicator, password: replication}
    nodes:
      - {name: pg1, roles: [postgres]}
      - {name: pg2, roles: [postgres]}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  needs: ["nodes"],
  input: SPEC,
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changes", "nodes"],
    properties: { changes: CHANGES, nodes: NODE_LIST },
  },
  async run(ctx, input) {
    const nodes = await ctx.use("nodes");
    // It may have made something before it refused; taken back is only what has the label of this run.
    const changes = await nodes.provision(specOf(input)).catch((error: unknown) => {
      throw withNothingDone(toPgdbaError(error), false);
    });
    if (changes.every(({ act }) => act === "keep")) ctx.unchanged();
    return { changes, nodes: (await nodes.list()).map(shown) };
  },
  async plan(ctx, input): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { changes: (await nodes.plan(specOf(input))).map((change) => ({ ...change })) };
  },
  async undo(ctx) {
    const nodes = await ctx.use("nodes");
    const removed = await nodes.deprovision({ run: ctx.run.id });
    if (removed.length === 0) ctx.unchanged();
  },
});
