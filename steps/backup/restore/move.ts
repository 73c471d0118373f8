/** Data directories change places by their names. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { isThere } from "../../node-files.ts";

/** Files of a server that are no data; under Patroni, too. */
const CONFIGURATION = [
  "postgresql.conf",
  "postgresql.base.conf",
  "postgresql.auto.conf",
  "pg_hba.conf",
  "pg_ident.conf",
];

/** Those of the backup would bring settings back that were changed since. */
export async function keepConfiguration(
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
export async function assertStopped(nodes: Nodes, node: string, data: string): Promise<void> {
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

/** By a rename: nothing is copied. @throws PgdbaError io_failed */
export async function moved(nodes: Nodes, node: string, from: string, to: string): Promise<void> {
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
