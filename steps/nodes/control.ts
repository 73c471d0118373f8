import { PgdbaError } from "../../engine/errors.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { readControlState } from "../../providers/postgres/control-state.ts";
import { defineStep } from "../define.ts";
import { NODE } from "./schema.ts";

export default defineStep({
  type: "nodes.control",
  summary: "Read what a data directory says of itself, whether a server runs on it or not",
  docs: `Reads global/pg_control on the node, as pg_controldata does: by \`system_identifier\` a cluster that is down is proven to be the one that is
registered, and a copy to be one of it. \`state\` is \`shut down\` after a clean stop.`,
  example: `- nodes.control: {node: pg1}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: NODE,
      folder: {
        type: "string",
        minLength: 1,
        description: "A data directory on the node; that of its server without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["folder", "system_identifier", "version", "state", "checkpoint", "timeline"],
    properties: {
      folder: { type: "string" },
      system_identifier: { type: "string" },
      version: { type: "integer", description: "Of the file: 1300, 1700, 1800" },
      state: { type: "string", description: "In the words of pg_controldata" },
      checkpoint: { type: "string", description: "LSN of the last checkpoint record" },
      timeline: { type: "integer" },
    },
  },
  async run(ctx, { node, folder }) {
    const nodes = await ctx.use("nodes");
    const data = folder ?? (await dataOf(nodes, node));
    const state = readControlState(await bytesOf(nodes, node, `${data}/global/pg_control`));
    if (state !== null) return { folder: data, ...state };
    throw new PgdbaError("unsupported", `${data} on ${node} is of a PostgreSQL that is not known`, {
      hint: "PostgreSQL 13 to 18 are known.",
    });
  },
});

async function dataOf(nodes: Nodes, node: string): Promise<string> {
  const { exit_code, stdout } = await nodes.exec(node, ["printenv", "PGDATA"]);
  if (exit_code === 0) return stdout.replace(/\n$/, "");
  throw new PgdbaError("step_failed", `${node} does not tell where its data is`, {
    hint: "Name the data directory with `folder`.",
  });
}

async function bytesOf(nodes: Nodes, node: string, path: string): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await nodes.get(node, path, { sink: (bytes) => void parts.push(bytes.slice()) });
  return Buffer.concat(parts);
}
