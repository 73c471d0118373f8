import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { openSession } from "../../../providers/postgres/session.ts";
import { nodes, recovery, redundancy } from "../../../steps/chaos/judge/nodes.ts";
import { dropTables, makeTables, probe } from "../../../steps/chaos/load/sql.ts";
import { Observer } from "../../../steps/chaos/observe/observer.ts";
import type { Line, Samples } from "../../../steps/chaos/observe/sample.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";

setDefaultTimeout(300_000);
const close: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const one of close.toReversed()) await one();
});

const specOf = ({ host, port, user, password, database }: TestServer) => ({
  host,
  port,
  user,
  database,
  password: () => password,
  sslmode: "disable" as const,
  application_name: "observer",
});
const wayTo =
  (server: TestServer) =>
  ({ timeoutMs }: { timeoutMs?: number } = {}) =>
    openSession({
      ...specOf(server),
      ...(timeoutMs === undefined ? {} : { connect_timeout_ms: timeoutMs }),
    });

/** All processes of a server. */
function signalAll({ dataDir }: TestServer, signal: NodeJS.Signals): void {
  const [pid = ""] = readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n");
  const { stdout } = Bun.spawnSync(["ps", "-o", "pid=", "--ppid", pid]);
  for (const one of [pid, ...stdout.toString().split(/\s+/).filter(Boolean)])
    try {
      process.kill(Number(one), signal);
    } catch {
      // It has ended meanwhile.
    }
}

test("a second writable node is seen within two samples; one whose writes wait is unfenced and not counted; one that is down is down", async () => {
  const first = await startServer({ settings: { synchronous_commit: "on" } });
  close.push(() => first.stop());
  const pg = await openSession(specOf(first));
  close.push(() => pg.close());
  await makeTables(pg, 4);
  const copy = await startServer({
    settings: { synchronous_commit: "on" },
    prepare: (dataDir) => cloneInto(dataDir, first),
  });
  const second = { ...copy, password: first.password };
  close.push(() => second.stop());
  const began = performance.now();
  const now = () => (performance.now() - began) * 1000;
  const observer = new Observer({
    members: [
      { name: "pg1", way: wayTo(first) },
      { name: "pg2", way: wayTo(second) },
    ],
    now,
    probe: (session, node) => probe(session, node, "on"),
    holder: undefined,
  });
  const until = async (letters: RegExp) => {
    for (const ends = performance.now() + 20_000; !letters.test(observer.last); await Bun.sleep(5))
      if (performance.now() > ends) throw new Error(`${observer.last} and not ${letters}`);
  };
  await until(/WS/);
  const admin = await clientOf(second);
  close.push(() => admin.end());
  await admin.query("SELECT pg_promote()");
  const promoted = now();
  await until(/WW/);
  const seen = nodes(observer.samples());
  expect(seen).toMatchObject({ most_writable: 2, together: [{ nodes: ["pg1", "pg2"] }] });
  // The promotion may have ended within the first of them.
  const after = observer.samples().lines.filter((line) => "nodes" in line && line.at > promoted);
  const index = after.findIndex((line) => "nodes" in line && line.nodes === "WW");
  expect(index).toBeLessThanOrEqual(2);

  // No standby confirms anything: it is out of recovery, and acknowledges nothing.
  await admin.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await admin.query("SELECT pg_reload_conf()");
  await until(/WU/);
  const unfenced = () => nodes(observer.samples()).strips[1]!.unfenced_ms;
  for (const ends = performance.now() + 20_000; unfenced() < 500; await Bun.sleep(20))
    if (performance.now() > ends) throw new Error(`unfenced for ${unfenced()} ms alone`);
  await admin.query("ALTER SYSTEM RESET synchronous_standby_names");
  await admin.query("SELECT pg_reload_conf()");
  await until(/WW/);
  // One that stands still gives no answer, whatever it holds, and is seen again when it goes on.
  signalAll(first, "SIGSTOP");
  await until(/NW/);
  await Bun.sleep(2_000);
  expect(observer.last).toBe("NW");
  signalAll(first, "SIGCONT");
  await until(/WW/);
  await first.stop();
  await until(/[DN]W/);
  await until(/DW/);
  const all = await observer.stop();
  const { strips } = nodes(all);
  expect(strips[1]!.unfenced_ms).toBeGreaterThanOrEqual(500);
  expect(strips[0]!.stretches.at(-1)!.is).toBe("D");
  expect(all.lines.filter((line) => "event" in line && line.event === "role")).toMatchObject([
    { node: expect.any(String) },
    { node: expect.any(String) },
    { node: "pg2", primary: true, timeline: 2 },
  ]);
  const session = await openSession(specOf(second));
  expect(await dropTables(session)).toBe(true);
  expect(await dropTables(session)).toBe(false);
  await session.close();
  // Nothing is added once it has stopped.
  const { length } = all.lines;
  await Bun.sleep(150);
  expect(observer.samples().lines).toHaveLength(length);
});

const of = (lines: Line[]): Samples => ({
  format: 1,
  members: ["pg1", "pg2"],
  every_ms: 100,
  lines: lines.toSorted((a, b) => a.at - b.at),
});
const s = (at: number, letters: string): Line => ({ at: at * 1000, nodes: letters });
const key = (at: number, holder: string | null): Line => ({
  at: at * 1000,
  event: "leader",
  holder,
});
const role = (at: number, node: string, timeline: number | null): Line => ({
  at: at * 1000,
  event: "role",
  node,
  primary: timeline !== null,
  timeline,
});
const follow = (at: number, node: string, streaming: number, sync = 0): Line => ({
  at: at * 1000,
  event: "standbys",
  node,
  streaming,
  sync,
});

