/** The password that the programs of a node log in by: its start script reads it once. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { MONITOR_ACCOUNT } from "../account.ts";
import { RUN, SECRETS } from "./places.ts";

const FILE = `${SECRETS}/${MONITOR_ACCOUNT}`;
const PUT = `umask 077 && cat > "$1.new" && mv "$1.new" "$1"`;

/**
 * Gives a node that was made with another password the one that the role has, and starts it anew where its programs log in by the former. Tells whether anything was done.
 * @throws PgdbaError command_failed | connection_failed | timeout
 */
export async function renewPassword(
  nodes: Nodes,
  node: string,
  password: string,
): Promise<boolean> {
  const kept = await read(nodes, node, FILE);
  if (kept !== password) await put(nodes, node, password);
  const used = await read(nodes, node, `${RUN}/${MONITOR_ACCOUNT}`);
  const isOld = used !== null && used !== password;
  if (isOld) {
    await nodes.stop(node, "fast");
    await nodes.start(node);
  }
  return isOld || kept !== password;
}

/** Null where there is no such file, as before the programs are told what to do. */
async function read(nodes: Nodes, node: string, path: string): Promise<string | null> {
  const { exit_code, stdout } = await nodes.exec(node, ["cat", path], { user: "root" });
  return exit_code === 0 ? stdout.trim() : null;
}

async function put(nodes: Nodes, node: string, password: string): Promise<void> {
  const argv = ["sh", "-c", PUT, "sh", FILE];
  const { exit_code, stderr } = await nodes.exec(node, argv, { user: "root", stdin: password });
  if (exit_code === 0) return;
  throw new PgdbaError("command_failed", `The password can't be put on ${node}: ${stderr.trim()}`, {
    hint: "Look at the node's state (pgdba cluster status) and at its log.",
  });
}
