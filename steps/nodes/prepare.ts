import type { Json } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { SPEC, specOf } from "./schema.ts";

export default defineStep({
  type: "nodes.prepare",
  summary: "Have ready what nodes are made from, such as images",
  docs: `What is not there is fetched or built; no node is touched, so that it takes no time later when one must not be away for long. With \`anew\` also
what is there is made again, with the newest packages of its distribution; \`nodes.compare\` then tells which nodes have the former one.`,
  example: `- nodes.prepare:
    anew: true
    spec:
      version: 18
      superuser: {user: postgres, password: superuser}
      replication: {user: replicator, password: replication}
      nodes:
        - {name: pg1, roles: [postgres]}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  locks: "none",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["spec"],
    properties: {
      spec: SPEC,
      anew: { type: "boolean", default: false, description: "Also what is there" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["prepared"],
    properties: {
      prepared: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["role", "from", "changed"],
          properties: {
            role: { type: "string" },
            from: { type: "string" },
            changed: { type: "boolean", description: "It was not there, or was another one" },
          },
        },
      },
    },
  },
  async run(ctx, { spec, anew = false }) {
    const nodes = await ctx.use("nodes");
    const prepared = await nodes.prepare(specOf(spec), { anew });
    if (prepared.every(({ changed }) => !changed)) ctx.unchanged();
    return { prepared: prepared.map((one) => ({ ...one })) };
  },
  async plan(ctx, { spec, anew = false }): Promise<Json> {
    const roles = new Set(spec.nodes.flatMap((node) => [...node.roles]));
    return { roles: [...roles], anew };
  },
});
