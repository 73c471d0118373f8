import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { isThere } from "../node-files.ts";
import { beforeOf, scratchOf } from "./restore/scratch.ts";

export default defineStep({
  type: "backup.swap",
  summary: "Move a stopped server's data aside, and put the scratch folder in its place",
  docs: `Two renames on one disk: no data is copied and none removed. The data before is in a folder beside it, by its name with
\`.before-RUN\` at the end, until \`backup.drop-before\` removes it. The server's settings and its pg_hba.conf stay as they are now: only data goes
back. Taken back, the data before is the data again, and the other one the scratch.`,
  example: `- backup.swap: {node: pg1}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: { node: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "data", "before"],
    properties: {
      node: { type: "string" },
      data: { type: "string" },
      before: { type: "string", description: "Where the data before is kept" },
    },
  },
  async run(ctx, { node }) {
    const { nodes, data, before, scratch, has } = await sight(ctx, node);
    if (!has.before) {
      if (!has.scratch) {
        throw new PgdbaError(
          "step_refused",
          `${node} has no ${scratch} to put in the place of its data`,
          {
            hint: "`backup.fetch` makes it.",
            nothingDone: true,
          },
        );
      }
      await assertStopped(nodes, node, data);
      await keepConfiguration(ctx, nodes, { node, data, scratch });
      await moved(nodes, node, data, before);
    }
    // Between the two renames there is no data directory: a process that died there left it so.
    if (await isThere(nodes, node, scratch)) await moved(nodes, node, scratch, data);
    return { node, data, before };
  },
  async plan(ctx, { node }): Promise<Json> {
    const { data, before, scratch } = await sight(ctx, node);
    return { node, moves: [`${data} to ${before}`, `${scratch} to ${data}`] };
  },
  async probe(ctx, { node }) {
    const { data, before, has } = await sight(ctx, node);
    return has.before && has.data && !has.scratch
      ? { state: "done", output: { node, data, before } }
      : { state: "not_done" };
  },
  async undo(ctx, { node }) {
    const { nodes, data, before, scratch, has } = await sight(ctx, node);
    if (!has.before) return ctx.unchanged();
    await assertStopped(nodes, node, data);
    if (has.data) await moved(nodes, node, data, scratch);
    await moved(nodes, node, before, data);
  },
});

async function sight(ctx: StepContext, node: string) {
  const nodes = await ctx.use("nodes");
  const { postgres } = await nodes.facts(node);
  if (postgres === null) {
    throw new PgdbaError("step_refused", `${node} runs no PostgreSQL`, {
      hint: "Name one of the cluster's servers.",
      nothingDone: true,
    });
  }
  const { data } = postgres;
  const before = beforeOf(data, ctx.run.id);
  const scratch = scratchOf(data, ctx.run.id);
  const [hasBefore, hasData, hasScratch] = await Promise.all(
    [before, data, scratch].map((path) => isThere(nodes, node, path)),
  );
  return {
    nodes,
    data,
    before,
    scratch,
    has: { before: hasBefore, data: hasData, scratch: hasScratch },
  };
}

/** Files of a server that are no data; under Patroni, too. */
const CONFIGURATION = [
  "postgresql.conf",
  "postgresql.base.conf",
  "postgresql.auto.conf",
  "pg_hba.conf",
  "pg_ident.conf",
];

/** Those of the backup would bring settings back that were changed since. */
async function keepConfiguration(
  ctx: StepContext,
  nodes: Nodes,
  { node, data, scratch }: { node: string; data: string; scratch: string },
): Promise<void> {
  const names = CONFIGURATION.flatMap((name) => ["-o", "-name", name]).slice(1);
  const argv = ["find", data, "-maxdepth", "1", "-type", "f", "(", ...names, ")"];
  const { exit_code, stderr } = await nodes.exec(node, [
    ...argv,
    "-exec",
    "cp",
    "-p",
    "-t",
    scratch,
    "{}",
    "+",
  ]);
  if (exit_code !== 0)
    throw new PgdbaError(
      "io_failed",
      `The configuration of ${node} can't be copied: ${stderr.trim()}`,
      { hint: "Look at the node's disk; nothing was moved yet." },
    );
  if ((await nodes.exec(node, ["test", "-L", `${data}/pg_wal`])).exit_code === 0)
    ctx.warn(`WAL of ${node} lay on a disk of its own; now it is beside the data`);
}

/** A server that runs would write on into what was moved. */
async function assertStopped(nodes: Nodes, node: string, data: string): Promise<void> {
  const { services, running } = await nodes.state(node);
  const server = services.find(({ role }) => role === "postgres")?.running ?? running;
  const isLeft = await isThere(nodes, node, `${data}/postmaster.pid`);
  if (server !== "running" && server !== "starting" && server !== "frozen" && !isLeft) return;
  throw new PgdbaError(
    "step_refused",
    `PostgreSQL on ${node} is ${isLeft ? "not stopped cleanly" : server}: its data can't be moved`,
    {
      hint: "Stop it first; one that crashed starts and stops once more.",
      nothingDone: true,
    },
  );
}

async function moved(nodes: Nodes, node: string, from: string, to: string): Promise<void> {
  const { exit_code, stderr } = await nodes.exec(node, ["mv", "-T", "-n", "--", from, to]);
  // `-n` says nothing when it leaves the source alone.
  if (exit_code === 0 && !(await isThere(nodes, node, from))) {
    await nodes.exec(node, ["sync", "-f", to]);
    return;
  }
  throw new PgdbaError(
    "io_failed",
    `${from} can't be moved to ${to} on ${node}: ${stderr.trim() || "that is there already"}`,
    {
      hint: "Both must be on one file system, and the second must be free.",
    },
  );
}
