import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { conninfo } from "../../providers/postgres/conninfo.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { variable } from "../node-files.ts";
import { changeRecovery, putBackRecovery, readRecovery } from "./files/recovery.ts";
import { withSettings } from "./files/settings.ts";

export default defineStep({
  type: "recovery.follow",
  summary: "Make a node a standby of another node",
  docs: `For clusters without Patroni, which does this itself. Writes \`primary_conninfo\` and \`primary_slot_name\` into
postgresql.auto.conf, and standby.signal; a standby that runs reads it again and changes its primary, a stopped node starts as a standby. The
password stays in the node's password file.

A node that has WAL of its own beyond the point where the new primary began its timeline can't follow it: rebuild it, or use pg_rewind before.`,
  example: `- recovery.follow: {node: pg1, primary: pg2, slot: pgdba_pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "primary"],
    properties: {
      node: { type: "string", minLength: 1, description: "The node that becomes a standby" },
      primary: { type: "string", minLength: 1, description: "The node that it follows" },
      slot: { type: "string", minLength: 1, description: "Its replication slot on the primary" },
      user: { type: "string", minLength: 1, default: "replicator" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "primary", "was_standby"],
    properties: {
      node: { type: "string" },
      primary: { type: "string" },
      was_standby: { type: "boolean", description: "It was a standby before" },
    },
  },
  async run(ctx, { node, primary, slot, user = "replicator" }) {
    const nodes = await ctx.use("nodes");
    const settings = {
      primary_conninfo: await conninfoFor(nodes, { node, primary, user }),
      primary_slot_name: slot ?? null,
    };
    const before = await changeRecovery(ctx, node, ({ conf }) => ({
      conf: withSettings(conf, settings),
      mode: "standby",
    }));
    return { node, primary, was_standby: before.mode === "standby" };
  },
  async plan(ctx, { node, primary }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    return { node, primary, is_standby: (await readRecovery(nodes, node)).mode === "standby" };
  },
  undo: (ctx, { node }) => putBackRecovery(ctx, node),
});

/** @throws PgdbaError invalid_param when there is no such primary */
async function conninfoFor(
  nodes: Nodes,
  { node, primary, user }: { node: string; primary: string; user: string },
): Promise<string> {
  const all = await nodes.list();
  const address = all.find((one) => one.node === primary)?.address;
  if (!address) {
    throw new PgdbaError("invalid_param", `There is no node ${primary} that runs PostgreSQL`, {
      hint: `The nodes are ${all.map((one) => one.node).join(", ")}.`,
      nothingDone: true,
    });
  }
  return conninfo({
    host: address.host,
    port: address.port,
    user,
    passfile: await variable(nodes, node, "PGPASSFILE"),
    application_name: node,
  });
}
