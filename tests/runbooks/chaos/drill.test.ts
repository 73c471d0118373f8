/** Drills on a cluster of plain processes, in the order in which they leave it to one another. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { at, cli, removePlaces, type Ran, Running } from "../../e2e/support.ts";
import { LIMIT_MS, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const TARGET = ["--cluster", "shop", "--format", "json"];
const MEANT = ["--yes", "--i-know-what-i-am-doing", "--without-backup=shop"];
const QUICK = [
  "--steady",
  "1s",
  "--hold",
  "1s",
  "--restored",
  "1m",
  "--min-free-percent",
  "0",
  "--least",
  "100",
];

const pgdba = (...argv: string[]): Promise<Ran> =>
  cli([...argv, ...TARGET, "--full"], shop.place, { limitMs: LIMIT_MS });
const drill = (name: string, ...argv: string[]): Promise<Ran> =>
  pgdba("chaos", name, ...MEANT, ...QUICK, ...argv);
const running = async (node: string) => (await (await shop.nodes()).state(node)).running;

beforeAll(async () => {
  expect((await shop.create()).exit).toBe(0);
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

test("only what a person has labelled test is broken, and only on purpose", async () => {
  const bare = await pgdba("chaos", "kill-node", "--host", "pg2", "--yes");
  expect([bare.exit, bare.envelope.error?.code]).toEqual([3, "gate_refused"]);
  const unlabelled = await drill("kill-node", "--host", "pg2", "--how", "node");
  expect(unlabelled.envelope.error?.message).toContain("not labelled test");
  expect(await running("pg2")).toBe("running");
  expect((await pgdba("cluster", "label", "--add", "test")).exit).toBe(0);
});

test("what this place can't do is refused with the reason, before anything is broken, and told as skipped", async () => {
  const ran = await drill("kill-node", "--host", "pg2", "--how", "power");
  expect(ran.envelope.error).toMatchObject({ code: "unsupported" });
  expect(ran.envelope.error?.message).toContain("a process has no plug");
  const junit = join(shop.place.root, "drills.xml");
  const told = await pgdba("chaos", "report", "--junit", junit);
  expect(at(told.envelope.data, "drills")).toMatchObject([
    { verdict: "skipped", skipped: expect.stringContaining("a process has no plug"), lost: 0 },
  ]);
  // What was written was compared first, and is gone now.
  expect(await shop.ask("pg1", "SELECT 1 FROM pg_namespace WHERE nspname = 'pgdba_chaos'")).toEqual(
    [],
  );
  expect(readFileSync(junit, "utf8")).toMatch(/<skipped message="[^"]*a process has no plug/);
  expect(await running("pg2")).toBe("running");
  expect(await (await shop.nodes()).armed()).toEqual([]);
});

test("a standby is killed; the leader goes on, and the standby comes back by its own healer", async () => {
  const ran = await drill("kill-node", "--host", "pg2", "--how", "node");
  expect(ran.envelope).toMatchObject({
    success: true,
    data: {
      verdict: "valid",
      fault: { node: "pg2", took: true },
      leader_before: "pg1",
      leader_after: "pg1",
      most_writable: 1,
      lost: 0,
      duplicate: 0,
      dirty: 0,
    },
  });
  expect(await running("pg2")).toBe("running");
  expect(await (await shop.nodes()).armed()).toEqual([]);
});

test("an injector that does nothing gives unknown, and fails", async () => {
  const ran = await drill("drill");
  expect(ran.exit).not.toBe(0);
  expect(ran.envelope).toMatchObject({ data: { verdict: "unknown" } });
  expect(ran.envelope.error?.message).toContain("this drill breaks nothing");
});

test("a cluster that is not whole is not broken further", async () => {
  await (await shop.nodes()).kill("pg3", "node");
  const argv = ["--host", "pg2", "--how", "node", "--whole-within", "1s"];
  const ran = await drill("kill-node", ...argv);
  expect(ran.envelope.error?.message).toContain("was not whole within");
  expect(ran.envelope.error?.message).toContain("pg3");
  expect(await running("pg2")).toBe("running");
  await (await shop.nodes()).start("pg3");
});

test("where a fault is in force, nothing else is broken", async () => {
  const nodes = await shop.nodes();
  await nodes.arm({ thaw: "pg3" }, { id: "freeze-other", afterMs: 600_000 });
  const ran = await drill("kill-node", "--host", "pg2", "--how", "node");
  expect(ran.envelope.error?.message).toContain("A fault is in force already: freeze-other on pg3");
  expect((await pgdba("chaos", "heal", "--run", "somebody")).exit).toBe(0);
  expect(await nodes.armed()).toEqual([]);
});

test("a healer that was switched off is found by whoever looks next, and what it would have healed is taken back", async () => {
  const nodes = await shop.nodes();
  const id = `freeze-${crypto.randomUUID()}`;
  await nodes.arm({ thaw: "pg3" }, { id, afterMs: 600_000 });
  await nodes.freeze("pg3");
  expect(healersOf(id).length).toBeGreaterThan(0);
  for (const pid of healersOf(id)) process.kill(pid, "SIGKILL");
  const [armed] = await until(
    () => nodes.armed(),
    ([one]) => one?.state === "lost",
  );
  expect(armed).toMatchObject({ id, node: "pg3", why: "its healer is not there any more" });
  expect(await running("pg3")).toBe("frozen");
  const health = await pgdba("health", "check");
  expect(at(health.envelope.data, "faults")).toMatchObject({
    lasting: 1,
    faults: [{ id, node: "pg3", state: "lost" }],
  });
  const status = await pgdba("cluster", "status");
  expect(JSON.stringify(at(status.envelope.data, "findings"))).toContain("fault-lost");
  const refused = await drill("kill-node", "--host", "pg2", "--how", "node");
  expect(refused.envelope.error?.message).toContain(`${id} on pg3 (lost)`);
  const healed = await pgdba("chaos", "heal", "--all");
  expect(healed.envelope).toMatchObject({ success: true, data: { healed: [{ id, node: "pg3" }] } });
  expect(await running("pg3")).toBe("running");
  expect(await nodes.armed()).toEqual([]);
});

/** The processes of a healer bear its folder, whose name begins with the id. */
function healersOf(id: string): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
      return environment.includes(`/.armed/${id}~`) ? [Number(pid)] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

