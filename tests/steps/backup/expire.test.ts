import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import {
  backupPrefix,
  keyOf,
  markPrefix,
  recordName,
  walName,
} from "../../../providers/repository/layout.ts";
import deleteStep from "../../../steps/backup/delete.ts";
import expire from "../../../steps/backup/expire.ts";
import pin from "../../../steps/backup/pin.ts";
import type { BackupPlace } from "../../../steps/backup/place.ts";
import retention from "../../../steps/backup/retention.ts";
import { sharedServer } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

const DAY = 86_400_000;
let at: Bench;
let place: BackupPlace;

beforeAll(async () => {
  const server = await sharedServer(18);
  at = await bench(server);
  place = await at.place();
}, 300_000);
afterAll(() => at.close());

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const segment = (number: number) =>
  `00000001000000000000${number.toString(16).toUpperCase().padStart(4, "0")}`;
const ids: Record<string, string> = {};

/** A backup that began so many days ago, in the segment 64 less that. */
async function put(
  name: string,
  ago: number,
  more: { parent?: string; verified?: boolean } = {},
): Promise<void> {
  const started = new Date(Date.now() - ago * DAY);
  const type = more.parent === undefined ? "full" : "incremental";
  const id = `${started.toISOString().replace(/[-:]|\.\d+/g, "")}-${type}-${Buffer.from(name).toString("hex").padEnd(6, "0")}`;
  ids[name] = id;
  const number = 64 - ago;
  const record: Partial<BackupRecord> = {
    format: 1,
    id,
    type,
    parent: more.parent === undefined ? null : ids[more.parent]!,
    cluster: { ...place.key, name: "orders" },
    started_at: started.toISOString(),
    finished_at: new Date(started.getTime() + 60_000).toISOString(),
    wal: {
      timeline: 1,
      start_lsn: `0/${(number << 24).toString(16)}`,
      start_segment: segment(number),
      end_timeline: 1,
      end_lsn: `0/${((number << 24) + 100).toString(16)}`,
      end_segment: segment(number),
    },
    parts: [],
    server: {
      version: "18.1",
      block_size: 8192,
      segment_bytes: 16 << 20,
      checksums: true,
      settings: {},
    },
  };
  await place.repository.create(`${backupPrefix(place.key, id)}base.tar.zst`, bytes("data"));
  await place.repository.create(recordName(place.key, id), bytes(record));
  if (more.verified !== false)
    await place.repository.create(
      `${markPrefix(place.key, id)}verified-${id.slice(0, 16)}-r1.json`,
      bytes({}),
    );
}

const names = async (): Promise<string[]> => {
  const all: string[] = [];
  for await (const { name } of place.repository.list(keyOf(place.key))) all.push(name);
  return all;
};
const left = async () =>
  Object.entries(ids)
    .filter(([, id]) => recordsNow.has(recordName(place.key, id)))
    .map(([name]) => name)
    .toSorted();
let recordsNow = new Set<string>();
const look = async () => {
  recordsNow = new Set(await names());
  return left();
};

beforeEach(async () => {
  await place.repository.remove(await names());
  for (const name of Object.keys(ids)) delete ids[name];
  for (let number = 30; number <= 64; number++)
    await place.repository.create(walName(place.key, segment(number)), bytes(`wal ${number}`));
  await put("a", 30);
  await put("b", 20);
  await put("b1", 19, { parent: "b" });
  await put("b2", 18, { parent: "b1" });
  await put("c", 10);
  await put("d", 1);
});

test("what a policy does not keep goes, with its parts, its marks and its WAL; the same again does nothing", async () => {
  const told = await runStep(retention, { keep_full: 2, more_than_half: true }, at.run());
  expect(told.remove).toEqual([ids["a"], ids["b2"], ids["b1"], ids["b"]]);
  expect(told.refused).toMatchObject([]);
  await expect(runStep(expire, { keep_full: 2 }, at.run())).rejects.toMatchObject({
    code: "step_refused",
    hint: expect.stringContaining("--more-than-half"),
  });
  expect(await look()).toEqual(["a", "b", "b1", "b2", "c", "d"]);
  const done = await runStep(expire, { keep_full: 2, more_than_half: true }, at.run());
  expect(done).toMatchObject({ wal: 24, garbage: 0 });
  expect(await look()).toEqual(["c", "d"]);
  const rest = await names();
  for (const name of ["a", "b", "b1", "b2"])
    expect(rest.filter((one) => one.includes(ids[name]!))).toEqual([]);
  expect(rest.filter((one) => one.includes("/wal/")).map((one) => one.slice(-6, -4))[0]).toBe(
    (54).toString(16).toUpperCase(),
  );
  const again = at.run();
  expect(await runStep(expire, { keep_full: 2, more_than_half: true }, again)).toMatchObject({
    remove: [],
    wal: 0,
  });
  expect(again.recorded.unchanged).toBe(1);
});

