/** Segments that are fetched ahead: what `wal get` gives is what the repository would give, whatever lies on the disk. */
import { afterAll, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BROKEN, MISSING, worker } from "../../../providers/backup/front.ts";
import { historyFile, segmentFile } from "../../../providers/backup/segments.ts";
import { settingsFile } from "../../../providers/backup/settings.ts";
import { removeAhead } from "../../../providers/backup/wal/ahead.ts";
import { AHEAD, nameOf, takeAhead } from "../../../providers/backup/wal/ask-ahead.ts";
import { compressed } from "../../../providers/backup/wal/zstd.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import { type ClusterKey, walName } from "../../../providers/repository/layout.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { emptySegment, KEY } from "./empty-segment.ts";

setDefaultTimeout(300_000);
const MB = 1 << 20;
const base = mkdtempSync(join(tmpdir(), "pgdba-ahead-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
/** Small file systems can be mounted here. */
const mounts = (() => {
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", base]);
  if (exitCode === 0) Bun.spawnSync(["umount", base]);
  return exitCode === 0;
})();

let data: string;
let place: { kind: "directory"; path: string };
let repository: Repository;
let number = 0;
/** Those that `wal get` has started, in this process, and how to end them. */
let begun: Promise<number>[] = [];
let stop = new AbortController();

beforeEach(async () => {
  stop.abort();
  await Promise.all(begun);
  stop = new AbortController();
  begun = [];
  data = join(base, `data${++number}`);
  place = { kind: "directory", path: join(base, `repository${number}`) };
  mkdirSync(join(data, "pg_wal"), { recursive: true });
  await makeRepository(place);
  repository = await openRepository(place);
  setup();
});

function setup(key: ClusterKey = KEY): void {
  mkdirSync(`${data}.pgdba`, { recursive: true });
  writeFileSync(settingsFile(data), JSON.stringify({ place, write: key, read: [key] }));
}

const name = (at: number, timeline = 1) => segmentFile({ timeline, number: BigInt(at) }, MB);
/** Each life of a cluster writes something else. */
function segment(at: number, timeline = 1, life = 0): Buffer {
  const bytes = emptySegment(at, MB);
  bytes.writeUInt32LE(timeline, 4);
  bytes.writeUInt32LE(life * 1000 + at, MB - 100);
  return bytes;
}

async function archive(first: number, last: number, { timeline = 1, key = KEY, life = 0 } = {}) {
  for (let at = first; at <= last; at++)
    await repository.create(
      walName(key, name(at, timeline)),
      await compressed(segment(at, timeline, life)),
    );
}

async function wal(...argv: string[]): Promise<number> {
  return worker(["wal", ...argv], {
    cwd: data,
    env: {},
    signal: stop.signal,
    stdin: async function* () {},
    stdout: async () => {},
    stderr: async () => {},
    begin: (words) => void begun.push(wal(...words.slice(1))),
  });
}

const get = (at: number, timeline = 1) => wal("get", "--patience", "0", name(at, timeline), TO);
const TO = "pg_wal/RECOVERYXLOG";
const came = () => readFileSync(join(data, TO));
const spool = () => join(data, "pg_wal", AHEAD);
const lying = () =>
  existsSync(spool()) ? readdirSync(spool()).filter((one) => one !== "socket") : [];

const isWhole = (one: string): boolean => statSync(join(spool(), one)).size === MB;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(5);
}

test("segments come in their order, those that were fetched ahead without the repository", async () => {
  await archive(1, 30);
  expect(await get(1)).toBe(0);
  expect(begun.length).toBe(1);
  for (let at = 2; at <= 5; at++) {
    await until(() => lying().includes(name(at)));
    expect(await get(at)).toBe(0);
    expect(came().equals(segment(at))).toBe(true);
  }
  await until(() => lying().filter(isWhole).length === 8);
  renameSync(place.path, `${place.path}-away`);
  for (let at = 6; at <= 13; at++) {
    expect(await get(at)).toBe(0);
    expect(came().equals(segment(at))).toBe(true);
  }
  // A repository that is away is not a missing segment.
  expect(await get(14)).toBe(BROKEN);
  renameSync(`${place.path}-away`, place.path);
  for (let at = 14; at <= 30; at++) {
    expect(await get(at)).toBe(0);
    expect(came().equals(segment(at))).toBe(true);
    expect(lying().length).toBeLessThanOrEqual(8);
  }
});

test("at the end of the archive it says so, ends, and finds what is archived later", async () => {
  await archive(1, 3);
  for (let at = 1; at <= 3; at++) expect(await get(at)).toBe(0);
  expect(await get(4)).toBe(MISSING);
  await Promise.all(begun);
  expect(existsSync(spool())).toBe(false);
  await archive(4, 5);
  expect(await get(4)).toBe(0);
  expect(await get(5)).toBe(0);
  expect(came().equals(segment(5))).toBe(true);
});

test("another timeline has its own segments, and history files are asked of the repository alone", async () => {
  await archive(1, 8);
  await archive(3, 6, { timeline: 2, life: 2 });
  await repository.create(
    `${KEY.system_identifier}/${KEY.version}/${KEY.cluster_id}/history/${historyFile(2)}`,
    new TextEncoder().encode("1\t0/300000\tno recovery target\n"),
  );
  expect(await get(1)).toBe(0);
  await until(() => lying().includes(name(2)));
  expect(await get(2)).toBe(0);
  await until(() => lying().includes(name(3)));
  expect(await get(3, 2)).toBe(0);
  expect(came().equals(segment(3, 2, 2))).toBe(true);
  await until(() => lying().includes(name(4, 2)));
  // What was fetched of the timeline before is not kept.
  expect(lying().filter((one) => one.startsWith("00000001"))).toEqual([]);
  expect(await get(4, 2)).toBe(0);
  expect(came().equals(segment(4, 2, 2))).toBe(true);
  expect(await wal("get", historyFile(2), "pg_wal/RECOVERYHISTORY")).toBe(0);
  expect(await wal("get", historyFile(3), "pg_wal/RECOVERYHISTORY")).toBe(MISSING);
  expect(await get(7, 2)).toBe(MISSING);
  expect(await wal("get", `${name(3)}.partial`, TO)).toBe(MISSING);
});

test("what lies on the disk of a process that is gone is never given, and is removed", async () => {
  await archive(1, 4);
  mkdirSync(spool());
  for (let at = 1; at <= 4; at++)
    writeFileSync(join(spool(), name(at)), segment(at, 1, 7).subarray(0, MB - (at % 2)));
  const dead = Bun.listen({ unix: join(spool(), "socket"), socket: { data() {} } });
  dead.stop(true);
  for (let at = 1; at <= 4; at++) {
    expect(await get(at)).toBe(0);
    expect(came().equals(segment(at))).toBe(true);
  }
});

test("what a process that is gone has left is removed by the first question, also where the archive has nothing more", async () => {
  mkdirSync(spool());
  writeFileSync(join(spool(), name(2)), segment(2));
  // A socket that nobody listens at is what a killed one leaves; one that stops listening takes it along.
  const bound = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
  Bun.spawnSync(["python3", "-c", bound, join(spool(), "socket")]);
  expect(readdirSync(spool()).toSorted()).toEqual([name(2), "socket"]);
  expect(await get(2)).toBe(MISSING);
  expect(existsSync(spool())).toBe(false);
});

test("a process that was killed with its segments half written leads to nothing wrong", async () => {
  await archive(1, 20);
  const child = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "../../../engine/main.ts"),
      "wal",
      "ahead",
      "--settings",
      settingsFile(data),
      name(1),
      String(MB),
      join(data, "pg_wal"),
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  await until(() => lying().includes(name(2)));
  expect(await get(2)).toBe(0);
  await until(() => lying().length > 0);
  child.kill("SIGKILL");
  await child.exited;
  for (const one of lying()) writeFileSync(join(spool(), one), "half");
  for (let at = 3; at <= 20; at++) {
    expect(await get(at)).toBe(0);
    expect(came().equals(segment(at))).toBe(true);
  }
  expect(begun.length).toBeGreaterThan(0);
});

