/** What is asked of the programs on a node that monitors, and told to them. */
import type { JsonObject } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { must } from "../../backup/schedule/node-home.ts";
import { PORT } from "./places.ts";

/** They read their files again; one that does not run yet reads them when it starts. */
const RELOAD = "pkill -HUP -x prometheus; pkill -HUP -x prometheus-aler; true";

/** What runs of pgdba; it is started again with what it reads then. */
export const END_PGDBA = ["sh", "-c", "pkill -x pgdba; true"];

export async function reload(nodes: Nodes, node: string): Promise<void> {
  await must(nodes, node, ["sh", "-c", RELOAD]);
}

/** Of a file there; null where there is none. */
export async function textOf(nodes: Nodes, node: string, path: string): Promise<string | null> {
  const { exit_code, stdout } = await nodes.exec(node, ["cat", path], { maxBytes: 4 << 20 });
  return exit_code === 0 ? stdout : null;
}

const CURL = (port: number, path: string): string[] => [
  "python3",
  "-c",
  "import sys,urllib.request;print(urllib.request.urlopen(sys.argv[1],timeout=5).read().decode())",
  `http://127.0.0.1:${port}${path}`,
];

/** What stands under `data` of its answer; null where it does not answer. */
export async function askPrometheus(
  nodes: Nodes,
  node: string,
  path: string,
  port = PORT.prometheus,
): Promise<JsonObject | null> {
  const { exit_code, stdout } = await nodes.exec(node, CURL(port, path), {
    maxBytes: 16 << 20,
  });
  return exit_code === 0 ? ((JSON.parse(stdout) as { data: JsonObject }).data ?? null) : null;
}
