import { defineStep } from "../define.ts";
import type { JsonObject } from "../../engine/types.ts";
import { SPEC, specOf } from "./schema.ts";

export default defineStep({
  type: "nodes.compare",
  summary: "Tell which nodes differ from a spec in their image or their limits",
  docs: `What \`nodes.renew\` would make anew, and the reason; nothing is built or fetched for it. An image that was built anew under the same name is
another one. Of a node's own place only what the spec says is compared. The output's \`spec\` has \`images\` laid on its place.`,
  example: `- nodes.compare:
    images: {postgres: "registry.example.com/postgres:18.2"}
    spec:
      version: 18
      superuser: {user: postgres, password: superuser}
      replication: {user: replicator, password: replication}
      nodes:
        - {name: pg1, roles: [postgres], place: {memory: 4g}}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["spec"],
    properties: {
      spec: SPEC,
      images: {
        type: ["object", "null"],
        additionalProperties: { type: "string", minLength: 1 },
        description:
          "By role, over those of the spec's place; for a place that makes nodes from images",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["nodes", "spec"],
    properties: {
      nodes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["node", "roles", "differs"],
          properties: {
            node: { type: "string" },
            roles: { type: "array", items: { type: "string" } },
            differs: {
              type: "array",
              items: { type: "string" },
              description: "In a few words each; empty where it is as the spec says",
            },
          },
        },
      },
      spec: SPEC,
    },
  },
  async run(ctx, { spec: wanted, images }) {
    const nodes = await ctx.use("nodes");
    const spec = { ...wanted, place: placed(wanted.place, images) };
    const found = await nodes.compare(specOf(spec));
    const roles = new Map(spec.nodes.map(({ name, roles: all }) => [name, [...all]]));
    return {
      nodes: found.map(({ node, differs }) => ({ node, roles: roles.get(node) ?? [], differs })),
      spec,
    };
  },
});

function placed(place: JsonObject = {}, images: JsonObject | null = null): JsonObject {
  if (images === null || Object.keys(images).length === 0) return place;
  return { ...place, images: { ...(place["images"] as JsonObject | undefined), ...images } };
}