test("one that stands still is given up, and ends when it goes on", async () => {
  await archive(1, 3);
  mkdirSync(spool());
  writeFileSync(join(spool(), name(2)), segment(2, 1, 7));
  using _mute = Bun.listen({ unix: join(spool(), "socket"), socket: { data() {} } });
  const settings = JSON.parse(readFileSync(settingsFile(data), "utf8"));
  expect(await takeAhead(name(2), join(data, TO), settings, 50)).toBe("alone");
  expect(existsSync(spool())).toBe(false);
  expect(existsSync(join(data, TO))).toBe(false);
});

test("settings that lead to another cluster never get what was fetched by those of before", async () => {
  const other = { ...KEY, cluster_id: "copy" };
  await archive(1, 9);
  await archive(1, 3, { key: other, life: 5 });
  expect(await get(1)).toBe(0);
  await until(() => lying().includes(name(2)));
  setup(other);
  expect(await get(2)).toBe(0);
  expect(came().equals(segment(2, 1, 5))).toBe(true);
  await begun[0];
  expect(await get(3)).toBe(0);
  expect(came().equals(segment(3, 1, 5))).toBe(true);
  expect(await get(4)).toBe(MISSING);
});

test("a damaged segment is told when it is asked for, and not before", async () => {
  await archive(1, 5);
  const path = join(place.path, walName(KEY, name(3)));
  writeFileSync(path, readFileSync(path).subarray(0, 60));
  expect(await get(1)).toBe(0);
  await until(() => lying().includes(name(2)));
  expect(await get(2)).toBe(0);
  expect(await get(3)).toBe(BROKEN);
  expect(lying()).not.toContain(name(3));
});

