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
    }, 300_000);
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
    async function patch(part: object): Promise<void> {
      const answer = await fetch(`${ha.cluster.members[0]!.api}/config`, {
        method: "PATCH",
        headers: {
          authorization: `Basic ${btoa(`${ha.cluster.apiUser}:${ha.cluster.apiPassword}`)}`,
        },
        body: JSON.stringify(part),
      });
      expect(answer.status).toBe(200);
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
      const [done] = await Promise.all([
        run("failover", "trigger", "--target", to!, "--yes"),
        // The follower need not hear from the run that the role has moved.
        ha.until(
          async () => (await ha.follower()).paused?.until_primary === to,
          "the follower waits for it",
        ),
      ]);
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
      const client = await ha.client(to!);
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
    }, 300_000);

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
    }, 300_000);

    test("what speaks against it is told together, and nobody has waited", async () => {
      const leader = await ha.leader();
      const refused = await run("failover", "trigger", "--target", "pg9", "--yes");
      expect([refused.exit, refused.envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(refused.envelope.error.message).toContain("There is no member pg9");
      expect(refused.envelope.data).toMatchObject({ old_primary: leader });
      expect(refused.envelope.data?.moved ?? false).toBe(false);
      const plan = await run("failover", "trigger", "--plan");
      expect(plan.envelope.error).toBeNull();
      const forced = await run("failover", "trigger", "--force", "--yes");
      expect(forced.envelope.error.message).toContain(`${leader} holds the leader key`);
      expect(forced.envelope.data?.moved ?? false).toBe(false);
      expect((await run("failover", "trigger")).envelope.error.code).toBe("approval_needed");
      await settled(leader);
    }, 300_000);

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
    }, 300_000);

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
        // Before the wish clients wait for the run; after it, they go on as soon as the role has moved, though the run is dead.
        if (when === "before" && post === "/switchover")
          expect((await ha.follower()).paused?.holder).toBe(id);
        if (post === "/resume") {
          const client = await throughPooler();
          await client.query("SELECT 1");
          await client.end();
          expect(await ha.follower()).toMatchObject({ paused: null, route: { member: to } });
        }
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
      expect(performance.now() - waited).toBeLessThan(20_000);
      await client.end();
      const late = await pgdba(["resume", id, "--quiet"], ha.env);
      expect([late.exit, late.envelope.error.run.status]).toEqual([5, "undone"]);
      expect(late.envelope.error.message).toContain("not held back any more");
      await settled(leader);
    }, 300_000);

    test("what Patroni itself refuses while clients wait lets them go on at the old primary", async () => {
      const leader = await ha.leader();
      await patch({ synchronous_mode: true });
      const asynchronous = await ha.standbys().then(async ([one]) => {
        let found: string | undefined;
        await ha.until(async () => {
          const { members } = await ha.cluster.get("/cluster");
          found = members.find(({ role }: any) => role === "replica")?.name;
          return members.some(({ role }: any) => role === "sync_standby") && found !== undefined;
        }, "a synchronous standby");
        return found ?? one!;
      });
      const told = await run("failover", "trigger", asynchronous, "--yes");
      expect(told.envelope.error.message).toContain(
        `${asynchronous} is not among the synchronous standbys`,
      );
      const refused = await run("failover", "trigger", asynchronous, "--yes", "--accept-data-loss");
      expect([refused.exit, refused.envelope.error.code]).toEqual([5, "step_refused"]);
      expect(refused.envelope.error.step).toBe("handed/switch");
      expect(refused.envelope.data?.moved ?? false).toBe(false);
      await settled(leader);
      await patch({ synchronous_mode: null });
    }, 300_000);

    test("all members restart one by one, with the role handed on or kept, and clients only wait", async () => {
      const { host, port } = ha.pooler;
      const { user, password } = ha.cluster;
      const starts = async (): Promise<string[]> => {
        const sql = "SELECT pg_postmaster_start_time()::text AS at";
        return Promise.all(
          ha.cluster.members.map(async ({ name }) => (await ha.sql(name, sql))[0].at),
        );
      };
      for (const keep of [[], ["--keep-leader"]]) {
        const [leader, before] = [await ha.leader(), await starts()];
        const writer = await startWriter({ host, port, user, password, database: "postgres" });
        const done = await run("cluster", "restart", "--yes", ...keep);
        expect(done.envelope.error).toBeNull();
        await writer.next();
        const seen = await writer.stop();
        expect([seen.failed, seen.unknown, seen.refused]).toEqual([0, 0, 0]);
        const { data } = done.envelope;
        expect(data.restarted).toHaveLength(3);
        expect(data.restarted[2].name).toBe(leader);
        expect(data.new_primary === leader).toBe(keep.length > 0);
        expect(data.client).toMatchObject({ failed: 0, unknown: 0, lost: 0 });
        const after = await starts();
        expect(after.filter((at, n) => at === before[n])).toEqual([]);
        await settled(data.new_primary);
      }
    }, 300_000);

    test("a change of settings restarts the primary in its place, and clients only wait", async () => {
      const { host, port } = ha.pooler;
      const { user, password } = ha.cluster;
      const leader = await ha.leader();
      const writer = await startWriter({ host, port, user, password, database: "postgres" });
      const values = ["--settings", JSON.stringify({ max_connections: 50 })];
      const done = await run("config", "apply-restart", "--yes", ...values);
      expect(done.envelope.error).toBeNull();
      await writer.next();
      const seen = await writer.stop();
      expect([seen.failed, seen.unknown, seen.refused]).toEqual([0, 0, 0]);
      const { restarted, pending_restart, client } = done.envelope.data;
      expect(restarted.filter(({ name }: any) => name === leader)).toHaveLength(1);
      expect([restarted.length >= 3, pending_restart]).toEqual([true, []]);
      expect(client).toMatchObject({ failed: 0, unknown: 0, lost: 0 });
      expect(await ha.sql(leader, "SELECT current_setting('max_connections') AS it")).toEqual([
        { it: "50" },
      ]);
      await settled(leader);
    }, 300_000);

    // The last one: a member is dead after it.
    test("by force: not while the key is held; then only with the loss accepted, which is told", async () => {
      // On the first timeline Patroni's history does not tell who led.
      expect((await run("failover", "trigger", "--yes")).envelope.error).toBeNull();
      const leader = await ha.leader();
      const at = ha.cluster.members.findIndex(({ name }) => name === leader);
      // While Patroni is paused it does not fail over by itself.
      await patch({ pause: true });
      await ha.until(async () => (await ha.cluster.get("/cluster", at)).pause === true, "a pause");
      const [{ pid }] = await ha.sql(
        leader,
        "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid",
      );
      await ha.cluster.signal(at, "SIGKILL");
      process.kill(pid, "SIGQUIT");
      const held = await run("failover", "trigger", "--force", "--accept-data-loss", "--yes");
      expect([held.exit, held.envelope.error.code]).toEqual([1, "assertion_failed"]);
      expect(held.envelope.error.message).toContain(`${leader} holds the leader key`);
      const other = ha.cluster.members.findIndex(({ name }) => name !== leader);
      await ha.until(
        async () => {
          const { members } = await ha.cluster.get("/cluster", other);
          return members.every(({ role }: any) => role !== "leader");
        },
        "the key has expired",
        40_000,
      );
      const refused = await run("failover", "trigger", "--force", "--yes");
      expect(refused.exit).toBe(1);
      expect(refused.envelope.error.message).toContain(
        `Whether ${leader} still takes writes is not seen`,
      );
      expect(refused.envelope.error.message).toContain(
        `${leader} can't be asked: what was written there`,
      );
      const taken = await run("failover", "trigger", "--force", "--accept-data-loss", "--yes");
      expect(taken.envelope.error).toBeNull();
      const { data } = taken.envelope;
      expect(data.moved).toBe(true);
      expect(data.new_primary).not.toBe(leader);
      expect(data.at_risk).toBe(0);
      expect(data.warnings.join()).toContain(`Whether ${leader} still takes writes is not seen`);
      const client = await throughPooler();
      await client.query("SELECT pg_current_xact_id()");
      await client.end();
    }, 300_000);
  },
);
