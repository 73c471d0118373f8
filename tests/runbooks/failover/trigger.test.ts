import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "pg";
import { type Ended, pgdba } from "../config/cli.ts";
import { type Ha, haMissing, startHa } from "../../support/ha.ts";
import { startWriter } from "../../support/writer.ts";

const missing = haMissing();
const PRELOAD = join(import.meta.dir, "driver.ts");

describe.skipIf(missing !== null)(
  `a switchover through PgBouncer${missing === null ? "" : ` (${missing})`}`,
  () => {
    let ha: Ha;

    beforeAll(async () => {
      ha = await startHa(3);
    }, 90_000);
    afterAll(() => ha?.stop());

    const run = (...args: string[]): Promise<Ended> =>
      pgdba([...args, "--cluster", "ha", "--quiet"], ha.env);

    /** Nobody is held back any more, and all stream from the member that is named. */
    async function settled(leader: string): Promise<void> {
      await ha.until(async () => {
        const { paused, route } = await ha.follower();
        return paused === null && route?.member === leader;
      }, `clients go to ${leader}`);
      await ha.whole();
      expect(await ha.leader()).toBe(leader);
    }
    async function throughPooler(): Promise<Client> {
      const { host, port } = ha.pooler;
      const { user, password } = ha.cluster;
      const client = new Client({ host, port, user, password, database: "postgres" });
      client.on("error", () => {});
      await client.connect();
      return client;
    }

    test("clients only wait: no transaction fails and none is lost", async () => {
      const { host, port } = ha.pooler;
      const { user, password } = ha.cluster;
      const writer = await startWriter({ host, port, user, password, database: "postgres" });
      const before = await ha.leader();
      const [to] = await ha.standbys();
      const done = await run("failover", "trigger", "--target", to!, "--yes");
      expect(done.envelope.error).toBeNull();
      const { data } = done.envelope;
      expect([data.moved, data.old_primary, data.new_primary, data.timeline]).toEqual([
        true,
        before,
        to,
        2,
      ]);
      await writer.next();
      const seen = await writer.stop();
      expect([seen.failed, seen.unknown, seen.refused, seen.failures]).toEqual([0, 0, 0, []]);
      expect(seen.acknowledged).toBeGreaterThan(100);
      const { host: at, port: on } = ha.cluster.members.find(({ name }) => name === to)!;
      const client = new Client({ host: at, port: on, user, password, database: "postgres" });
      await client.connect();
      expect(await writer.check(client)).toEqual({ lost: [], ghosts: [] });
      await client.end();
      // What the run says of itself agrees with what another client saw.
      expect(data.client).toMatchObject({
        through: "pgbouncer1",
        failed: 0,
        unknown: 0,
        refused: 0,
        lost: 0,
        errors: [],
      });
      expect(data.client.acknowledged).toBeGreaterThan(10);
      expect(Math.abs(data.client.longest_gap_ms - seen.longestGapMs)).toBeLessThan(1500);
      expect((await ha.follower()).paused).toBeNull();
      await ha.whole();
    }, 90_000);

    test("it goes back to where a run found it, and by one move without a run's name", async () => {
      const first = await ha.leader();
      const [to] = await ha.standbys();
      const there = await run("failover", "trigger", to!, "--yes");
      expect(there.envelope.error).toBeNull();
      const back = await run("failover", "rollback", there.envelope.data.run.id, "--yes");
      expect(back.envelope.error).toBeNull();
      expect(back.envelope.data).toMatchObject({
        moved: true,
        old_primary: to,
        new_primary: first,
      });
      await settled(first);
      const again = await run("failover", "rollback", "--yes");
      expect(again.envelope.error).toBeNull();
      expect(again.envelope.data).toMatchObject({ moved: true, new_primary: to });
      // Asked for what is already so, nothing is moved.
      const idle = await run("failover", "trigger", "--target", to!, "--yes");
      expect([idle.exit, idle.envelope.data.moved, idle.envelope.data.new_primary]).toEqual([
        0,
        false,
        to,
      ]);
      await settled(to!);
    }, 120_000);

    test("what speaks against it is told together, and nobody has waited", async () => {
      const leader = await ha.leader();
      const refused = await run("failover", "trigger", "--target", "pg9", "--yes");
      expect([refused.exit, refused.envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(refused.envelope.error.message).toContain("There is no member pg9");
      const plan = await run("failover", "trigger", "--plan");
      expect(plan.envelope.error).toBeNull();
      const forced = await run("failover", "trigger", "--force", "--yes");
      expect(forced.envelope.error.message).toContain(`${leader} holds the leader key`);
      expect((await run("failover", "trigger")).envelope.error.code).toBe("approval_needed");
      await settled(leader);
    }, 60_000);

    test("a transaction that does not end: clients go on at the old primary, or it is ended when that is asked for", async () => {
      const leader = await ha.leader();
      const busy = await throughPooler();
      await busy.query("BEGIN");
      await busy.query("SELECT pg_current_xact_id()");
      const failed = await run("failover", "trigger", "--yes", "--pause-wait", "300ms");
      expect([failed.exit, failed.envelope.error.code]).toEqual([5, "timeout"]);
      await settled(leader);
      await busy.query("SELECT 1");
      const done = await run(
        "failover",
        "trigger",
        "--yes",
        "--cancel-transactions",
        "--long-transaction",
        "100ms",
      );
      expect(done.envelope.error).toBeNull();
      expect(done.envelope.data.moved).toBe(true);
      await busy.end().catch(() => {});
      await settled(done.envelope.data.new_primary);
    }, 90_000);

    /** Starts a switchover that dies by SIGKILL, and gives its id. */
    async function killed(at: { post: string; when: string }, ...args: string[]): Promise<string> {
      const died = await pgdba(
        ["failover", "trigger", ...args, "--yes", "--cluster", "ha", "--quiet"],
        { ...ha.env, KILL_POST: at.post, KILL_WHEN: at.when },
        PRELOAD,
      );
      expect(died.signal).toBe("SIGKILL");
      return (await pgdba(["runs", "--quiet"], ha.env)).envelope.data.runs[0].id;
    }

    test.each([
      ["/pause", "after"],
      ["/switchover", "before"],
      ["/switchover", "during"],
      ["/resume", "before"],
    ])(
      "killed at POST %s, %s: resume finishes it, and clients go on",
      async (post, when) => {
        const [to] = await ha.standbys();
        const id = await killed({ post, when }, "--target", to!);
        if (post !== "/pause") expect((await ha.follower()).paused?.holder).toBe(id);
        const resumed = await pgdba(["resume", id, "--quiet"], ha.env);
        expect(resumed.envelope.error).toBeNull();
        expect(resumed.envelope.data).toMatchObject({ moved: true, new_primary: to });
        // Whoever measured died with the process, and nothing is made up in its place.
        expect(resumed.envelope.data.client.longest_gap_ms).toBeNull();
        await settled(to!);
      },
      120_000,
    );

    test("killed while clients wait, and nobody resumes: they go on at the cap, and a late resume moves nothing", async () => {
      const leader = await ha.leader();
      const id = await killed({ post: "/switchover", when: "before" }, "--pause-cap", "2s");
      const client = await throughPooler();
      const waited = performance.now();
      await client.query("SELECT 1");
      expect(performance.now() - waited).toBeLessThan(4000);
      await client.end();
      const late = await pgdba(["resume", id, "--quiet"], ha.env);
      expect([late.exit, late.envelope.error.run.status]).toEqual([5, "undone"]);
      expect(late.envelope.error.message).toContain("not held back any more");
      await settled(leader);
    }, 60_000);
  },
);