test("two that begin at once are one, and only segments that a server restores are followed", async () => {
  await archive(1, 4);
  await wal("get", name(1), "pg_wal/elsewhere");
  expect(begun.length).toBe(0);
  const two = [1, 2].map(() =>
    wal("ahead", "--settings", settingsFile(data), name(1), String(MB), join(data, "pg_wal")),
  );
  expect(await Promise.race(two)).toBe(0);
  await until(() => lying().includes(name(2)));
  expect(readdirSync(join(data, "pg_wal")).filter((one) => one.startsWith(AHEAD))).toEqual([AHEAD]);
  expect(await get(2)).toBe(0);
  expect(begun.length).toBe(0);
  await removeAhead(join(data, "pg_wal"));
  await Promise.all(two);
});

test("a deep folder has a socket, too", async () => {
  data = join(base, "deep".repeat(20), "er".repeat(30));
  mkdirSync(join(data, "pg_wal"), { recursive: true });
  setup();
  await archive(1, 3);
  expect(await get(1)).toBe(0);
  await until(() => lying().some(isWhole));
  rmSync(join(place.path, walName(KEY, name(2))));
  expect(await get(2)).toBe(0);
  expect(came().equals(segment(2))).toBe(true);
});

test.skipIf(!mounts)("a small disk is not filled", async () => {
  const path = join(data, "pg_wal");
  Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path]);
  try {
    await archive(1, 12);
    for (let at = 1; at <= 12; at++) {
      expect(await get(at)).toBe(0);
      expect(came().equals(segment(at))).toBe(true);
    }
    stop.abort();
    await Promise.all(begun);
    expect(readdirSync(path)).toEqual(["RECOVERYXLOG"]);
  } finally {
    Bun.spawnSync(["umount", path]);
  }
});

test("both sides know each other by what they read", () => {
  const settings = { place, write: KEY, read: [KEY] };
  expect(nameOf(settings)).toBe(nameOf(structuredClone(settings)));
  const until = { timeline: 1, lsn: "0/1", file: name(1) };
  expect(nameOf({ ...settings, read: [{ ...KEY, until }] })).not.toBe(nameOf(settings));
});
