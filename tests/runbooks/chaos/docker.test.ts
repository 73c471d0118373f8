/** Drills on a real cluster of containers, which all tests share. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { removePlaces, type Ran, Running } from "../../e2e/support.ts";
import { dockerMissing } from "../../support/docker.ts";
import { Live } from "../../support/live.ts";
import { until } from "../../support/rehearsed.ts";

const missing = dockerMissing();

describe.skipIf(missing !== null)(
  `drills on Docker${missing === null ? "" : ` (${missing})`}`,
  () => {
    const live = new Live("docker");
    const meant = () => ["--i-know-what-i-am-doing", `--without-backup=${live.name}`];
    const drill = (name: string, ...argv: string[]): Promise<Ran> =>
      live.run("chaos", name, ...argv, ...meant(), "--least", "200", "--restored", "10m");
    const proven = (ran: Ran) =>
      expect([ran.envelope.error, ran.envelope.data]).toMatchObject([
        null,
        { verdict: "valid", fault: { took: true }, lost: 0, duplicate: 0, dirty: 0 },
      ]);

    beforeAll(async () => {
      await live.init("--rto", "fast", "--sync-mode", "strict", "--label", "test");
    }, 900_000);
    afterAll(async () => {
      if (live.entry() !== undefined) await live.destroy();
      await live.close();
      removePlaces();
    }, 300_000);

    test("a leader that is cut off from all is replaced, and nothing is lost", async () => {
      const leader = await live.settled();
      const ran = await drill("partition", "--isolate", leader, "--hold", "40s");
      proven(ran);
      expect(ran.envelope.data).toMatchObject({ leader_before: leader, unexpected: [] });
    }, 900_000);

    test("Patroni is killed, and PostgreSQL does not outlive it", async () => {
      const leader = await live.settled();
      proven(await drill("kill-node", "--host", leader, "--how", "patroni", "--hold", "15s"));
    }, 900_000);

    test("what is no file system of its own is not filled", async () => {
      const ran = await drill("disk-full", "--hold", "1s");
      expect(ran.envelope.error?.message).toContain("no file system of its own");
    }, 300_000);

    test("after kill -9 of pgdba a frozen node is thawed by its deadline", async () => {
      const nodes = await live.nodes();
      const running = async () => (await nodes.state("etcd1")).running;
      const argv = ["chaos", "kill-node", "--host", "etcd1", "--how", "freeze", ...meant()];
      const times = ["--for", "25s", "--hold", "20s", "--least", "50", "--yes"];
      const child = new Running([...argv, ...times, "--cluster", live.name], live.place, {
        limitMs: 300_000,
      });
      await child.said("start held");
      child.signal("SIGKILL");
      await child.ended();
      const [armed] = await nodes.armed();
      expect([await running(), armed?.state]).toEqual(["frozen", "armed"]);
      await until(running, (state) => state === "running", 120_000);
      // Whoever looks may be late on a busy machine.
      expect(Date.now()).toBeLessThan(Date.parse(armed!.deadline) + 20_000);
      expect((await live.run("chaos", "heal", "--all")).exit).toBe(0);
      expect(await nodes.armed()).toEqual([]);
    }, 600_000);
  },
);
