/** The steps of nodes and of recovery, on one cluster of real servers: `a`, the primary, and `b`. Each test leaves it so. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Json, StepType, Target } from "../../../engine/types.ts";
import type { NodeInfo } from "../../../providers/nodes/contract.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import clear from "../../../steps/nodes/clear.ts";
import control from "../../../steps/nodes/control.ts";
import death from "../../../steps/nodes/death.ts";
import deprovision from "../../../steps/nodes/deprovision.ts";
import list from "../../../steps/nodes/list.ts";
import provision from "../../../steps/nodes/provision.ts";
import start from "../../../steps/nodes/start.ts";
import stop from "../../../steps/nodes/stop.ts";
import configure from "../../../steps/recovery/configure.ts";
import follow from "../../../steps/recovery/follow.ts";
import promote from "../../../steps/recovery/promote.ts";
import { World } from "../../providers/nodes/contract/world.ts";
import { fakeContext, type FakeContext } from "../../support/context.ts";

setDefaultTimeout(300_000);

const world = new World({ provider: "embedded", version: 18 });
const spec = () => world.spec(["a", "b"]) as unknown as Json;

/** What a run gives its steps here. */
function context(target: Partial<Target> = {}): FakeContext {
  return fakeContext({
    target: { name: world.name, use: async (_what, on) => world.another(on), ...target },
    clock: {
      now: () => new Date(),
      monotonic: () => performance.now(),
      sleep: async (ms) => Bun.sleep(ms),
    },
  });
}

async function did(type: StepType, input: object, ctx = context()) {
  const output = (await type.run(ctx, input as Json)) as Record<string, Json>;
  return { output, ctx, unchanged: ctx.recorded.unchanged };
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => "not refused",
    ({ code, message }: { code: string; message: string }) => [code, message],
  );
const running = async (node: string) => (await world.nodes().state(node)).running;
const streams = () =>
  world.until(
    () => world.sql("a", "SELECT count(*)::int FROM pg_stat_replication WHERE state = 'streaming'"),
    ([row]) => row![0] === 1,
  );

beforeAll(async () => {
  await world.begin({ open: true });
  const made = await did(provision, spec() as object);
  expect(made.output["changes"]).toEqual([
    { node: "a", act: "make", what: "primary" },
    { node: "b", act: "make", what: "standby of a" },
  ]);
});
afterAll(() => world.end());

test("nodes.clear removes the data of a standby that is stopped, beside a primary that runs, and it is made anew", async () => {
  await streams();
  expect(await refusal(did(clear, { node: "b" }))).toEqual([
    "step_refused",
    "The server of b is running",
  ]);
  await did(stop, { node: "b" });
  await did(stop, { node: "a" });
  expect(await refusal(did(clear, { node: "b" }))).toEqual([
    "step_refused",
    "No other server runs as a primary beside b",
  ]);
  await did(start, { node: "a" });
  const { output } = await did(clear, { node: "b" });
  expect(existsSync(String(output["data"]))).toBe(false);
  expect((await did(clear, { node: "b" })).unchanged).toBe(1);
  const made = await did(provision, spec() as object);
  expect(made.output["changes"]).toContainEqual({ node: "b", act: "make", what: "standby of a" });
  await streams();
});

test("nodes.provision changes nothing where all is there, and says so", async () => {
  const { output, unchanged } = await did(provision, spec() as object);
  expect((output["changes"] as Json[]).map((one) => (one as { act: string }).act)).toEqual([
    "keep",
    "keep",
  ]);
  expect(unchanged).toBe(1);
});

test("nodes.provision is taken back by the label of its run, also when it refused", async () => {
  const other = { ...(spec() as object), version: 17 };
  const error = await promise(provision.run(context(), other as Json));
  expect([error.code, error.nothingDone]).toEqual(["step_refused", false]);
  // Another run has made them.
  const ctx = context();
  Object.assign(ctx.run, { id: "run-2" });
  await provision.undo!(ctx, other as Json, undefined);
  expect([ctx.recorded.unchanged, await running("a")]).toEqual([1, "running"]);
});

