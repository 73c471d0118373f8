import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";

/** The value of the variable `name` for a program on the node. @throws PgdbaError step_failed when it is not set */
export async function variable(nodes: Nodes, node: string, name: string): Promise<string> {
  const { exit_code, stdout } = await nodes.exec(node, ["printenv", name]);
  if (exit_code === 0) return stdout.replace(/\n$/, "");
  throw new PgdbaError("step_failed", `${node} does not tell ${name}`, {
    hint: "The provider of the node must set it for the programs that it runs.",
  });
}

/** A file of the node as text. @throws PgdbaError io_failed */
export async function textOf(nodes: Nodes, node: string, path: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  await nodes.get(node, path, {
    sink: (bytes) => {
      text += decoder.decode(bytes, { stream: true });
    },
  });
  return text + decoder.decode();
}

export async function isThere(nodes: Nodes, node: string, path: string): Promise<boolean> {
  return (await nodes.exec(node, ["test", "-e", path])).exit_code === 0;
}
