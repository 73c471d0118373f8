import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { readTextIfThere } from "../../engine/shared/read-file.ts";
import { writeWhole } from "../../engine/shared/write-file.ts";
import { unknownCluster } from "./folder.ts";
import type { ClusterEntry } from "./read.ts";
import type { ClusterFile } from "./schema.ts";
import { changeCluster, finished } from "./write.ts";

/** On whose behalf an entry is changed; `path` is that of the step. */
export interface By {
  run: string;
  path: string;
}

/** An entry has 64 kB at most. */
const MAX_BYTES = 1024 * 1024;

/**
 * Lays `parts` on an entry, each in the place of what was there; secrets are added to those that there are. What was there is kept for
 * `takeBackRecord` first.
 * @throws PgdbaError no_target | step_refused for an entry that another run is making | as `changeCluster`
 */
export async function recordCluster(
  stateDir: string,
  name: string,
  by: By,
  { parts, isFinished }: { parts: Partial<ClusterFile>; isFinished: boolean },
): Promise<{ entry: ClusterEntry; changed: boolean }> {
  let changed = false;
  const missing = await unknownCluster(stateDir, name);
  const entry = await changeCluster(stateDir, name, async (before) => {
    if (before === undefined) throw missing;
    assertOwn(before, by);
    const laid = laidOn(before.data, parts);
    const after = isFinished ? finished(laid) : laid;
    changed = !Bun.deepEquals(before.data, after);
    if (changed) await keepBefore(stateDir, by, before.data);
    return after;
  });
  return { entry: entry!, changed };
}

/** Puts back what `recordCluster` changed, but for what somebody else has changed since. Says whether there was anything to put back. */
export async function takeBackRecord(
  stateDir: string,
  name: string,
  by: By,
  parts: Partial<ClusterFile>,
): Promise<boolean> {
  const was = readBefore(stateDir, by);
  if (was === undefined) return false;
  await changeCluster(
    stateDir,
    name,
    (before) => {
      if (before === undefined) return undefined;
      const data: Record<string, unknown> = { ...before.data };
      const ours = laidOn(was, parts) as Record<string, unknown>;
      for (const key of [...Object.keys(parts), "partial"]) {
        if (key !== "partial" && !Bun.deepEquals(data[key], ours[key])) continue;
        const old = (was as Record<string, unknown>)[key];
        if (old === undefined) delete data[key];
        else data[key] = old;
      }
      return data as ClusterFile;
    },
    { takesBack: true },
  );
  await forgetBefore(stateDir, by);
  return true;
}

/** Nothing will be put back any more. */
export async function forgetBefore(stateDir: string, by: By): Promise<void> {
  await rm(beforeFile(stateDir, by), { force: true });
}

function laidOn(before: ClusterFile, parts: Partial<ClusterFile>): ClusterFile {
  const secrets = { ...before.secrets, ...parts.secrets };
  return { ...before, ...parts, ...(Object.keys(secrets).length > 0 ? { secrets } : {}) };
}

function assertOwn({ name, partial }: ClusterEntry, { run }: By): void {
  if (partial === null || partial === run) return;
  throw new PgdbaError(
    "step_refused",
    `${name} is being made by run ${partial}, which did not finish`,
    { hint: `Look at it (pgdba runs ${partial}), and go on with it (pgdba resume ${partial}).` },
  );
}

function beforeFile(stateDir: string, { run, path }: By): string {
  const short = createHash("sha256").update(path).digest("hex").slice(0, 16);
  return join(stateDir, "clusters-before", `${run}-${short}.json`);
}

/** The first that is kept counts: an attempt that is made again finds what the last one left. */
async function keepBefore(stateDir: string, by: By, data: ClusterFile): Promise<void> {
  const file = beforeFile(stateDir, by);
  if (readTextIfThere(file, { maxBytes: MAX_BYTES }) !== undefined) return;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeWhole(file, `${JSON.stringify(data)}\n`);
}

function readBefore(stateDir: string, by: By): ClusterFile | undefined {
  const text = readTextIfThere(beforeFile(stateDir, by), { maxBytes: MAX_BYTES });
  return text === undefined ? undefined : (JSON.parse(text) as ClusterFile);
}
