import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { controlOf, isThere, serverFacts } from "../node-files.ts";
import { defineStep } from "../define.ts";
import { NODE } from "./schema.ts";

/** Its server holds its data, also one that stands still. */
const HOLDS: ReadonlySet<string> = new Set(["running", "starting", "frozen", "unknown"]);

export default defineStep({
  type: "nodes.clear",
  summary: "Remove the data of a stopped standby, so that it is made anew with its next start",
  docs: `Only beside a primary that runs, and only of a node whose server does not: the data are then those of a copy. WAL and tablespaces that lie elsewhere
go too; their folders stay. What stands beside the data, such as the settings of archiving, is left alone.`,
  example: `- nodes.clear: {node: pg2}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: NODE },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "data"],
    properties: { node: { type: "string" }, data: { type: "string", description: "The folder" } },
  },
  async run(ctx, { node }) {
    const nodes = await ctx.use("nodes");
    const { data } = (await serverFacts(nodes, node)).postgres;
    await assertCopy(nodes, node, ctx);
    if (!(await isThere(nodes, node, data))) ctx.unchanged();
    for (const folder of await elsewhere(nodes, node, data))
      await removed(nodes, node, ["find", folder, "-mindepth", "1", "-delete"]);
    await removed(nodes, node, ["rm", "-rf", "--", data]);
    return { node, data };
  },
  async plan(ctx, { node }): Promise<Json> {
    const { postgres } = await serverFacts(await ctx.use("nodes"), node);
    return { node, removes: postgres.data };
  },
  async undo(ctx) {
    // What was removed is made again from the primary.
    ctx.unchanged();
  },
});

/** @throws PgdbaError step_refused: the data may be the only ones of their kind */
async function assertCopy(nodes: Nodes, node: string, ctx: StepContext): Promise<void> {
  const servers = (await nodes.list()).filter(({ roles }) => roles.includes("postgres"));
  const own = servers.find((one) => one.node === node);
  if (own === undefined || HOLDS.has(own.state.running)) {
    throw new PgdbaError("step_refused", `The server of ${node} is ${own?.state.running}`, {
      hint: "Stop it first (`nodes.stop`).",
      nothingDone: true,
    });
  }
  for (const { node: other, state } of servers) {
    ctx.signal.throwIfAborted();
    if (other === node || state.running !== "running") continue;
    const control = await controlOf(nodes, other).catch(() => null);
    if (control?.state === "in production") return;
  }
  throw new PgdbaError("step_refused", `No other server runs as a primary beside ${node}`, {
    hint: "Its data may be the only ones. Start the primary first.",
    nothingDone: true,
  });
}

/** Folders outside of the data that the data point to. */
async function elsewhere(nodes: Nodes, node: string, data: string): Promise<string[]> {
  const argv = ["find", `${data}/pg_wal`, `${data}/pg_tblspc`, "-maxdepth", "1", "-type", "l"];
  const { stdout } = await nodes.exec(node, [...argv, "-printf", "%l\\0"]);
  const found = stdout.split("\0").filter((path) => path.startsWith("/"));
  const there: string[] = [];
  for (const path of found) if (await isThere(nodes, node, path)) there.push(path);
  return there;
}

async function removed(nodes: Nodes, node: string, argv: string[]): Promise<void> {
  const { exit_code, stderr } = await nodes.exec(node, argv);
  if (exit_code === 0) return;
  throw new PgdbaError("io_failed", `${argv[1]} on ${node} can't be removed: ${stderr.trim()}`, {
    hint: "Part of it may be gone. Look at the node, and run again.",
  });
}
