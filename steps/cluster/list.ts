import { listClusters, type Listed } from "../../providers/registry/folder.ts";
import { defineStep } from "../define.ts";

const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "cluster.list",
  summary: "The clusters that are registered, and what is wrong with their files",
  docs: `Reads the files in \`clusters/\` of the state folder and connects to nothing. A file that can't be used is listed too, with \`problem\` and
\`hint\`; what else stands in it is not known then.`,
  example: `- cluster.list: {}
`,
  effect: "read",
  idempotent: true,
  input: { type: "object", additionalProperties: false, properties: {} },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["clusters"],
    properties: {
      clusters: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "name",
            "file",
            "ownership",
            "provider",
            "labels",
            "partial",
            "host",
            "port",
            "nodes",
            "system_identifier",
            "problem",
            "hint",
          ],
          properties: {
            name: { type: "string" },
            file: { type: "string" },
            ownership: { ...TEXT, description: "managed: pgdba made it. connected: it did not" },
            provider: TEXT,
            labels: { type: "array", items: { type: "string" } },
            partial: { ...TEXT, description: "The run that makes it, or left it half made" },
            host: TEXT,
            port: { type: ["integer", "null"] },
            nodes: { type: ["integer", "null"], description: "How many are registered" },
            system_identifier: TEXT,
            problem: { ...TEXT, description: "Why its file can't be used" },
            hint: { ...TEXT, description: "What to do about it" },
          },
        },
      },
    },
  },
  async run(ctx) {
    const all = await listClusters(ctx.run.stateDir);
    return { clusters: all.map(rowOf) };
  },
});

function rowOf({ name, file, entry, problem }: Listed) {
  return {
    name,
    file,
    ownership: entry?.ownership ?? null,
    provider: entry?.data.provider ?? null,
    labels: entry?.labels ?? [],
    partial: entry?.partial ?? null,
    host: entry?.spec?.host ?? null,
    port: entry?.spec?.port ?? null,
    nodes: entry?.data.nodes?.length ?? null,
    system_identifier: entry?.identity ?? null,
    problem: problem?.message ?? null,
    hint: problem?.hint ?? null,
  };
}