test("the way back is told in its parts", () => {
  const moved = of([
    key(10, "pg1"),
    role(20, "pg1", 1),
    role(20, "pg2", null),
    key(1500, null),
    key(1700, "pg2"),
    role(2000, "pg2", 2),
  ]);
  expect(recovery(moved, 1_000_000)).toEqual({
    detect_ms: 500,
    elect_ms: 200,
    promote_ms: 300,
    leader_before: "pg1",
    leader_after: "pg2",
    timeline_before: 1,
    timeline_after: 2,
  });
  // The server was started again in its place: nobody was elected.
  const same = of([key(10, "pg1"), role(20, "pg1", 1)]);
  expect(recovery(same, 1_000_000)).toMatchObject({
    detect_ms: null,
    elect_ms: null,
    promote_ms: null,
    leader_after: "pg1",
    timeline_after: 1,
  });
  // Nobody keeps a key.
  expect(recovery(of([role(20, "pg1", 1), role(1800, "pg2", 2)]), 1_000_000)).toMatchObject({
    detect_ms: null,
    promote_ms: 800,
    leader_before: "pg1",
    leader_after: "pg2",
  });
});

test("redundancy is back when as many stream as before, and to the end", () => {
  const dark = (from: number, to: number, letters: string) =>
    Array.from({ length: (to - from) / 100 }, (_, n) => s(from + n * 100, letters));
  const lines = [
    follow(10, "pg1", 2, 1),
    ...dark(1000, 1800, "DS"),
    follow(1850, "pg2", 0),
    s(1900, "DW"),
    follow(3000, "pg2", 1, 1),
    follow(4000, "pg2", 2, 1),
  ];
  expect(redundancy(of(lines), 1_000_000)).toEqual({
    streaming: 2,
    sync: 1,
    least_streaming: 0,
    restored_ms: 3000,
  });
  expect(redundancy(of([...lines, follow(5000, "pg2", 1, 1)]), 1_000_000)?.restored_ms).toBeNull();
  // One answer that comes late is no loss, a longer silence is, and it ends with the first word.
  const late = [...lines, ...dark(4100, 4300, "NN"), s(4300, "DW")];
  expect(redundancy(of(late), 1_000_000)?.restored_ms).toBe(3000);
  const silent = [...lines, ...dark(4100, 4900, "NN"), s(4900, "DW")];
  expect(redundancy(of(silent), 1_000_000)?.restored_ms).toBe(3900);
  expect(redundancy(of([follow(10, "pg1", 0)]), 1_000_000)).toBeNull();
  expect(redundancy(of([follow(10, "pg1", 1)]), 1_000_000)).toMatchObject({ restored_ms: 0 });
});

test("a node that acknowledges nothing for longer is unfenced, for so long", () => {
  const letters = ["WS", "US", "US", "US", "US", "WS", "US"];
  const { strips } = nodes(of(letters.map((each, n) => s((n + 1) * 100, each))));
  expect(strips.map(({ unfenced_ms }) => unfenced_ms)).toEqual([400, 0]);
});

test("samples become stretches, and nodes that are writable together are named", () => {
  const seen = nodes(of([s(100, "WS"), s(200, "WS"), s(300, "US"), s(400, "WW"), s(500, "DW")]));
  expect(seen).toMatchObject({
    samples: 5,
    most_writable: 2,
    together: [{ at_ms: 400, nodes: ["pg1", "pg2"] }],
    together_ms: 100,
  });
  expect(seen.strips[0]).toEqual({
    node: "pg1",
    // One sample is no more than a late answer.
    unfenced_ms: 0,
    stretches: [
      { from: 0, to: 200, is: "W" },
      { from: 200, to: 300, is: "U" },
      { from: 300, to: 400, is: "W" },
      { from: 400, to: 500, is: "D" },
    ],
  });
});

test("nodes that take writes by turns are writable at a time, however long each write takes; a hand-over is none", () => {
  const most = (lines: Line[]) => nodes(of(lines));
  // Each acknowledgement takes three samples.
  const slow = most([
    role(0, "pg1", 1),
    role(50, "pg2", 2),
    ...["WU", "UN", "NW", "WU", "UN", "NW"].map((each, n) => s((n + 1) * 100, each)),
  ]);
  expect(slow).toMatchObject({
    most_writable: 2,
    together: [
      { at_ms: 400, nodes: ["pg1", "pg2"] },
      { at_ms: 600, nodes: ["pg1", "pg2"] },
    ],
  });
  // It leads again, on a timeline of its own, or was a standby, or down, meanwhile.
  const handed = ["WS", "UU", "SW", "UU", "WS"].map((each, n) => s((n + 1) * 100, each));
  const again = ["WS", "UN", "NW", "WN"].map((each, n) => s((n + 1) * 100, each));
  const killed = ["WS", "DS", "NW", "DW", "WN"].map((each, n) => s((n + 1) * 100, each));
  for (const lines of [handed, [role(0, "pg1", 1), role(350, "pg1", 3), ...again], killed])
    expect(most(lines).most_writable).toBe(1);
});
