import { expect } from "bun:test";
import type { Case } from "../contract.ts";
import { collector, failure, type World } from "./helpers.ts";

export function lifeCases(world: World, one: Case): void {
  const running = async (node: string) => (await world.nodes().state(node)).running;
  const isUp = async (node: string) => {
    await world.until(
      () => running(node),
      (state) => state === "running",
    );
    expect(await world.sql(node, "SELECT 1")).toEqual([[1]]);
    if (node === "a") await world.leads("a");
  };

  one(
    ["start", "stop"],
    "stop and start, fast and immediate; each again does nothing",
    async () => {
      const nodes = world.nodes();
      for (const how of ["fast", "immediate"] as const) {
        await nodes.stop("b", how);
        expect(await running("b")).toBe("stopped");
        await nodes.stop("b", how);
        await failure(world.sql("b", "SELECT 1"));
        await nodes.start("b");
        await nodes.start("b");
        await isUp("b");
        await world.replicates("a", "b");
      }
    },
  );

  one(
    ["start", "stop", "facts"],
    "immediate writes no checkpoint, so that what comes next is a recovery",
    async () => {
      const nodes = world.nodes();
      await world.sql("a", "CREATE TABLE kept AS SELECT 41 + 1 AS n");
      for (const [how, state] of [
        ["fast", "shut down"],
        ["immediate", "in production"],
      ] as const) {
        await nodes.stop("a", how);
        expect((await nodes.facts("a")).postgres!.control!.state).toBe(state);
        await nodes.start("a");
        await isUp("a");
      }
      expect(await world.sql("a", "SELECT n FROM kept")).toEqual([[42]]);
      await world.sql("a", "DROP TABLE kept");
      await world.replicates("a", "b");
    },
  );

  one(["start"], "two who start a node at once start it once", async () => {
    await world.nodes().stop("b", "fast");
    const [one_, two] = [world.nodes(), await world.another()];
    await Promise.all([one_.start("b"), two.start("b"), one_.start("b")]);
    await isUp("b");
    await world.replicates("a", "b");
  });

  one(
    ["kill_process", "start"],
    "PostgreSQL is killed; what was committed is there afterwards",
    async () => {
      await world.sql("a", "CREATE TABLE survives AS SELECT 7 AS n");
      await world.nodes().kill("a", "process");
      expect(["failed", "stopped", "starting", "running"]).toContain(await running("a"));
      await world.nodes().start("a");
      await isUp("a");
      expect(await world.sql("a", "SELECT n FROM survives")).toEqual([[7]]);
      await world.sql("a", "DROP TABLE survives");
      await world.replicates("a", "b");
    },
  );

  one(["kill_node", "start", "exec"], "a node is killed with all that runs on it", async () => {
    const nodes = world.nodes();
    const out = collector();
    const program = nodes.exec("b", ["sh", "-c", "echo up; sleep 300 & wait"], {
      onStdout: out.sink,
    });
    await world.until(
      async () => out.text(),
      (text) => text === "up\n",
    );
    await nodes.kill("b", "node");
    const { exit_code, signal, unknown } = await program;
    expect({ exit_code, ended: signal ?? unknown }).toMatchObject({ exit_code: null });
    expect(signal ?? unknown).toBeString();
    await nodes.start("b");
    await isUp("b");
    await world.replicates("a", "b");
  });

  one(
    ["death", "fence", "start"],
    "death is proven, and one that is fenced stays down",
    async () => {
      const nodes = world.nodes();
      expect(await nodes.death("b")).toEqual({ proven: false, why: expect.any(String) });
      const fenced = await nodes.fence("b");
      expect(fenced).toEqual({ proven: true, how: expect.any(String) });
      expect(await nodes.death("b")).toMatchObject({ proven: true });
      expect(await nodes.fence("b")).toMatchObject({ proven: true });
      await failure(world.sql("b", "SELECT 1", { timeoutMs: 500 }));
      expect(await nodes.death("a")).toMatchObject({ proven: false });
      await nodes.start("b");
      await isUp("b");
      expect(await nodes.death("b")).toMatchObject({ proven: false });
      await world.replicates("a", "b");
    },
  );

  one(["death", "fence", "freeze"], "a frozen node is not dead; it can be fenced", async () => {
    const nodes = world.nodes();
    await nodes.freeze("b");
    expect(await nodes.death("b")).toMatchObject({ proven: false });
    expect(await nodes.fence("b")).toMatchObject({ proven: true });
    await nodes.start("b");
    await isUp("b");
  });

  one(
    ["watch", "fence", "start"],
    "who watches is told of a node that ends and comes",
    async () => {
      const nodes = world.nodes();
      const stop = new AbortController();
      const seen: string[] = [];
      const watching = nodes.watch(({ node, running }) => {
        seen.push(`${node} ${running}`);
      }, stop.signal);
      await nodes.fence("b");
      await world.until(
        async () => seen,
        (events) => events.some((event) => event === "b stopped" || event === "b failed"),
      );
      await nodes.start("b");
      await world.until(
        async () => seen,
        (events) => events.some((event) => event === "b starting" || event === "b running"),
      );
      stop.abort();
      await watching;
      await isUp("b");
    },
  );

  one(["renew"], "a node is made anew and keeps its data and its address", async () => {
    const nodes = world.nodes();
    await world.sql("a", "CREATE TABLE kept AS SELECT 43 AS n");
    const reach = async () => (await world.list()).map(({ node, reach: at }) => ({ node, at }));
    const before = await reach();
    await nodes.renew("a", world.spec(["a", "b"]));
    await isUp("a");
    expect(await reach()).toEqual(before);
    expect(await world.sql("a", "SELECT n FROM kept")).toEqual([[43]]);
    await world.sql("a", "DROP TABLE kept");
    await world.replicates("a", "b");
  });

  one(
    ["kill_patroni", "start", "exec"],
    "the Patroni of a node is killed, and PostgreSQL does not outlive it; both come back by themselves",
    async () => {
      const boot = (await world.nodes().facts("b")).boot;
      await world.nodes().kill("b", "patroni");
      await world.until(
        // While it restarts it answers nothing.
        () =>
          world
            .nodes()
            .facts("b")
            .then(
              (facts) => facts.boot,
              () => boot,
            ),
        (now) => now !== boot,
      );
      await world.nodes().start("b");
      await isUp("b");
      await world.replicates("a", "b");
    },
  );

  one(["kill_power", "start"], "a node loses its power, and comes back", async () => {
    await world.nodes().kill("b", "power");
    await failure(world.sql("b", "SELECT 1", { timeoutMs: 500 }));
    await world.nodes().start("b");
    await isUp("b");
  });

  one(["freeze"], "a frozen node answers nothing and forgets nothing", async () => {
    const nodes = world.nodes();
    await nodes.freeze("b");
    await nodes.freeze("b");
    expect(await running("b")).toBe("frozen");
    await failure(world.sql("b", "SELECT 1", { timeoutMs: 400 }));
    for (const refused of [() => nodes.start("b"), () => nodes.stop("b", "fast")])
      expect(await failure(refused())).toMatchObject({ code: "step_refused" });
    await nodes.thaw("b");
    await nodes.thaw("b");
    await isUp("b");
    await world.replicates("a", "b");
  });

  one(["freeze", "kill_node"], "a frozen node can be killed", async () => {
    const nodes = world.nodes();
    await nodes.freeze("b");
    await nodes.kill("b", "node");
    expect(await running("b")).not.toBe("frozen");
    await nodes.start("b");
    await isUp("b");
  });

  one(["logs"], "a log is read from where it was left, and nothing of it twice", async () => {
    const nodes = world.nodes();
    const begin = (await nodes.logs("a")).next;
    const say = (text: string) => world.sql("a", `DO $$ BEGIN RAISE LOG '${text}'; END $$`);
    await say("first elephant");
    const one_ = await world.until(
      () => nodes.logs("a", { since: begin }),
      ({ text }) => text.includes("first elephant"),
    );
    await say("second ünïcode");
    const two = await world.until(
      () => nodes.logs("a", { since: one_.next }),
      ({ text }) => text.includes("second ünïcode"),
    );
    expect(two.text).not.toContain("first elephant");
    expect([one_.gap, two.gap]).toEqual([false, false]);
    // In small parts it is the same.
    let text = "";
    let since = begin;
    for (let more = true; more;) {
      const part = await nodes.logs("a", { since, maxBytes: 16 });
      text += part.text;
      ({ next: since, more } = part);
    }
    expect(text.startsWith(one_.text + two.text)).toBe(true);
    expect((await nodes.logs("a", { maxBytes: 10 })).text.length).toBeLessThanOrEqual(10);
  });

  one(["facts"], "facts of the node", async () => {
    const facts = await world.nodes().facts("a");
    expect(facts.cpus).toBeGreaterThanOrEqual(1);
    expect(facts.memoryBytes).toBeGreaterThan(64 << 20);
    const data = facts.disks.find(({ of }) => of === "data")!;
    expect(data.totalBytes).toBeGreaterThan(data.freeBytes);
    expect(data.freeBytes).toBeGreaterThan(0);
    expect(Math.abs(facts.clock.offsetMs)).toBeLessThan(60_000);
    expect(facts.os.name).not.toBe("");
    expect(facts.boot).not.toBe("");
    const [[identifier, folder, version, timeline]] = (await world.sql(
      "a",
      "SELECT system_identifier::text, current_setting('data_directory'), current_setting('server_version'), timeline_id FROM pg_control_system(), pg_control_checkpoint()",
    )) as [[string, string, string, number]];
    expect(facts.postgres).toMatchObject({
      data: folder,
      control: { system_identifier: identifier, timeline, state: "in production" },
    });
    expect(version).toStartWith(facts.postgres!.version);
  });

  one(["facts", "stop"], "the identity of a server that is down is known", async () => {
    const nodes = world.nodes();
    const { system_identifier, timeline } = (await nodes.facts("b")).postgres!.control!;
    await nodes.stop("b", "fast");
    const down = (await nodes.facts("b")).postgres!.control!;
    expect(down).toMatchObject({ system_identifier, state: "shut down in recovery" });
    // Its last checkpoint may be the first on a timeline that it follows already.
    expect(down.timeline).toBeGreaterThanOrEqual(timeline);
    await nodes.start("b");
    await isUp("b");
  });
}
