/** The folder of a run beside a server's data, so that it can become the data by a rename. */
import { dirname, join } from "node:path";
import type { Nodes } from "../../../providers/nodes/contract.ts";

export const scratchOf = (data: string, run: string) => join(dirname(data), `scratch-${run}`);
/** The data that a restore in place has moved aside; it stays until somebody confirms the restore. */
export const beforeOf = (data: string, run: string) => `${data}.before-${run}`;
/** Short, for the path of a socket is limited. */
export const folderOf = (run: string) => `/tmp/pgdba-${run.slice(-16)}`;

/** All that a scratch has left on a node. What is not there counts as removed. */
export async function removeScratch(nodes: Nodes, node: string, data: string, run: string) {
  const scratch = scratchOf(data, run);
  const paths = ["", ".tablespaces", ".parts", ".unfinished"].map((end) => `${scratch}${end}`);
  await nodes.exec(node, ["rm", "-rf", "--", ...paths, folderOf(run)]);
}