test("after kill -9 of pgdba the fault ends by its deadline, and whoever comes next is told", async () => {
  const argv = ["chaos", "kill-node", ...MEANT, "--host", "pg2", "--how", "freeze"];
  const times = [
    "--steady",
    "1s",
    "--for",
    "8s",
    "--hold",
    "7s",
    "--min-free-percent",
    "0",
    "--least",
    "100",
  ];
  const child = new Running([...argv, ...times, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  child.signal("SIGKILL");
  await child.ended();
  const id = /run (\S+)/.exec(child.stderr)![1]!;
  const [armed] = await (await shop.nodes()).armed();
  expect(armed).toMatchObject({ node: "pg2", state: "armed", labels: { run: id } });
  expect(await running("pg2")).toBe("frozen");
  await until(
    () => running("pg2"),
    (state) => state === "running",
  );
  // Whoever looks may be late on a busy machine.
  expect(Date.now()).toBeLessThan(Date.parse(armed!.deadline) + 10_000);
  const health = await pgdba("health", "check");
  expect(at(health.envelope.data, "faults")).toMatchObject({
    lasting: 0,
    faults: [{ node: "pg2", run: id, state: "healed" }],
  });
  const status = await pgdba("cluster", "status");
  expect(JSON.stringify(at(status.envelope.data, "findings"))).toContain("fault-healed");
  const healed = await pgdba("chaos", "heal", "--all");
  expect(healed.envelope).toMatchObject({ success: true, data: { healed: [{ node: "pg2" }] } });
  expect(await (await shop.nodes()).armed()).toEqual([]);
  const resumed = await cli(["resume", id, "--format", "json"], shop.place, { limitMs: LIMIT_MS });
  expect([resumed.exit, at(resumed.envelope.data, "verdict")]).toEqual([1, "unknown"]);
  expect(resumed.envelope.error?.message).toContain("pgdba ended while the load ran");
  expect(resumed.envelope.error?.message).not.toContain("It does not hold");
});

test("a fault that somebody has taken back before the drill did proves nothing", async () => {
  const argv = ["chaos", "kill-node", ...MEANT, "--host", "pg2", "--how", "node"];
  const times = QUICK.map((word, n) => (QUICK[n - 1] === "--hold" ? "20s" : word));
  const child = new Running([...argv, ...times, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  expect((await pgdba("chaos", "heal", "--all")).exit).toBe(0);
  const ran = await child.done();
  expect([ran.exit, at(ran.envelope.data, "verdict")]).toEqual([1, "unknown"]);
  expect(ran.envelope.error?.message).toContain("somebody had taken it back");
});

test("a fault that was gone before the drill took it back proves nothing, though its healer waits still", async () => {
  const argv = ["chaos", "slow-replica", ...MEANT, "--host", "pg2", "--how", "receiver"];
  const times = QUICK.map((word, n) => (QUICK[n - 1] === "--hold" ? "10s" : word));
  const child = new Running([...argv, ...times, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  const [row] = await shop.ask("pg2", "SELECT pid FROM pg_stat_wal_receiver");
  process.kill(Number(row![0]), "SIGCONT");
  const ran = await child.done();
  expect([ran.exit, at(ran.envelope.data, "verdict")]).toEqual([1, "unknown"]);
  expect(ran.envelope.error?.message).toContain("lasted until the drill took it back");
});

test("replay stands still also when somebody resumes a paused one, as Patroni does in each of its loops", async () => {
  const argv = ["chaos", "slow-replica", ...MEANT, "--host", "pg2", "--how", "replay"];
  const times = QUICK.map((word, n) => (QUICK[n - 1] === "--hold" ? "3s" : word));
  const child = new Running([...argv, ...times, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  await shop.ask("pg2", "SELECT pg_wal_replay_resume()");
  const ran = await child.done();
  expect([ran.exit, at(ran.envelope.data, "verdict")]).toEqual([0, "valid"]);
});

test("a drill whose pgdba died before the fault breaks nothing when it is resumed", async () => {
  const argv = ["chaos", "kill-node", ...MEANT, "--host", "pg2", "--how", "node"];
  const child = new Running([...argv, ...QUICK, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start moment");
  child.signal("SIGKILL");
  await child.ended();
  const id = /run (\S+)/.exec(child.stderr)![1]!;
  const resumed = await cli(["resume", id, "--format", "json"], shop.place, { limitMs: LIMIT_MS });
  expect(resumed.envelope.error?.message).toContain("nothing was broken");
  expect(await (await shop.nodes()).armed()).toEqual([]);
  expect(await running("pg2")).toBe("running");
  expect(await shop.ask("pg1", "SELECT 1 FROM pg_namespace WHERE nspname = 'pgdba_chaos'")).toEqual(
    [],
  );
});

test("two servers that take writes are seen, and the drill is given up", async () => {
  const argv = ["chaos", "kill-node", ...MEANT, "--host", "pg3", "--how", "freeze"];
  const times = [
    "--steady",
    "1s",
    "--for",
    "2m",
    "--hold",
    "1m",
    "--min-free-percent",
    "0",
    "--least",
    "100",
  ];
  const child = new Running([...argv, ...times, ...TARGET], shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  await shop.ask("pg2", "SELECT pg_promote()");
  const ran = await child.done();
  expect(ran.envelope.error?.message).toContain("pg1 and pg2 take writes at once");
  expect(await running("pg3")).toBe("running");
  expect(await (await shop.nodes()).armed()).toEqual([]);
});