test("nodes.provision takes back what it has made itself, and not what an earlier step of its run has", async () => {
  const more = world.spec(["a", "b", "c"]) as unknown as Json;
  const made = await did(provision, more as object);
  expect(made.output["changes"]).toContainEqual({ node: "c", act: "make", what: "standby of a" });
  // Repeated after a crash it finds all of them there.
  await did(provision, more as object, made.ctx);
  await provision.undo!(made.ctx, more, undefined);
  expect((await world.list()).map(({ node }) => node)).toEqual(["a", "b"]);
  expect([await running("a"), await running("b")]).toEqual(["running", "running"]);
});

test("nodes.provision leaves a node that another run has recorded since, and takes none away that has become the primary", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-taken-over-"));
  await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
  const entry = (nodes: string[]) =>
    writeFile(
      clusterFile(stateDir, "orders"),
      stringify({
        ownership: "managed",
        postgres: { host: "h", user: "u" },
        nodes: nodes.map((name) => ({ name, roles: ["postgres"] })),
        recorded_by: { nodes: "run-later" },
      }),
      { mode: 0o600 },
    );
  const named = async () =>
    (await readClusterFile("orders", clusterFile(stateDir, "orders")))!.data.nodes!.map(
      ({ name }) => name,
    );
  const ctx = context({ cluster: "orders" });
  Object.assign(ctx.run, { id: "run-2", stateDir });
  const more = world.spec(["a", "b", "c"]) as unknown as Json;
  try {
    await entry(["a", "b"]);
    await provision.run(ctx, more);
    await entry(["a", "b", "c"]);
    await provision.undo!(ctx, more, undefined);
    expect((await world.list()).map(({ node }) => node)).toEqual(["a", "b", "c"]);
    expect(ctx.recorded.warnings).toEqual([
      `c of ${world.name} stays: run run-later has recorded it as a node of the cluster since`,
    ]);
    // Nobody names it, and it leads: by its data, which is that of a primary.
    await entry(["a", "b"]);
    await did(stop, { node: "c" });
    const { output } = await did(control, { node: "c" });
    await rm(join(String(output["folder"]), "standby.signal"));
    expect(await refusal(Promise.resolve(provision.undo!(ctx, more, undefined)))).toEqual([
      "undo_failed",
      "c is a primary by now, and is not taken away",
    ]);
    await writeFile(join(String(output["folder"]), "standby.signal"), "");
    await provision.undo!(ctx, more, undefined);
    expect((await world.list()).map(({ node }) => node)).toEqual(["a", "b"]);
    expect(await named()).toEqual(["a", "b"]);
  } finally {
    await rm(stateDir, { recursive: true });
  }
});

test("nodes.list tells the state of each, and nodes.control what their data says", async () => {
  const { output } = await did(list, {});
  expect(output["nodes"]).toMatchObject([
    { node: "a", running: "running", made: true, run: "run-1" },
    { node: "b", running: "running", made: true, run: "run-1" },
  ]);
  const [a, b] = [await did(control, { node: "a" }), await did(control, { node: "b" })];
  const [[id]] = (await world.sql(
    "a",
    "SELECT system_identifier::text FROM pg_control_system()",
  )) as [[string]];
  expect(a.output).toMatchObject({ system_identifier: id, state: "in production", timeline: 1 });
  expect(b.output).toMatchObject({ system_identifier: id, state: "in archive recovery" });
  expect(await refusal(did(control, { node: "a", folder: "/tmp" }))).toEqual([
    "io_failed",
    expect.stringContaining("/tmp on a can't be read as a data directory"),
  ]);
});

