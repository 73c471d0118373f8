/** Files of a node that monitors, all of them at once: each program that is started there takes its time on a busy machine. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { ALERTMANAGER_FILE } from "./prometheus.ts";
import { RULES } from "./places.ts";
import script from "./put_files.py" with { type: "text" };

/** The tool that judges a file, or null. */
function checkOf(path: string): string[] | null {
  if (path.startsWith(`${RULES}/`)) return ["promtool", "check", "rules"];
  return path === ALERTMANAGER_FILE ? ["amtool", "check-config"] : null;
}

interface Wanted {
  path: string;
  content: string;
  check: string[] | null;
  was?: string;
}

/**
 * Puts those that are other than what is there, once all of them are known to be right. Gives their paths.
 * @throws PgdbaError step_refused with what the tool says: nothing is put then | command_failed
 */
export async function putFiles(
  nodes: Nodes,
  node: string,
  files: ReadonlyMap<string, string>,
): Promise<string[]> {
  const wanted = [...files].map(([path, content]) => ({ path, content, check: checkOf(path) }));
  return (await put(nodes, node, wanted)) ?? [];
}

/**
 * Puts one that is made of what was there before ("" where there was none, and where it is to go). Tells whether it did: not where somebody else has changed it meanwhile.
 * @throws PgdbaError as `putFiles` does
 */
export async function putOver(
  nodes: Nodes,
  node: string,
  path: string,
  { was, content }: { was: string; content: string },
): Promise<boolean> {
  return (await put(nodes, node, [{ path, content, check: checkOf(path), was }])) !== null;
}

/** Null where somebody else has changed one. */
async function put(
  nodes: Nodes,
  node: string,
  wanted: readonly Wanted[],
): Promise<string[] | null> {
  const { exit_code, stdout, stderr } = await nodes.exec(node, ["python3", "-I", "-c", script], {
    stdin: JSON.stringify(wanted),
  });
  if (exit_code !== 0)
    throw new PgdbaError("command_failed", `No files can be put on ${node}: ${stderr.trim()}`, {
      hint: "Look at the node's state (pgdba cluster status) and at its log.",
    });
  const told = JSON.parse(stdout) as {
    put?: string[];
    refused?: { check: string; said: string };
    other?: string[];
  };
  if (told.other !== undefined) return null;
  if (told.refused === undefined) return told.put ?? [];
  throw new PgdbaError("step_refused", `${told.refused.check} refuses it: ${told.refused.said}`, {
    hint: "Nothing of it was put in force. Correct what it names.",
  });
}
