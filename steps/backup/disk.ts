import { defineStep } from "../define.ts";

export default defineStep({
  type: "backup.disk",
  summary: "Find the disk for backups that the place of the nodes gives all servers",
  docs: `Such as a volume that all of them have and that outlives them. \`path\` is where they have it, and null where none has any, or each another one;
\`lacking\` are the servers without it.`,
  example: `- backup.disk: {}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["path", "lacking"],
    properties: {
      path: { type: ["string", "null"] },
      lacking: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx) {
    const nodes = await ctx.use("nodes");
    const servers = (await nodes.list()).filter(({ roles }) => roles.includes("postgres"));
    const found = await Promise.all(
      servers.map(async ({ node }) => {
        const { disks } = await nodes.facts(node);
        return { node, path: disks.find(({ of }) => of === "backup")?.path ?? null };
      }),
    );
    const paths = new Set(found.flatMap(({ path }) => path ?? []));
    return {
      path: paths.size === 1 ? [...paths][0]! : null,
      lacking: found.filter(({ path }) => path === null).map(({ node }) => node),
    };
  },
});