test("nodes.stop and nodes.start change what there is to change, and undo puts it back", async () => {
  const idle = await did(start, { node: "b" });
  expect([idle.output["was"], idle.unchanged]).toEqual(["running", 1]);
  const stopped = await did(stop, { node: "b" });
  expect([stopped.output["was"], await running("b")]).toEqual(["running", "stopped"]);
  const again = await did(stop, { node: "b" });
  expect(again.unchanged).toBe(1);
  await stop.undo!(again.ctx, { node: "b" }, again.output);
  expect(await running("b")).toBe("stopped");
  await stop.undo!(stopped.ctx, { node: "b" }, stopped.output);
  expect(await running("b")).toBe("running");
  await streams();
});

test("where Patroni would let a server lead without what another one has written last, which is down, the way back does not start it", async () => {
  const watched = ({ endpoints, ...one }: NodeInfo): NodeInfo => ({
    ...one,
    endpoints: { ...endpoints, patroni: { address: one.address!, reach: one.reach! } },
  });
  const ctx = context({
    use: async (_what, on) => {
      const nodes = await world.another(on);
      const list = async () => (await nodes.list()).map(watched);
      return { ...nodes, list };
    },
  });
  const { output } = await did(stop, { node: "b" }, ctx);
  await did(stop, { node: "a" });
  expect(await refusal(stop.undo!(ctx, { node: "b" }, output))).toEqual([
    "step_refused",
    "b would lead without what a has written last, which is down",
  ]);
  expect(await running("b")).toBe("stopped");
  await did(start, { node: "a" });
  await stop.undo!(ctx, { node: "b" }, output);
  await streams();
});

test("recovery.configure writes and takes back settings and the signal", async () => {
  const conf = async () =>
    (await world.nodes().exec("b", ["sh", "-c", 'cat "$PGDATA/postgresql.auto.conf"'])).stdout;
  const before = await conf();
  const settings = { recovery_min_apply_delay: "1s" };
  const made = await did(configure, { node: "b", mode: "standby", settings });
  expect(made.output).toMatchObject({ was: "standby" });
  expect(await conf()).toContain("recovery_min_apply_delay = '1s'");
  const again = await did(configure, { node: "b", mode: "standby", settings });
  expect(again.unchanged).toBe(1);
  const delay = () => world.sql("b", "SHOW recovery_min_apply_delay");
  await world.until(delay, ([row]) => row![0] === "1s");
  await configure.undo!(made.ctx, { node: "b", mode: "standby", settings }, made.output);
  expect(await conf()).toBe(before);
});

test("a second primary neither starts, nor is made by taking back", async () => {
  expect(await refusal(did(promote, { node: "b" }))).toEqual([
    "step_refused",
    "b would be a second primary: a runs as a primary",
  ]);
  const stopped = await did(stop, { node: "a" });
  const promoted = await did(promote, { node: "b" });
  expect([promoted.output["was_standby"], promoted.unchanged]).toEqual([true, 0]);
  expect((await did(promote, { node: "b" })).unchanged).toBe(1);

  const second = "a would be a second primary: b runs as a primary";
  expect(await refusal(did(start, { node: "a" }))).toEqual(["step_refused", second]);
  expect(await refusal(stop.undo!(stopped.ctx, { node: "a" }, stopped.output))).toEqual([
    "step_refused",
    second,
  ]);
  // That which it was stays so when the new one is stopped, too.
  await did(stop, { node: "b" });
  expect(await refusal(did(start, { node: "a" }))).toEqual([
    "step_refused",
    expect.stringContaining("b was a primary, on timeline 2"),
  ]);
  await did(start, { node: "b" });
  expect(await running("a")).toBe("stopped");
  // A promotion that was done is not taken back, and nothing after it is.
  expect(await refusal(promote.undo!(context(), { node: "b" }, undefined))).toEqual([
    "needs_operator",
    expect.stringContaining("it has become one"),
  ]);
  expect(await running("b")).toBe("running");
});

