/** Runbooks that need nothing but Patroni, over the command line, on one real cluster. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startWorld, type World } from "../../steps/patroni/support.ts";
import { patroniMissing } from "../../support/patroni.ts";
import { type Ended, pgdba } from "../config/cli.ts";

const missing = patroniMissing();

describe.skipIf(missing !== null)(
  `runbooks on a real Patroni${missing === null ? "" : ` (${missing})`}`,
  () => {
    let world: World;
    let leader: string;
    let standbys: string[];

    beforeAll(async () => {
      world = await startWorld(3);
      const { members } = await world.cluster.get("/cluster");
      leader = members.find(({ role }: any) => role === "leader").name;
      standbys = members.map(({ name }: any) => name).filter((name: string) => name !== leader);
    }, 90_000);
    afterAll(() => world?.end());

    const run = (...args: string[]): Promise<Ended> =>
      pgdba([...args, "--cluster", "pat", "--quiet"], { PGDBA_HOME: world.home, ...world.env });
    const place = (name: string): string => {
      const { host, port } = world.cluster.members.find((one) => one.name === name)!;
      return `${host}:${port}`;
    };

    test("failover status tells who leads and who could take over", async () => {
      const { envelope } = await run("failover", "status");
      expect(envelope.error).toBeNull();
      const { data } = envelope;
      expect(data).toMatchObject({ leader, timeline: 1, since: null, pause: false, history: [] });
      expect(data.key_seconds_left).toBeGreaterThan(10);
      expect(data.standbys.map(({ member }: any) => member).toSorted()).toEqual(standbys);
      expect(data.standbys.every(({ able }: any) => able)).toBe(true);
      expect(standbys).toContain(data.best);
    });

    test("cluster pause and cluster resume", async () => {
      const paused = await run("cluster", "pause");
      expect(paused.envelope.error).toBeNull();
      expect(paused.envelope.data).toMatchObject({
        pause: true,
        already: false,
        leader,
        silent: [],
      });
      expect((await run("failover", "status")).envelope.data.pause).toBe(true);
      const refused = await run("replica", "reinit", standbys[0]!, "--yes");
      expect(refused.envelope.error).toMatchObject({ code: "assertion_failed" });
      const again = await run("cluster", "pause");
      expect(again.envelope.data).toMatchObject({ pause: true, already: true });
      expect((await run("cluster", "resume")).envelope.error.code).toBe("approval_needed");
      const resumed = await run("cluster", "resume", "--yes");
      expect(resumed.envelope.data).toMatchObject({ pause: false, already: false, leader });
    }, 60_000);

    test("replica reinit makes a standby anew, by its name or its place, and refuses the leader", async () => {
      const leads = await run("replica", "reinit", leader, "--yes");
      expect(leads.envelope.error).toMatchObject({ code: "step_refused" });
      const nobody = await run("replica", "reinit", "pg9", "--yes");
      expect(nobody.envelope.error).toMatchObject({ code: "invalid_param" });
      const done = await run("replica", "reinit", place(standbys[0]!), "--yes");
      expect(done.envelope.error).toBeNull();
      expect(done.envelope.data).toMatchObject({ member: standbys[0], leader });
      expect(done.envelope.data.seconds).toBeGreaterThan(0);
    }, 60_000);

    test("replica reinit that was killed in the middle is waited for by resume, and not begun again", async () => {
      const child = Bun.spawn(
        [
          process.execPath,
          "engine/main.ts",
          "replica",
          "reinit",
          standbys[1]!,
          "--yes",
          "--cluster",
          "pat",
          "--quiet",
        ],
        {
          env: { PATH: process.env["PATH"] ?? "", PGDBA_HOME: world.home, ...world.env },
          stdin: "ignore",
          stdout: "ignore",
          stderr: "ignore",
        },
      );
      const member = world.cluster.members.findIndex(({ name }) => name === standbys[1]);
      const own = (): Promise<any> => world.cluster.get("/patroni", member).catch(() => ({}));
      const before = (await own()).postmaster_start_time;
      while ((await own()).state === "running" && child.exitCode === null) await Bun.sleep(10);
      child.kill("SIGKILL");
      await child.exited;
      const { runs } = (await run("runs")).envelope.data;
      const [{ id }] = runs.filter(({ status }: any) => status === "dead");
      const resumed = await pgdba(["resume", id, "--quiet"], {
        PGDBA_HOME: world.home,
        ...world.env,
      });
      expect(resumed.envelope.error).toBeNull();
      expect(resumed.envelope.data).toMatchObject({ member: standbys[1], leader });
      const after = (await own()).postmaster_start_time;
      expect(after).not.toBe(before);
    }, 60_000);
  },
);
