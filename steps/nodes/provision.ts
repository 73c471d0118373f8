import { toPgdbaError, withNothingDone } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { shown } from "./list.ts";
import { CHANGES, NODE_LIST, SPEC, specOf } from "./schema.ts";
import { assertNoneLeads, forgetNodes, namedNodes, takenOver } from "./taken-over.ts";

interface Before {
  there: string[];
  /** By the cluster's entry. */
  named?: string[];
}

export default defineStep({
  type: "nodes.provision",
  summary: "Make the nodes of a cluster that are missing, and start them",
  docs: `The cluster's entry in the registry must be there (\`cluster.reserve\`). A node that exists and is not in the list is left as it is. More
nodes in a later call are added to the cluster. What the step has made is removed again when the run fails: by the run's label, never by name alone. A node that another run has recorded in the entry since stays, and
one that has become the primary is not taken away.`,
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
    // As the first attempt found it: an earlier step of this run may have made these.
    if (ctx.noted === undefined)
      ctx.note({
        there: (await nodes.list()).map(({ node }) => node),
        named: await namedNodes(ctx),
      } satisfies Before);
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
    const { there, named } = (ctx.noted ?? { there: [] }) as unknown as Before;
    const listed = await nodes.list();
    const ours = listed.filter(
      ({ node, labels }) => labels.run === ctx.run.id && !there.includes(node),
    );
    const taken = named === undefined ? [] : await takenOver(ctx, ours, named);
    const going = ours.filter(({ node }) => !taken.includes(node));
    await assertNoneLeads(
      nodes,
      going,
      listed.filter((one) => !going.includes(one)),
    );
    const removed = await nodes.deprovision({ run: ctx.run.id, but: [...there, ...taken] });
    if (removed.length === 0) return ctx.unchanged();
    const gone = removed.map(({ node }) => node);
    await forgetNodes(
      ctx,
      gone.filter((node) => named?.includes(node) === false),
    );
  },
});
