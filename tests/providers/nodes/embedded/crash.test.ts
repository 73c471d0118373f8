import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { processes, processesOf } from "../../../../providers/nodes/embedded/processes.ts";
import { drive } from "../contract/driven.ts";
import { World } from "../contract/world.ts";

const world = new World({ provider: "embedded", version: 18 });
await world.begin();
afterAll(() => world.end());

/** Milliseconds after which a process is killed: seeded, so that a failure can be had again. */
function delays(seed: number, count: number, upTo: number): number[] {
  return Array.from({ length: count }, (_, n) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    // Spread over the whole time, each somewhere in its part.
    return Math.round(((n + seed / 2 ** 31) * upTo) / count);
  });
}

/** Where the nodes are; told by a node, for it depends on who may enter the state folder. */
let base = "";
function parentOf(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[1]);
}

const spec = world.spec(["a", "b"], {
  settings: { fsync: "off", shared_buffers: "16MB", wal_retrieve_retry_interval: "100ms" },
});

test("killed anywhere, the making of a cluster is finished by the next who makes it", async () => {
  const begun = performance.now();
  const first = drive(world, { run: "run-1", verb: "provision", args: [spec] });
  await first.said("done");
  const whole = performance.now() - begun;
  await world.nodes().deprovision();
  for (const ms of delays(20260222, 6, whole)) {
    const driven = drive(world, { run: "run-1", verb: "provision", args: [spec] });
    await driven.said("begun");
    await Bun.sleep(ms);
    await driven.kill();
    for (const { labels } of await world.nodes().list())
      expect(labels).toEqual({ run: "run-1", path: "driven" });
  }
  await world.nodes({ run: "run-2" }).provision(spec);
  const list = await world.nodes().list();
  expect(list.map(({ node, made, state }) => [node, made, state.running])).toEqual([
    ["a", true, "running"],
    ["b", true, "running"],
  ]);
  await world.replicates("a", "b");
  // One server each, and nothing of the attempts: all that is there of a node was started by its first process.
  base = dirname(dirname((await world.nodes().facts("a")).postgres!.data));
  for (const { node, state } of list) {
    const dir = join(base, node);
    const { pid } = state.services[0]!;
    const parents = (await processesOf({ dir, data: join(dir, "data") })).map((one) =>
      one.pid === pid ? pid : parentOf(one.pid),
    );
    expect(parents.length).toBeGreaterThan(2);
    expect([...new Set(parents)]).toEqual([pid!]);
  }
  expect(await world.sql("a", "SELECT slot_name, active FROM pg_replication_slots")).toEqual([
    ["pgdba_b", true],
  ]);
}, 300_000);

test("what can't be changed of a node is refused, and not passed over", async () => {
  const place = { wal_segment_size: 1 };
  expect(await world.nodes().plan({ ...spec, place: { wal_segment_size: 16 } })).toMatchObject([
    { node: "a", act: "keep" },
    { node: "b", act: "keep" },
  ]);
  const refused = await world
    .nodes()
    .plan({ ...spec, place })
    .catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({
    code: "step_refused",
    message: "a has WAL files of MB 16, and the spec says 1",
  });
});

test("a node that others look for keeps its port, also when somebody else has it", async () => {
  const told: string[] = [];
  const nodes = await world.another(
    {},
    { reached: async (node, { port }) => void told.push(`${node} ${port}`) },
  );
  const { port } = (await nodes.list())[0]!.address!;
  await nodes.stop("a", "fast");
  const stranger = createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
  await once(stranger, "listening");
  const error = await nodes.start("a").catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: "command_failed",
    hint: expect.stringContaining("where the other nodes look for it"),
  });
  await new Promise((done) => stranger.close(done));
  await nodes.start("a");
  expect(told).toEqual([`a ${port}`]);
  await world.replicates("a", "b");
}, 300_000);

test("killed anywhere as it starts a job, that was started once or never will be", async () => {
  const { jobs } = world.nodes();
  const mark = join(base, "a", "mark");
  const ran = async (n: number) =>
    (await world.nodes().exec("a", ["sh", "-c", `cat ${mark}.${n} 2>/dev/null`])).stdout;
  const seen: [n: number, found: boolean][] = [];
  // The last one is killed when it has done it.
  for (const [n, ms] of [...delays(20260223, 16, 60), Infinity].entries()) {
    const args = ["a", `job-${n}`, ["sh", "-c", `echo x >>${mark}.${n}`]];
    const driven = drive(world, { run: "run-1", verb: "jobs.start", args });
    await driven.said(ms === Infinity ? "done" : "begun");
    if (ms !== Infinity) await Bun.sleep(ms);
    await driven.kill();
    seen.push([n, (await jobs.find("a", `job-${n}`)) !== null]);
  }
  expect(seen.at(-1)).toEqual([16, true]);
  for (const [n, found] of seen) {
    const name = `job-${n}`;
    if (!found) expect([n, await ran(n)]).toEqual([n, ""]);
    await jobs.start("a", name, ["sh", "-c", `echo x >>${mark}.${n}`]);
    expect(await jobs.follow("a", name)).toMatchObject({ state: "ended", exit_code: 0 });
    expect([n, await ran(n)]).toEqual([n, "x\n"]);
  }
}, 300_000);

test("killed anywhere as it arms, nothing waits that heal does not find", async () => {
  // As nobody else on this machine waits.
  const afterMs = 600_000 + Math.round(Math.random() * 1e8) / 1000;
  for (const [n, ms] of delays(20260224, 8, 60).entries()) {
    const args = [{ thaw: "a" }, { id: `arm-${n}`, afterMs }];
    const driven = drive(world, { run: "run-1", verb: "arm", args });
    await driven.said("begun");
    await Bun.sleep(ms);
    await driven.kill();
  }
  const armed = await world.nodes().armed();
  const healed = await world.nodes().heal();
  expect(healed).toEqual(armed.map(({ id }) => ({ id, node: "a", healed: true, lasted: false })));
  const sleeping = await world.nodes().exec("a", ["pgrep", "-f", `^sleep ${afterMs / 1000}$`]);
  expect(sleeping.stdout).toBe("");
}, 300_000);

test("killed anywhere, the removal of a cluster is finished by the next who removes it", async () => {
  // Another one, of which only the record of its place is left: that goes last.
  const other = await world.another({}, { cluster: "gone" });
  await other.provision(world.spec(["a"]));
  const { data } = (await other.facts("a")).postgres!;
  await other.stop("a", "immediate");
  await rm(dirname(dirname(data)), { recursive: true });
  await other.deprovision();
  expect(existsSync(join(world.stateDir, "nodes/gone/place.json"))).toBe(false);
  for (const ms of [0, 20, 60, 120, 250]) {
    const driven = drive(world, { run: "run-1", verb: "deprovision", args: [] });
    await driven.said("begun");
    await Bun.sleep(ms);
    await driven.kill();
  }
  await world.nodes().deprovision();
  expect(await world.nodes().list()).toEqual([]);
  expect(base).not.toBe("");
  expect(existsSync(base)).toBe(false);
  const folders = readdirSync(join(world.stateDir, "nodes", world.name));
  expect(folders.filter((name) => !/lock$|\.lock|lease/.test(name))).toEqual([]);
  const left = await Promise.all(
    (await processes()).map(async ({ pid }) =>
      Bun.file(`/proc/${pid}/cmdline`)
        .text()
        .catch(() => ""),
    ),
  );
  expect(left.filter((line) => line.includes(base))).toEqual([]);
}, 300_000);
