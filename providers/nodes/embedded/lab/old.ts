import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { exclusively } from "../../../../engine/shared/exclusive.ts";
import { readTextIfThere } from "../../../../engine/shared/read-file.ts";
import { openBinaries } from "../binaries.ts";
import { isServing, postmaster, runAs } from "../server.ts";
import { ordinaryUser } from "../user.ts";

const MAX_BYTES = 64 * 1024;
const LOCK_MS = 60_000;

/**
 * Stops the lab that an earlier pgdba has left, and with `remove` deletes it. It was no cluster of the provider: `lab/` of the state folder
 * held all that was known of it.
 * @throws PgdbaError command_failed | lock_held
 */
export async function endOldLab(
  stateDir: string,
  remove: boolean,
): Promise<{ stopped: boolean; removed: boolean }> {
  const dir = join(resolve(stateDir), "lab");
  if (readOld(dir) === undefined) return { stopped: false, removed: false };
  // The earlier pgdba may be at it.
  return exclusively(join(dir, "lock"), { what: "the lab", waitMs: LOCK_MS }, async () => {
    const old = readOld(dir);
    if (old === undefined) return { stopped: false, removed: false };
    const data = join(old.base, "data");
    const stopped = await isServing(await postmaster(data), data);
    if (stopped) {
      const user = ordinaryUser();
      const { pg_ctl } = await openBinaries(old.version, user);
      await runAs(user, [pg_ctl, "stop", "--silent", "-m", "fast", "-w", "-t", "30", "-D", data]);
    }
    if (!remove) return { stopped, removed: false };
    await rm(old.base, { recursive: true, force: true });
    await rm(dir, { recursive: true, force: true });
    return { stopped, removed: true };
  });
}

/** Undefined also for a file that is no JSON: with it there is no lab that could be found. */
function readOld(dir: string): { base: string; version: number } | undefined {
  const text = readTextIfThere(join(dir, "lab.json"), { maxBytes: MAX_BYTES });
  if (text === undefined) return undefined;
  try {
    const { base, version } = JSON.parse(text) as { base?: unknown; version?: unknown };
    return typeof base === "string" && typeof version === "number" ? { base, version } : undefined;
  } catch {
    return undefined;
  }
}
