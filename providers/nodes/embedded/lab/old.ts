import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { exclusively } from "../../../../engine/shared/exclusive.ts";
import { readTextIfThere } from "../../../../engine/shared/read-file.ts";
import { BUNDLED_VERSION, openBinaries } from "../binaries.ts";
import { isServing, postmaster, runAs } from "../server.ts";
import { oldRecord } from "./found.ts";
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
  const file = oldRecord(stateDir);
  const dir = dirname(file);
  if (readOld(file) === undefined) return { stopped: false, removed: false };
  // The earlier pgdba may be at it.
  return exclusively(join(dir, "lock"), { what: "the lab", waitMs: LOCK_MS }, async () => {
    const old = readOld(file);
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

/** Undefined when there is none. Of a record that can't be read, its server is where it mostly was. */
function readOld(file: string): { base: string; version: number } | undefined {
  const text = readTextIfThere(file, { maxBytes: MAX_BYTES });
  if (text === undefined) return undefined;
  const usual = { base: join(dirname(file), "server"), version: BUNDLED_VERSION };
  try {
    const { base, version } = JSON.parse(text) as { base?: unknown; version?: unknown };
    return typeof base === "string" && typeof version === "number" ? { base, version } : usual;
  } catch {
    return usual;
  }
}
