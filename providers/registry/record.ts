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
    // What is still being made is that run's alone.
    return before.partial === null ? markedBy(run, after, parts) : after;
  });
  return { entry: entry!, changed };
}

/** Puts back what `recordCluster` changed, but for what somebody else has changed since, or has recorded as it is. */
export async function takeBackRecord(
  stateDir: string,
  name: string,
  { run, parts }: { run: string; parts: Parts },
  was: Parts,
): Promise<void> {
  const ours = laidOn(was, parts);
  await changeCluster(
    stateDir,
    name,
    (before) => {
      if (before === undefined) return undefined;
      const data = { ...before.data } as Record<string, unknown>;
      for (const key of isOthers(before, was, run) ? [] : keysOf(parts)) {
        if (key !== "partial" && !Bun.deepEquals(data[key], ours[key])) continue;
        if (recordedSince(before.data, key, run) !== null) continue;
        if (was[key] === undefined) delete data[key];
        else data[key] = was[key];
      }
      return unmarked(data as ClusterFile, (_part, by) => by === run);
    },
    { takesBack: true },
  );
}

/** The run that has recorded this part of an entry last; null where none has since it was made. Where it is another than before, somebody works with what is recorded. */
export const recorderOf = (
  { recorded_by = {} }: Pick<ClusterFile, "recorded_by">,
  part: keyof ClusterFile,
): string | null => recorded_by[part] ?? null;

/** The other run that has recorded this part of an entry last; null where none has, or nobody knows. */
export function recordedSince(
  data: Pick<ClusterFile, "recorded_by">,
  part: keyof ClusterFile,
  run: string,
): string | null {
  const by = recorderOf(data, part);
  return by === run ? null : by;
}

/** A cluster that was finished since, and that other runs have worked on: nobody takes it back any more. */
const isOthers = ({ partial, data }: ClusterEntry, was: Parts, run: string): boolean =>
  partial === null &&
  was.partial !== undefined &&
  Object.values(data.recorded_by ?? {}).some((by) => by !== run);

function markedBy(run: string, data: ClusterFile, parts: Parts): ClusterFile {
  const marks = Object.fromEntries(Object.keys(parts).map((part) => [part, run]));
  return { ...data, recorded_by: { ...data.recorded_by, ...marks } };
}

/** Without the marks that are told of. */
export function unmarked(
  { recorded_by = {}, ...data }: ClusterFile,
  isGone: (part: string, run: string) => boolean,
): ClusterFile {
  const left = Object.entries(recorded_by).filter(([part, run]) => !isGone(part, run));
  return left.length === 0 ? data : { ...data, recorded_by: Object.fromEntries(left) };
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
