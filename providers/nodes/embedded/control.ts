import { readFile } from "node:fs/promises";
import { join } from "node:path";

export interface Control {
  systemIdentifier: string;
  timeline: number;
  /** The state in which the last server here left it. */
  state: string;
}

/** DBState of pg_control.h. */
const STATES = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
];

/** The facts that pg_controldata would print; null where there is no data. The places are the same from PostgreSQL 13 to 18. */
export async function controlOf(dataDir: string): Promise<Control | null> {
  const file = await readFile(join(dataDir, "global/pg_control")).catch(() => null);
  if (file === null || file.length < 64) return null;
  return {
    systemIdentifier: String(file.readBigUInt64LE(0)),
    timeline: file.readUInt32LE(48),
    state: STATES[file.readUInt32LE(16)] ?? "unknown",
  };
}
