/** The folder of a run beside a server's data, so that it can become the data by a rename. */
import { dirname, join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";

export const scratchOf = (data: string, run: string) => join(dirname(data), `scratch-${run}`);
/** The data that a restore in place has moved aside; it stays until somebody confirms the restore. */
export const beforeOf = (data: string, run: string) => `${data}.before-${run}`;
/** Short, for the path of a socket is limited. */
export const folderOf = (run: string) => `/tmp/pgdba-${run.slice(-16)}`;

/** All that a scratch has left on a node. What is not there counts as removed. @throws PgdbaError io_failed */
export async function removeScratch(nodes: Nodes, node: string, data: string, run: string) {
  const scratch = scratchOf(data, run);
  const paths = ["", ".tablespaces", ".parts", ".unfinished"].map((end) => `${scratch}${end}`);
  const { exit_code, stderr } = await nodes.exec(node, [
    "rm",
    "-rf",
    "--",
    ...paths,
    folderOf(run),
  ]);
  if (exit_code === 0) return;
  throw new PgdbaError("io_failed", `${scratch} on ${node} can't be removed: ${stderr.trim()}`, {
    hint: "It takes the disk of the server. Look at the node, and remove what is left of it there.",
  });
}
