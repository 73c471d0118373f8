import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { errnoOf, readIfThere } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import { digest, surplus } from "../../snapshots.ts";
import type { Counters } from "../collect/shape.ts";

/** A report's figures as they lie in the state folder. */
export interface Kept {
  format: 1;
  counters: Counters;
  summary: { critical: number; warning: number; info: number };
  /** `severity check object` of each finding. */
  findings: [severity: string, check: string, object: string | null][];
}

const HINT =
  "Look at the state folder (PGDBA_HOME) and its file system, or run with --no-snapshot.";
const FORMAT = 1;
/** No snapshot of ours is as large; what is, was not written by us. */
const MAX_BYTES = 8 * 1024 * 1024;
/** Parts that snapshots did not have from the beginning. */
const WITHOUT_OIDS = {
  newest_oid: null,
  database_oids: {},
  relation_oids: {},
  relations_complete: false,
};
/** A name of the file and of nothing else: when it was taken, and what of (see `keyOf`). */
const NAME = /^(\d{8}T\d{9}Z)-([0-9a-f]{12})\.json$/;

/** The key of one history: a node as it is reached over the network, or locally however, and the database that relations were read from. */
function keyOf({ node, database }: Counters): string {
  return digest(`${node.replace(/^(127\.\d+\.\d+\.\d+|::1):/, "local:")}\n${database}`);
}

/** The time in the name of a file, made anew from what the server says: nothing else of it gets into a path. */
function stampOf({ taken_at }: Counters): string {
  const time = new Date(taken_at);
  if (Number.isNaN(time.getTime())) {
    throw new PgdbaError("step_failed", `The server gave no time: ${taken_at.slice(0, 40)}`, {
      hint: "Is this a PostgreSQL server? Look at what is listening there.",
    });
  }
  return time.toISOString().replaceAll(/[-:.]/g, "");
}

/**
 * Earlier snapshots of the same node and database, oldest first. `unreadable` are files that are none.
 * @throws PgdbaError io_failed
 */
export async function readHistory(
  folder: string,
  now: Counters,
): Promise<{ kept: Kept[]; unreadable: string[] }> {
  const kept: Kept[] = [];
  const unreadable: string[] = [];
  for (const name of await names(folder, keyOf(now))) {
    const file = join(folder, name);
    try {
      const bytes = readIfThere(file, { maxBytes: MAX_BYTES });
      // Another report may have thinned it out in between.
      if (bytes === undefined) continue;
      const found = parse(bytes);
      if (found === null) unreadable.push(file);
      else if (found.counters.taken_at < now.taken_at) kept.push(found);
    } catch {
      unreadable.push(file);
    }
  }
  return { kept, unreadable };
}

/** Keeps a snapshot, 0600, and removes those that `keep` leaves no room for. @returns the file @throws PgdbaError io_failed */
export async function keep(folder: string, snapshot: Kept, most: number): Promise<string> {
  const { counters } = snapshot;
  const name = `${stampOf(counters)}-${keyOf(counters)}.json`;
  const file = join(folder, name);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeWhole(file, JSON.stringify(snapshot), { hint: HINT });
    const all = await names(folder, keyOf(counters));
    for (const old of surplus(all.map(timeOf), most))
      await rm(join(folder, all[old] ?? ""), { force: true });
  } catch (error) {
    throw fileError(file, error, HINT);
  }
  return file;
}

async function names(folder: string, key: string): Promise<string[]> {
  try {
    const all = await readdir(folder);
    return all.filter((name) => NAME.exec(name)?.[2] === key).toSorted();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(folder, error, HINT);
  }
}

function timeOf(name: string): number {
  const [, y, mo, d, h, mi, s, ms] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(name) ?? [];
  return Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}.${ms}Z`);
}

function parse(bytes: Buffer): Kept | null {
  try {
    const value = JSON.parse(bytes.toString("utf8")) as Kept;
    const { counters, summary, findings } = value;
    const whole =
      value.format === FORMAT &&
      typeof counters.taken_at === "string" &&
      typeof counters.databases === "object" &&
      typeof counters.relations === "object" &&
      typeof summary === "object" &&
      Array.isArray(findings);
    return whole ? { ...value, counters: { ...WITHOUT_OIDS, ...counters } } : null;
  } catch {
    return null;
  }
}