test("a chain goes and stays as a whole, and a pinned backup keeps its parents and its own WAL", async () => {
  await runStep(pin, { id: ids["b1"]!, pinned: true }, at.run());
  const done = await runStep(expire, { keep_full: 2 }, at.run());
  expect(done.remove).toEqual([ids["a"], ids["b2"]]);
  expect(await look()).toEqual(["b", "b1", "c", "d"]);
  const wal = (await names())
    .filter((one) => one.includes("/wal/"))
    .map((one) => parseInt(one.slice(-6, -4), 16));
  expect(wal).toEqual([44, 45, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64]);
  expect(await runStep(pin, { id: ids["b1"]!, pinned: false }, at.run())).toMatchObject({
    was: true,
  });
  expect((await runStep(retention, { keep_full: 2 }, at.run())).remove).toEqual([
    ids["b1"],
    ids["b"],
  ]);
});

test("a pin is taken back with its run", async () => {
  const ctx = at.run();
  const input = { id: ids["a"]!, pinned: true };
  await runStep(pin, input, ctx);
  await pin.undo!(ctx, input, undefined);
  await pin.undo!(ctx, input, undefined);
  expect((await runStep(retention, { keep_full: 5 }, at.run())).remove).toEqual([]);
  expect((await runStep(retention, { keep_full: 3 }, at.run())).remove).toEqual([ids["a"]]);
});

test("beside a newest backup that is not verified nothing goes", async () => {
  await put("e", 0, { verified: false });
  await expect(
    runStep(expire, { keep_full: 1, more_than_half: true }, at.run()),
  ).rejects.toMatchObject({
    code: "step_refused",
    message: expect.stringContaining("is not verified"),
  });
  expect(await look()).toHaveLength(7);
});

test("a clock that is not the server's removes nothing", async () => {
  const ctx = at.run({
    clock: {
      now: () => new Date(Date.now() + 3_600_000),
      monotonic: () => 0,
      sleep: async () => {},
    },
  });
  await expect(runStep(expire, { keep_full: 1, more_than_half: true }, ctx)).rejects.toMatchObject({
    message: expect.stringContaining("The clock of"),
  });
});

test("a removal that was cut leaves garbage, which the next one takes away once it is old", async () => {
  await place.repository.remove([recordName(place.key, ids["a"]!)]);
  const soon = await runStep(expire, { keep_full: 3 }, at.run());
  expect(soon).toMatchObject({ remove: [], garbage: 0 });
  const later = at.run({
    clock: { now: () => new Date(Date.now() + 3 * DAY), monotonic: () => 0, sleep: async () => {} },
  });
  // Three days later by every clock: the server's is not asked here.
  const down = {
    ...later,
    target: {
      ...later.target,
      facts: async () => ({ ...(await later.target.facts()), state: "down" as const }),
    },
  };
  expect(await runStep(expire, { keep_full: 3 }, down as never)).toMatchObject({ garbage: 2 });
  expect((await names()).filter((name) => name.includes(ids["a"]!))).toEqual([]);
});

test("one backup is removed alone; with children, pinned or the newest good one only when that is said", async () => {
  await expect(runStep(deleteStep, { id: ids["b"]! }, at.run())).rejects.toMatchObject({
    code: "step_refused",
    hint: expect.stringContaining("--children"),
  });
  await expect(runStep(deleteStep, { id: ids["d"]! }, at.run())).rejects.toMatchObject({
    code: "step_refused",
    hint: expect.stringContaining("--newest"),
  });
  await expect(runStep(deleteStep, { id: "../../x" }, at.run())).rejects.toMatchObject({
    code: "invalid_param",
  });
  await runStep(pin, { id: ids["b1"]!, pinned: true }, at.run());
  await expect(
    runStep(deleteStep, { id: ids["b"]!, children: true }, at.run()),
  ).rejects.toMatchObject({ message: expect.stringContaining("pinned") });
  await runStep(pin, { id: ids["b1"]!, pinned: false }, at.run());
  expect(await runStep(deleteStep, { id: ids["b"]!, children: true }, at.run())).toEqual({
    removed: [ids["b2"], ids["b1"], ids["b"]],
  });
  expect(await runStep(deleteStep, { id: ids["d"]!, newest: true }, at.run())).toEqual({
    removed: [ids["d"]],
  });
  expect(await look()).toEqual(["a", "c"]);
});