test("recovery.follow makes the former primary a standby, which may start", async () => {
  await world.sql("b", "SELECT pg_create_physical_replication_slot('pgdba_a', true)");
  const input = { node: "a", primary: "b", slot: "pgdba_a" };
  const followed = await did(follow, input);
  expect(followed.output).toMatchObject({ was_standby: false });
  await did(start, { node: "a" });
  await world.replicates("b", "a");
  // Also a server that did not read the settings when they were written.
  await world
    .nodes()
    .exec("a", [
      "sh",
      "-c",
      'sed -i "1i wal_retrieve_retry_interval = 1234" "$PGDATA/postgresql.auto.conf"',
    ]);
  expect((await did(follow, input)).unchanged).toBe(1);
  const interval = () => world.sql("a", "SHOW wal_retrieve_retry_interval");
  await world.until(interval, ([row]) => row![0] === "1234ms");
  expect(await refusal(did(follow, { node: "a", primary: "c" }))).toEqual([
    "invalid_param",
    expect.stringContaining("no node c"),
  ]);
});

test("a promotion that did not end is taken back: the node is a standby, and has taken no write", async () => {
  // The other way round now: b is the primary and a its standby.
  await did(stop, { node: "b" });
  await promote.undo!(context(), { node: "a" }, undefined);
  expect([await running("a"), (await did(control, { node: "a" })).output["state"]]).toEqual([
    "running",
    "in archive recovery",
  ]);
  await world.nodes().freeze("a");
  expect(await refusal(promote.undo!(context(), { node: "a" }, undefined))).toEqual([
    "needs_operator",
    expect.stringContaining("it can't be stopped, and may become one"),
  ]);
  await world.nodes().thaw("a");
  await did(start, { node: "b" });
  await world.replicates("b", "a");
});

test("nodes.deprovision removes nodes by name, and never the last data", async () => {
  const { output } = await did(deprovision, { nodes: ["a"] });
  expect(output["changes"]).toEqual([{ node: "a", act: "remove", what: "with its data" }]);
  expect((await did(deprovision, { nodes: ["a"] })).unchanged).toBe(1);
  expect(await refusal(did(deprovision, { nodes: ["b"] }))).toEqual([
    "step_refused",
    "No node would be left that has the data",
  ]);
});

test("nodes.death proves by whoever has power over a node, and not by its silence", async () => {
  expect((await did(death, { node: "b" })).output).toMatchObject({ node: "b", proven: false });
  await world.nodes().freeze("b");
  expect((await did(death, { node: "b" })).output["proven"]).toBe(false);
  await world.nodes().thaw("b");
  await world.nodes().kill("b", "node");
  expect((await did(death, { node: "b" })).output).toMatchObject({
    node: "b",
    proven: true,
    how: expect.any(String),
  });
});

test("nodes.deprovision of the whole cluster tells others meanwhile that it is on purpose", async () => {
  const removers: (string | null)[] = [];
  const ctx = fakeContext({
    target: {
      name: world.name,
      use: async (_what, on) => {
        const nodes = await world.another({ ...on, hazards: ["destroys", "loses"] });
        return {
          ...nodes,
          async deprovision() {
            removers.push(await world.nodes().leased("removal"));
            return nodes.deprovision();
          },
        };
      },
    },
  });
  const { output } = await did(deprovision, {}, ctx);
  expect(output["changes"]).toEqual([{ node: "b", act: "remove", what: "with its data" }]);
  expect(removers).toEqual([`run ${ctx.run.id}`]);
  expect(await world.nodes().leased("removal")).toBeNull();
});

async function promise(work: Promise<unknown>) {
  return work.then(
    () => ({ code: "none", nothingDone: undefined }),
    (error: { code: string; nothingDone: boolean | undefined }) => error,
  );
}

test("to wait for a node that starts can be cut by the first signal: a recovery may take hours", () => {
  expect(start.interruptible).toBe(true);
});
