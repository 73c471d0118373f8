import { PgdbaError } from "../../engine/errors.ts";
import { unknownCluster } from "./folder.ts";
import type { ClusterEntry } from "./read.ts";
import type { ClusterFile } from "./schema.ts";
import { changeCluster, finished } from "./write.ts";

/** Parts of an entry; those that are not there were not there. */
export type Parts = Partial<ClusterFile>;

/**
 * Lays `parts` on an entry, each in the place of what was there; secrets are added to those that there are. `keep` is told what was
 * there before anything is written: `takeBackRecord` asks for it.
 * @throws PgdbaError no_target | step_refused for an entry that another run is making | as `changeCluster`
 */
export async function recordCluster(
  stateDir: string,
  name: string,
  { run, parts, isFinished }: { run: string; parts: Parts; isFinished: boolean },
  keep: (before: Parts) => void,
): Promise<{ entry: ClusterEntry; changed: boolean }> {
  let changed = false;
  const missing = await unknownCluster(stateDir, name);
  const entry = await changeCluster(stateDir, name, (before) => {
    if (before === undefined) throw missing;
    assertOwn(before, run);
    assertProtected(before, parts);
    const laid = laidOn(before.data, parts);
    const after = isFinished ? finished(laid) : laid;
    changed = !Bun.deepEquals(before.data, after);
    if (changed) keep(only(before.data, parts));
    return after;
  });
  return { entry: entry!, changed };
}

/** Puts back what `recordCluster` changed, but for what somebody else has changed since. */
export async function takeBackRecord(
  stateDir: string,
  name: string,
  parts: Parts,
  was: Parts,
): Promise<void> {
  const ours = laidOn(was, parts);
  await changeCluster(
    stateDir,
    name,
    (before) => {
      if (before === undefined) return undefined;
      const data = { ...before.data } as Record<string, unknown>;
      for (const key of keysOf(parts)) {
        if (key !== "partial" && !Bun.deepEquals(data[key], ours[key])) continue;
        if (was[key] === undefined) delete data[key];
        else data[key] = was[key];
      }
      return data as ClusterFile;
    },
    { takesBack: true },
  );
}

/** The keys that a record may change: its parts, and the mark of the run that makes the cluster. */
function keysOf(parts: Parts): (keyof ClusterFile)[] {
  return [...(Object.keys(parts) as (keyof ClusterFile)[]), "partial"];
}

function only(data: ClusterFile, parts: Parts): Parts {
  const keys = keysOf(parts).filter((key) => data[key] !== undefined);
  return Object.fromEntries(keys.map((key) => [key, data[key]]));
}

function laidOn<T extends Parts>(before: T, parts: Parts): T {
  const secrets = { ...before.secrets, ...parts.secrets };
  return { ...before, ...parts, ...(Object.keys(secrets).length > 0 ? { secrets } : {}) };
}

function assertOwn({ name, partial }: ClusterEntry, run: string): void {
  if (partial === null || partial === run) return;
  throw new PgdbaError(
    "step_refused",
    `${name} is being made by run ${partial}, which did not finish`,
    { hint: `Look at it (pgdba runs ${partial}), and go on with it (pgdba resume ${partial}).` },
  );
}

/** What keeps a cluster from harm goes by an act of its own, never as a part of another. @throws PgdbaError step_refused */
function assertProtected({ name, labels }: ClusterEntry, parts: Parts): void {
  if (parts.labels === undefined || !labels.includes("production")) return;
  if (parts.labels.includes("production")) return;
  throw new PgdbaError("step_refused", `This would take the label production from ${name}`, {
    hint: `Take it away by itself first: pgdba cluster label --cluster ${name} --remove production --unprotect=${name}.`,
  });
}
