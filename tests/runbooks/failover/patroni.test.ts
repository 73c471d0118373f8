/** Runbooks that need nothing but Patroni, over the command line, on one real cluster. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startWorld, until, type World } from "../../steps/patroni/support.ts";
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
    }, 300_000);
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

    test("what mends leaves alone what Patroni lives on: its roles, its sessions and its slots", async () => {
      for (const role of ["replicator", "postgres"])
        expect((await run("role", "password", role)).envelope.error).toMatchObject({
          code: "step_refused",
          message: expect.stringMatching(/would lock it out$/),
        });
      const spared = await run("session", "terminate", "--role", "postgres", "--yes", "--plan");
      expect(spared.envelope.error).toBeNull();
      expect(spared.envelope.data.sessions).toEqual([]);
      const { slots } = (await run("slot", "list")).envelope.data;
      expect(slots.map(({ name }: any) => name).toSorted()).toEqual(standbys.toSorted());
      expect(slots.every(({ remade }: any) => remade.startsWith("Patroni makes it again"))).toBe(
        true,
      );
      const inactive = ["health", "check", "--only", "slot-inactive", "--host", standbys[0]!];
      const { findings, errors } = (await run(...inactive)).envelope.data;
      expect([findings, errors]).toEqual([[], []]);
    }, 300_000);

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
    }, 300_000);

    test("replica reinit makes a standby anew, by its name or its place, and refuses the leader", async () => {
      const leads = await run("replica", "reinit", leader, "--yes");
      expect(leads.envelope.error).toMatchObject({ code: "step_refused" });
      const nobody = await run("replica", "reinit", "pg9", "--yes");
      expect(nobody.envelope.error).toMatchObject({ code: "invalid_param" });
      const done = await run("replica", "reinit", place(standbys[0]!), "--yes");
      expect(done.envelope.error).toBeNull();
      expect(done.envelope.data).toMatchObject({ member: standbys[0], leader });
      expect(done.envelope.data.seconds).toBeGreaterThan(0);
    }, 300_000);

    /** Begins a run, which is killed a moment after Patroni has its request, and resumes it. */
    async function killedAndResumed(...args: string[]): Promise<Ended> {
      const env = { PGDBA_HOME: world.home, ...world.env };
      const main = join(import.meta.dir, "../../../engine/main.ts");
      const killer = join(import.meta.dir, "../../support/kill-at.ts");
      const child = Bun.spawn(
        [
          process.execPath,
          "--preload",
          killer,
          main,
          ...args,
          "--yes",
          "--cluster",
          "pat",
          "--quiet",
        ],
        {
          cwd: world.home,
          env: { PATH: process.env["PATH"] ?? "", KILL_AT: "sent 1", ...env },
          stdin: "ignore",
          stdout: "ignore",
          stderr: "ignore",
        },
      );
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
      const { runs } = (await run("runs")).envelope.data;
      const [{ id }] = runs.filter(({ status }: any) => status === "dead");
      return pgdba(["resume", id, "--quiet"], env);
    }

    test("replica reinit that was killed in the middle is waited for by resume, and not begun again", async () => {
      const resumed = await killedAndResumed("replica", "reinit", standbys[1]!);
      expect(resumed.envelope.error).toBeNull();
      expect(resumed.envelope.data).toMatchObject({ member: standbys[1], leader });
    }, 300_000);

    test("a switchover whose run was killed is found by resume, and not asked for again", async () => {
      await mkdir(join(world.home, "runbooks/team"), { recursive: true });
      await writeFile(
        join(world.home, "runbooks/team/move.yaml"),
        `summary: Hand the role over
risk: disruptive
needs: [patroni]
params: {to: {type: string, required: true, positional: 1}}
steps:
  - id: moved
    patroni.switchover: {candidate: "\${params.to}"}
output: {leader: steps.moved.output.leader, before: steps.moved.output.before}
`,
      );
      const resumed = await killedAndResumed("run", "team/move", standbys[1]!);
      expect(resumed.envelope.error).toBeNull();
      expect(resumed.envelope.data).toMatchObject({ leader: standbys[1], before: leader });
      // The role has moved once.
      const at = world.cluster.members.findIndex(({ name }) => name === standbys[1]);
      await until(async () => (await world.cluster.get("/patroni", at)).timeline === 2);
    }, 300_000);
  },
);
