import { expect } from "bun:test";
import type { Case } from "../contract.ts";
import { drive } from "./driven.ts";
import { failure, type World } from "./helpers.ts";

export function faultCases(world: World, one: Case): void {
  const running = async (node: string) => (await world.nodes().state(node)).running;
  const stateOf = async (id: string) =>
    (await (await world.another()).armed()).find((armed) => armed.id === id)?.state;

  one(
    ["arm", "freeze"],
    "what is armed is done at its deadline, also when pgdba is dead",
    async () => {
      // It must be frozen and looked at before.
      const afterMs = 6_000;
      const other = drive(world, {
        run: "run-5",
        verb: "arm",
        args: [{ thaw: "b" }, { id: "frozen-b", afterMs }],
        stay: true,
      });
      await other.said("done");
      await world.nodes().freeze("b");
      await other.kill();
      expect(await running("b")).toBe("frozen");
      const [armed] = (await (await world.another()).armed()).filter(({ id }) => id === "frozen-b");
      expect(armed).toMatchObject({
        node: "b",
        labels: { run: "run-5", path: "driven" },
        inverse: { thaw: "b" },
        state: "armed",
      });
      expect(Date.parse(armed!.deadline) - Date.now()).toBeLessThan(afterMs);
      await world.until(
        () => running("b"),
        (state) => state === "running",
      );
      await world.until(
        () => stateOf("frozen-b"),
        (state) => state === "healed",
      );
      const healed = await world.nodes().heal({ run: "run-5" });
      // Its healer had done so before.
      expect(healed).toEqual([{ id: "frozen-b", node: "b", healed: true, lasted: false }]);
      expect(await stateOf("frozen-b")).toBeUndefined();
      await world.replicates("a", "b");
    },
  );

  one(
    ["arm", "freeze"],
    "heal takes back at once what is armed, of one run or all, and nothing else",
    async () => {
      const mine = world.nodes({ run: "run-6" });
      await mine.arm({ thaw: "b" }, { id: "six", afterMs: 600_000 });
      await world.nodes({ run: "run-7" }).arm({ thaw: "a" }, { id: "seven", afterMs: 600_000 });
      await mine.freeze("b");
      expect(await mine.heal({ run: "run-6" })).toEqual([
        { id: "six", node: "b", healed: true, lasted: true },
      ]);
      expect(await running("b")).toBe("running");
      expect(await stateOf("seven")).toBe("armed");
      // Armed, and never done, or taken back by somebody else.
      expect(await mine.heal()).toEqual([{ id: "seven", node: "a", healed: true, lasted: false }]);
      expect(await mine.armed()).toEqual([]);
      expect(await mine.heal()).toEqual([]);
    },
  );

  one(["arm", "stop"], "a node that was stopped is started at the deadline", async () => {
    const nodes = world.nodes();
    // Who is late to stop it would stop it for good.
    await nodes.arm({ start: "b" }, { id: "stopped-b", afterMs: world.ms(3_000) });
    await nodes.stop("b", "immediate");
    await world.until(
      () => running("b"),
      (state) => state === "running",
    );
    await world.until(
      () => stateOf("stopped-b"),
      (state) => state === "healed",
    );
    await nodes.disarm("stopped-b");
    await world.replicates("a", "b");
  });

  one(
    ["arm", "exec"],
    "any program can be armed; the same id moves the deadline; disarmed, it is not done",
    async () => {
      const nodes = world.nodes();
      const home = (await nodes.exec("a", ["pwd"])).stdout.trim();
      const inverse = (name: string) => ({
        on: "a",
        argv: ["sh", "-c", 'touch "$1/$N"', "sh", home],
        env: { N: name },
      });
      const there = async (name: string) =>
        (await nodes.exec("a", ["test", "-e", `${home}/${name}`])).exit_code === 0;
      const later = 5_000;
      await nodes.arm(inverse("first"), { id: "moved", afterMs: later });
      await nodes.arm(inverse("second"), { id: "moved", afterMs: 1 });
      await nodes.arm(inverse("third"), { id: "away", afterMs: later });
      await nodes.disarm("away");
      await nodes.disarm("away");
      expect((await nodes.armed()).map(({ id }) => id)).toEqual(["moved"]);
      await world.until(
        () => there("second"),
        (yes) => yes,
      );
      await Bun.sleep(later + 200);
      expect([await there("first"), await there("third")]).toEqual([false, false]);
      await nodes.disarm("moved");
      await nodes.exec("a", ["rm", `${home}/second`]);
    },
  );

  one(
    ["arm", "exec"],
    "an inverse that fails at its deadline is tried again, and done",
    async () => {
      const nodes = world.nodes();
      const home = (await nodes.exec("a", ["pwd"])).stdout.trim();
      const script = 'touch "$1/tried"; test -e "$1/now"';
      const there = ["sh", "-c", 'test -e "$1/tried"', "sh", home];
      const inverse = { on: "a", argv: ["sh", "-c", script, "sh", home], still: there };
      await nodes.arm(inverse, { id: "again", afterMs: 1 });
      await world.until(
        async () => (await nodes.exec("a", there)).exit_code,
        (code) => code === 0,
      );
      expect(await stateOf("again")).toBe("armed");
      await nodes.exec("a", ["touch", `${home}/now`]);
      await world.until(
        () => stateOf("again"),
        (state) => state === "healed",
      );
      await nodes.arm(inverse, { id: "again", afterMs: 600_000 });
      const told = { id: "again", node: "a", healed: true };
      expect(await nodes.heal()).toEqual([{ ...told, lasted: true }]);
      await nodes.arm(inverse, { id: "again", afterMs: 600_000 });
      await nodes.exec("a", ["rm", `${home}/tried`]);
      expect(await nodes.heal()).toEqual([{ ...told, lasted: false }]);
      await nodes.exec("a", ["rm", `${home}/now`, `${home}/tried`]);
    },
  );

  one(
    ["arm", "exec"],
    "one that only looks whether somebody has repaired it tells at once that nobody has, and stays armed until it is done",
    async () => {
      const nodes = world.nodes();
      const home = (await nodes.exec("a", ["pwd"])).stdout.trim();
      const argv = ["sh", "-c", 'test -e "$1/now" || { echo not yet >&2; exit 9; }', "sh", home];
      await nodes.arm({ on: "a", argv, repair: "touch it" }, { id: "fails", afterMs: 1 });
      await world.until(
        () => stateOf("fails"),
        (state) => state === "failed",
      );
      expect((await nodes.armed())[0]).toMatchObject({ id: "fails", why: "not yet" });
      const [healed] = await nodes.heal();
      expect(healed).toMatchObject({ id: "fails", healed: false });
      expect(healed?.why).toContain("not yet");
      await nodes.exec("a", ["touch", `${home}/now`]);
      expect(await nodes.heal()).toEqual([{ id: "fails", node: "a", healed: true, lasted: null }]);
      await nodes.exec("a", ["rm", `${home}/now`]);
    },
  );

  one(["arm"], "nothing is armed without an end, or under a name that can't be one", async () => {
    for (const until of [
      { id: "x", afterMs: 0 },
      { id: "x", afterMs: 16 * 60_000 },
      { id: "x", afterMs: NaN },
      { id: "../x", afterMs: 1000 },
      { id: "", afterMs: 1000 },
    ])
      expect(await failure(world.nodes().arm({ thaw: "a" }, until))).toMatchObject({
        code: "invalid_param",
        nothingDone: true,
      });
    expect(await world.nodes().armed()).toEqual([]);
  });

  one(
    ["partition"],
    "a node is cut off from its peer, also where connections were open, until it is healed",
    async () => {
      const nodes = world.nodes();
      const fault = await nodes.partition(
        "b",
        { from: { nodes: ["a"] }, direction: "both" },
        { id: "cut", afterMs: 60_000 },
      );
      expect(fault).toMatchObject({ took: true, openConnections: "cut", state: "armed" });
      const reach = (await nodes.list()).find(({ node }) => node === "a")!.address!;
      const probe = `exec 3<>/dev/tcp/${reach.host}/${reach.port}`;
      const tried = () => nodes.exec("b", ["timeout", "2", "bash", "-c", probe]);
      expect((await tried()).exit_code).not.toBe(0);
      expect(await nodes.heal({ id: "cut" })).toEqual([
        { id: "cut", node: "b", healed: true, lasted: true },
      ]);
      expect((await tried()).exit_code).toBe(0);
      await world.replicates("a", "b");
      // The start of the node makes its network anew.
      const what = { from: { nodes: ["a"] }, direction: "both" } as const;
      await nodes.partition("b", what, { id: "cut", afterMs: 600_000 });
      await nodes.kill("b", "node");
      await nodes.start("b");
      expect(await nodes.heal({ id: "cut" })).toEqual([
        { id: "cut", node: "b", healed: true, lasted: false },
      ]);
      await world.replicates("a", "b");
    },
  );

  one(
    ["fill_disk"],
    "a disk is filled up to what is to be left, and free again at the deadline",
    async () => {
      const nodes = world.nodes();
      const free = async () =>
        (await nodes.facts("b")).disks.find(({ of }) => of === "data")!.freeBytes;
      const leaveBytes = 32 << 20;
      const before = await free();
      const fault = await nodes.fillDisk(
        "b",
        { of: "data", leaveBytes },
        { id: "full", afterMs: world.ms(3_000) },
      );
      expect(fault).toMatchObject({ took: true, state: "armed" });
      expect(await free()).toBeLessThanOrEqual(leaveBytes);
      await world.until(free, (bytes) => bytes > before / 2);
      const again = { id: "full-again", afterMs: 600_000 };
      expect(await nodes.fillDisk("b", { of: "data", leaveBytes }, again)).toMatchObject({
        took: true,
      });
      expect(await nodes.heal({ id: "full-again" })).toEqual([
        { id: "full-again", node: "b", healed: true, lasted: true },
      ]);
      expect(await free()).toBeGreaterThan(before / 2);
    },
  );

  one(["slow_network"], "packets to a peer are late until it is healed", async () => {
    const nodes = world.nodes();
    const fault = await nodes.slowNetwork(
      "b",
      { to: { nodes: ["a"] }, delayMs: 200 },
      { id: "late", afterMs: 60_000 },
    );
    expect(fault).toMatchObject({ took: true, state: "armed" });
    expect(await nodes.heal({ id: "late" })).toEqual([
      { id: "late", node: "b", healed: true, lasted: true },
    ]);
  });

  one(["slow_disk"], "a disk writes no faster than it is told until it is healed", async () => {
    const nodes = world.nodes();
    const fault = await nodes.slowDisk(
      "b",
      { of: "data", bytesPerSecond: 1 << 20 },
      { id: "slow", afterMs: 60_000 },
    );
    expect(fault).toMatchObject({ took: true, state: "armed" });
    expect(await nodes.heal({ id: "slow" })).toEqual([
      { id: "slow", node: "b", healed: true, lasted: true },
    ]);
  });
}
