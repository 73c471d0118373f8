/** `backup off` that was killed, and what becomes of its settings when it is run again before the dead run is given up. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { ARCHIVE_COMMAND } from "../../../providers/backup/archive.ts";
import { Running } from "../../e2e/support.ts";
import { Crashed, NODE } from "../../support/crashed-cluster.ts";
import { runIn } from "../../support/live.ts";

setDefaultTimeout(300_000);

const KILL_AT = new URL("../../support/kill-at.ts", import.meta.url).pathname;
const it = new Crashed(18);
beforeAll(() => it.begin(), 300_000);
afterAll(() => it.end());
/** What runs have kept to put it back. */
const kept = () => [...new Bun.Glob("archive-before/*").scanSync(it.shop.place.home)];

/** Begins to end the archiving, and dies at this moment. */
async function killed(moment: string, ...more: string[]): Promise<string> {
  const env = { KILL_AT: moment };
  const options = { preload: KILL_AT, env, limitMs: 120_000 };
  const { exit, stderr } = await new Running(
    it.argv("backup", "off", ...more),
    it.shop.place,
    options,
  ).ended();
  if (exit !== 137) throw new Error(`exit ${exit}: ${stderr}`);
  return runIn(stderr)!;
}
const giveUp = async (run: string) => (await it.resume(run, "--give-up")).exit;
/** What stands in postgresql.auto.conf of each server. */
async function written(name: string): Promise<unknown[]> {
  const sql = `select setting from pg_file_settings where name = '${name}' and sourcefile like '%auto.conf'`;
  return Promise.all([NODE, "pg2"].map(async (node) => (await it.shop.ask(node, sql))[0]?.[0]));
}

test("a dead run that is given up does not archive again where a later run has ended the archiving", async () => {
  const dead = await killed("acted command", "--discard");
  await it.well("backup", "off", "--discard");
  expect(await giveUp(dead)).toBe(130);
  expect(await written("archive_command")).toEqual(["/bin/true", "/bin/true"]);
  await it.setup();
});

test.each([[["first", "second"] as const], [["second", "first"] as const]])(
  "of two dead runs that are given up, %j, nothing stays",
  async (order) => {
    const first = await killed("acted command", "--discard");
    const second = await killed("acted command", "--discard");
    const runs = { first, second };
    for (const one of order) expect(await giveUp(runs[one])).toBe(130);
    expect(await written("archive_command")).toEqual([ARCHIVE_COMMAND, ARCHIVE_COMMAND]);
    expect(await written("archive_timeout")).toEqual(["60s", "60s"]);
    expect(kept()).toEqual([]);
  },
);

test("a setting that somebody has written since by hand stays, and the others are put back", async () => {
  const dead = await killed("acted command", "--discard");
  await it.sql("alter system set archive_timeout = '7s'");
  expect(await giveUp(dead)).toBe(130);
  expect(await written("archive_timeout")).toEqual(["7s", "60s"]);
  expect(await written("archive_command")).toEqual([ARCHIVE_COMMAND, ARCHIVE_COMMAND]);
  await it.setup();
});

test("archive_mode that a later run has turned off stays off", async () => {
  const dead = await killed("acted mode", "--restart");
  await it.well("backup", "off", "--restart");
  expect(await giveUp(dead)).toBe(130);
  expect(await written("archive_mode")).toEqual(["off", "off"]);
  expect(await it.sql("show archive_mode")).toBe("off");
});
