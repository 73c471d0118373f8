import { afterAll, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import add from "../../../../steps/backup/schedule-add.ts";
import remove from "../../../../steps/backup/schedule-remove.ts";
import list from "../../../../steps/backup/schedules.ts";
import { entriesIn, jobOf } from "../../../../steps/backup/schedule/crontab.ts";
import { fakeContext } from "../../../support/context.ts";
import { runStep } from "../support.ts";

const folder = await mkdtemp(join(tmpdir(), "pgdba-cron-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
const table = join(folder, "table");
// Nobody's real crontab is touched: the same words and statuses as cron's own program.
await mkdir(join(folder, "bin"));
await writeFile(
  join(folder, "bin/crontab"),
  `#!/bin/sh
case $1 in
  -l) [ -e "${table}" ] || { echo "no crontab for tester" >&2; exit 1; }; cat "${table}" ;;
  -) [ -e "${table}.locked" ] && { echo "not allowed" >&2; exit 1; }; cat >"${table}" ;;
esac
`,
);
await chmod(join(folder, "bin/crontab"), 0o755);

const ME = "MAILTO=me@example.org\n# mine\n5 4 * * * /usr/bin/true 100\\% # no newline at the end";
const context = (now = "2026-06-10T12:00:00Z") =>
  fakeContext({
    env: { PATH: `${join(folder, "bin")}:${process.env["PATH"]}` },
    clock: { now: () => new Date(now), monotonic: () => 0, sleep: async () => {} },
    run: { stateDir: join(folder, "state") },
    target: { name: "orders", cluster: "orders", flags: ["--cluster", "orders"] },
  });
const INPUT = {
  cron: "0 2 * * *",
  commands: [
    ["backup", "create", "--type", "full"],
    ["backup", "expire", "--keep-full", 3, "--yes"],
  ],
};

test("a schedule stands between marks, other lines stay to the byte, and it goes without a trace", async () => {
  await rm(table, { force: true });
  const made = await runStep(add, INPUT, context());
  expect(made).toMatchObject({ name: "create-orders", cron: "0 2 * * *" });
  await runStep(remove, { name: "create-orders" }, context());
  expect((await readFile(table, "utf8")).trim()).toBe("");

  await writeFile(table, `${ME}\n`);
  await runStep(add, INPUT, context());
  const again = await runStep(add, { ...INPUT, cron: "0 3 * * *" }, context());
  const text = await readFile(table, "utf8");
  expect(text.startsWith(`${ME}\n`)).toBe(true);
  expect(entriesIn(text)).toMatchObject([{ name: "create-orders", entry: { cron: "0 3 * * *" } }]);
  expect(text.split("\n")).toContain(again.line);
  expect(again.line).toContain("backup create --type full --cluster orders --no-input");
  expect(again.line).toMatch(
    /^0 3 \* \* \* export PGDBA_CALLER=schedule .* && \S+pgdba backup expire --keep-full 3 --yes/,
  );
  await runStep(remove, { name: "create-orders" }, context());
  expect(await readFile(table, "utf8")).toBe(`${ME}\n`);
  await expect(runStep(remove, { name: "create-orders" }, context())).rejects.toMatchObject({
    code: "invalid_param",
  });
});

test("it is taken back to what was there", async () => {
  await writeFile(table, ME);
  const first = context();
  await runStep(add, INPUT, first);
  const before = await readFile(table, "utf8");
  const second = context();
  await runStep(add, { ...INPUT, cron: "0 4 * * *" }, second);
  await add.undo!(second, INPUT, undefined);
  await add.undo!(second, INPUT, undefined);
  expect(await readFile(table, "utf8")).toBe(before);
  await add.undo!(first, INPUT, undefined);
  expect((await readFile(table, "utf8")).trim()).toBe(ME.trim());
  // A dead run that is given up takes nothing from a later one, also where that has put the same.
  const dead = context();
  await runStep(add, INPUT, dead);
  await runStep(add, INPUT, context("2026-06-10T12:00:01Z"));
  const kept = await readFile(table, "utf8");
  await add.undo!(dead, INPUT, undefined);
  expect(await readFile(table, "utf8")).toBe(kept);
  expect(dead.recorded.warnings).toEqual([expect.stringContaining("Others have set the schedule")]);
  await runStep(remove, { name: "create-orders" }, context());
  await add.undo!(dead, INPUT, undefined);
  expect((await readFile(table, "utf8")).trim()).toBe(ME.trim());
});

test("a crontab that can't be read or written is left alone", async () => {
  await writeFile(table, ME);
  await writeFile(`${table}.locked`, "");
  await expect(runStep(add, INPUT, context())).rejects.toMatchObject({
    code: "command_failed",
    message: expect.stringContaining("not allowed"),
  });
  await rm(`${table}.locked`);
  expect(await readFile(table, "utf8")).toBe(ME);
  const none = { ...context(), spawn: fakeContext({ env: { PATH: "/nonexistent" } }).spawn };
  await expect(runStep(add, INPUT, none as never)).rejects.toMatchObject({
    code: "unsupported",
    hint: expect.stringContaining("apt-get install cron"),
  });
});

test("a zone whose times this machine's cron can't tell is refused", async () => {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const other = here === "Asia/Tokyo" ? "Asia/Kathmandu" : "Asia/Tokyo";
  await expect(runStep(add, { ...INPUT, timezone: other }, context())).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining(here),
  });
});

test("a run that did not happen is told by its age", async () => {
  await writeFile(table, "");
  await runStep(add, { ...INPUT, timezone: null }, context("2026-06-10T12:00:00Z"));
  const log = join(folder, "state/schedules/create-orders.log");
  const seen = async (now: string) => (await runStep(list, {}, context(now))).schedules[0];
  expect(await seen("2026-06-10T13:00:00Z")).toMatchObject({ due: null, missed: false });
  const due = new Date((await seen("2026-06-12T12:00:00Z")).due);
  expect(await seen(new Date(due.getTime() + 60_000).toISOString())).toMatchObject({
    missed: false,
  });
  expect(await seen(new Date(due.getTime() + 3_600_000).toISOString())).toMatchObject({
    missed: true,
    ran_at: null,
  });
  await writeFile(log, "");
  await utimes(log, new Date(), new Date(due.getTime() + 5_000));
  expect(await seen(new Date(due.getTime() + 3_600_000).toISOString())).toMatchObject({
    missed: false,
  });
});

test("the line does in a shell what it says, whatever stands in its words", async () => {
  const state = join(folder, "a state's 100%");
  await mkdir(join(state, "schedules"), { recursive: true });
  const entry = {
    name: "n",
    cron: "0 2 * * *",
    timezone: "UTC",
    added_at: "",
    commands: [["say", "it's 5%", "$(touch x)"], ["again"]],
  };
  const line = jobOf(entry, { program: ["printf", "%s|"], stateDir: state, path: "/usr/bin:/bin" });
  expect(line).not.toMatch(/(^|[^\\])%/);
  // As cron gives it to the shell.
  const command = line.slice("0 2 * * * ".length).replaceAll("\\%", "%");
  const ran = Bun.spawnSync(["/bin/sh", "-c", command], { cwd: folder });
  expect(ran.exitCode).toBe(0);
  expect(await readFile(join(state, "schedules/n.json"), "utf8")).toBe(
    "say|it's 5%|$(touch x)|again|",
  );
});
