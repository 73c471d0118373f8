import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type ControlState, readControlState } from "../../postgres/control-state.ts";

/** The facts that pg_controldata would print of a data directory; null where there is no data. */
export async function controlOf(dataDir: string): Promise<ControlState | null> {
  const file = await readFile(join(dataDir, "global/pg_control")).catch(() => null);
  return file && readControlState(file);
}
