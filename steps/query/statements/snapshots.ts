import { createHash } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, readBytes } from "../../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../../engine/shared/write-file.ts";
import { surplus } from "../../snapshots.ts";
import { COUNTED, type Counters } from "./counters.ts";

/** Snapshots of one history; the past is thinned out, the more the longer ago. */
const MOST = 50;
/** No snapshot of ours is as large. */
const MAX_BYTES = 4 * 1024 * 1024;
/** `statements-20260222T100000000Z-` and whose history it is (see `keyOf`). */
const NAME = /^statements-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{12})\.json$/;
const HINT = "Look at the state folder (PGDBA_HOME) and its file system.";

interface Found {
  file: string;
  /** ms since 1970 */
  time: number;
}

/** The key of one history: members of a cluster share the folder and count for themselves, and roles see different statements. */
function keyOf({ node, role }: Counters): string {
  return createHash("sha256").update(`${node}\n${role}`).digest("hex").slice(0, 12);
}

/** Keeps a snapshot, 0600, and removes those there is no room for. @returns the file @throws PgdbaError io_failed */
export async function keep(folder: string, counters: Counters): Promise<string> {
  const name = `statements-${counters.taken_at.replaceAll(/[-:.]/g, "")}-${keyOf(counters)}.json`;
  const file = join(folder, name);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fileError(folder, error, HINT);
  }
  await writeWhole(file, JSON.stringify(counters), { hint: HINT });
  const all = await history(folder, counters);
  const old = surplus(
    all.map(({ time }) => time),
    MOST,
  );
  for (const at of old) await rm(all[at]?.file ?? "", { force: true });
  return file;
}

/**
 * The newest earlier snapshot of the same history that is not younger than `wanted` (ms since 1970; without it the newest at all);
 * the oldest one when all are younger, and null when there is none. `unreadable` are files that were passed over.
 * @throws PgdbaError io_failed
 */
export async function earlier(
  folder: string,
  now: Counters,
  wanted: number | null,
): Promise<{ before: Counters | null; unreadable: string[] }> {
  const taken = Date.parse(now.taken_at);
  const all = (await history(folder, now)).filter(({ time }) => time < taken);
  const old = all.filter(({ time }) => wanted === null || time <= wanted);
  const young = all.slice(old.length);
  const unreadable: string[] = [];
  for (const { file } of [...old.toReversed(), ...young]) {
    const before = read(file);
    if (before !== null) return { before, unreadable };
    unreadable.push(file);
  }
  return { before: null, unreadable };
}

/** Oldest first. */
async function history(folder: string, counters: Counters): Promise<Found[]> {
  const key = keyOf(counters);
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(folder, error, HINT);
  }
  return names.toSorted().flatMap((name) => {
    const [, y, mo, d, h, mi, s, ms, whose] = NAME.exec(name) ?? [];
    if (whose !== key) return [];
    return [
      { file: join(folder, name), time: Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}.${ms}Z`) },
    ];
  });
}

/** Null when it is no snapshot, or another run has thinned it out in between. */
function read(file: string): Counters | null {
  try {
    const bytes = readBytes(file, { maxBytes: MAX_BYTES });
    const value = JSON.parse(bytes.toString("utf8")) as Counters;
    const whole =
      value.format === 1 &&
      !Number.isNaN(Date.parse(value.taken_at)) &&
      Object.values(value.entries).every(
        (entry) => entry.length === COUNTED.length && entry.every(Number.isFinite),
      );
    return whole ? value : null;
  } catch {
    return null;
  }
}
