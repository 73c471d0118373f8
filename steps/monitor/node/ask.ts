/** What is asked of the programs on a node that monitors, and told to them. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { must } from "../../backup/schedule/node-home.ts";
import { FOLDER, PORT } from "./places.ts";

/** They read their files again; one that does not run yet reads them when it starts. */
const RELOAD = "pkill -HUP -x prometheus; pkill -HUP -x prometheus-aler; true";

export async function reload(nodes: Nodes, node: string): Promise<void> {
  await must(nodes, node, ["sh", "-c", RELOAD]);
}

/** @throws PgdbaError step_refused with what the tool says */
export async function checked(
  nodes: Nodes,
  node: string,
  argv: readonly string[],
  content: string,
): Promise<void> {
  const draft = `${FOLDER}/draft.yml`;
  await nodes.put(node, draft, { content }, { mode: 0o600 });
  const { exit_code, stdout, stderr } = await nodes.exec(node, [...argv, draft]);
  await nodes.exec(node, ["rm", "-f", draft]);
  if (exit_code === 0) return;
  throw new PgdbaError(
    "step_refused",
    `${argv.join(" ")} refuses it: ${(stderr || stdout).trim()}`,
    {
      hint: "Nothing of it was put in force. Correct what it names.",
    },
  );
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
): Promise<JsonObject | null> {
  const { exit_code, stdout } = await nodes.exec(node, CURL(PORT.prometheus, path), {
    maxBytes: 16 << 20,
  });
  return exit_code === 0 ? ((JSON.parse(stdout) as { data: JsonObject }).data ?? null) : null;
}
