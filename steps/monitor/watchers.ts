import { PgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { NODE, withBeside } from "./node/beside.ts";
import { entryOf } from "./node/entry.ts";

export default defineStep({
  type: "monitor.watchers",
  summary: "The nodes that monitor a cluster, among its own or beside it",
  docs: `Those of the cluster itself are told by the provider of its nodes. Where that has none, this machine's Docker Engine is asked for one that \`monitor.beside\` has made; where none answers, that is a warning. One whose container somebody else has removed is told as well, as one that does not run, as long as
the entry names it, or the Engine keeps anything of it.`,
  example: `- monitor.watchers: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["nodes"],
    properties: {
      nodes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["node", "beside", "running"],
          properties: {
            node: { type: "string" },
            beside: { type: "boolean", description: "It is none of the cluster's own nodes" },
            running: { type: "boolean" },
          },
        },
      },
    },
  },
  async run(ctx) {
    const { capabilities } = await ctx.target.facts();
    if (capabilities.includes("nodes")) {
      const nodes = await ctx.use("nodes");
      const listed = await nodes.list();
      const own = listed
        .filter(({ roles }) => roles.includes("monitoring"))
        .map(({ node, state }) => ({ node, running: state.running === "running" }));
      const gone = ((await entryOf(ctx)).data.nodes ?? [])
        .filter(
          ({ name, roles }) =>
            roles.includes("monitoring") && !listed.some((one) => one.node === name),
        )
        .map(({ name }) => ({ node: name, running: false }));
      if (own.length + gone.length > 0)
        return { nodes: [...own, ...gone].map((one) => ({ ...one, beside: false })) };
    }
    try {
      return {
        nodes: await withBeside(ctx, async (nodes) => {
          const listed = (await nodes.list()).find(({ node }) => node === NODE);
          if (listed !== undefined && !listed.roles.includes("monitoring")) return [];
          const { isAnythingLeft } = await import("../../providers/nodes/docker/left.ts");
          const whose = { env: ctx.env, cluster: ctx.target.cluster! };
          if (listed === undefined && !(await isAnythingLeft(whose, NODE))) return [];
          return [{ node: NODE, beside: true, running: listed?.state.running === "running" }];
        }),
      };
    } catch (error) {
      // Who is watched by programs of their own need not have one.
      if (!(error instanceof PgdbaError) || error.code !== "connection_failed") throw error;
      ctx.warn(`${error.message}: whether a node there watches ${ctx.target.name} is not known`);
      return { nodes: [] };
    }
  },
});
