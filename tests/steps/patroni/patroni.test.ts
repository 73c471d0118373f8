/** The steps of Patroni on one real cluster; each test leaves it with all members streaming. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import discover from "../../../steps/cluster/discover.ts";
import topology from "../../../steps/cluster/topology.ts";
import cancelSwitchover from "../../../steps/patroni/cancel-switchover.ts";
import cluster from "../../../steps/patroni/cluster.ts";
import failover from "../../../steps/patroni/failover.ts";
import history from "../../../steps/patroni/history.ts";
import pause from "../../../steps/patroni/pause.ts";
import reinitialize from "../../../steps/patroni/reinitialize.ts";
import reload from "../../../steps/patroni/reload.ts";
import resume from "../../../steps/patroni/resume.ts";
import switchover from "../../../steps/patroni/switchover.ts";
import dcsHealth from "../../../steps/dcs/health.ts";
import dcsLeader from "../../../steps/dcs/leader.ts";
import removeLeader from "../../../steps/dcs/remove-leader.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { fakeContext } from "../../support/context.ts";
import { patroniMissing } from "../../support/patroni.ts";
import { contextOf, did, startWorld, until, type World } from "./support.ts";

const missing = patroniMissing();

describe.skipIf(missing !== null)(
  `the steps of Patroni${missing === null ? "" : ` (${missing})`}`,
  () => {
    let world: World;
    const context = (noted?: object) => contextOf(world, noted as never);

    beforeAll(async () => {
      world = await startWorld(3);
    }, 300_000);
    afterAll(() => world?.end());

    async function roles(): Promise<{ leader: string; standbys: string[] }> {
      const { leader, members } = await did(cluster, {}, context());
      const standbys = members
        .map(({ name }: any) => name)
        .filter((name: string) => name !== leader);
      return { leader, standbys };
    }
    const numberOf = (name: string) =>
      world.cluster.members.findIndex((member) => member.name === name);
    async function streaming(count = 2): Promise<void> {
      await until(async () => {
        const { leader } = await roles();
        const { replication = [] } = await world.cluster.get("/patroni", numberOf(leader));
        return replication.filter(({ state }: any) => state === "streaming").length === count;
      });
    }

    test("patroni.cluster tells who leads", async () => {
      const output = await did(cluster, {}, context());
      expect(output).toMatchObject({ pause: false, scheduled_switchover: null });
      expect(output["members"].map(({ name }: any) => name)).toEqual(["pg1", "pg2", "pg3"]);
      expect(output["leader"]).toMatch(/^pg\d$/);
      expect((await did(history, {}, context()))["lines"]).toEqual([]);
    });

    test("cluster.topology tells who leads, who follows and how far, from all that answer", async () => {
      const now = await did(topology, {}, context());
      const { leader, standbys } = await roles();
      expect(now).toMatchObject({ cluster: "pat", leader, timeline: 1 });
      expect(now["guard"].why).toContain("no guard can run");
      expect(now["members"].map(({ name }: any) => name)).toEqual(["pg1", "pg2", "pg3"]);
      for (const { name, role, replay_lag_bytes } of now["members"]) {
        expect(`${name} ${role}`).toBe(`${name} ${name === leader ? "leader" : "replica"}`);
        if (standbys.includes(name)) expect(replay_lag_bytes).toBeLessThan(64 * 1024 * 1024);
      }
      expect(now["topology"]).toContain(leader);
      expect(now["dcs"]).toMatchObject({ quorum: true });
    });

    test("cluster.discover finds all members from one, and the parts of an entry; a password that is not set is named", async () => {
      const found = (more: object = {}, stateDir = "/nonexistent") => {
        const { user, etcd, members } = world.cluster;
        const ctx = fakeContext({
          clock: systemClock,
          env: world.env,
          run: { stateDir },
          target: { cluster: "shop" },
        });
        const input = {
          patroni_url: [members[1]!.api],
          pg_user: user,
          password_env: "SQL_PASSWORD",
          sslmode: "disable",
          patroni_user: world.cluster.apiUser,
          patroni_password_env: "API_PASSWORD",
          etcd: [etcd],
          ...more,
        };
        return did(discover, input, ctx).then((output) => ({ output, ctx }));
      };
      const { output, ctx } = await found();
      const { leader } = await roles();
      expect(output).toMatchObject({ scope: "test", leader, problems: [] });
      expect(output["members"].every(({ reached }: any) => reached)).toBe(true);
      expect(output["entry"].nodes).toHaveLength(3);
      expect(output["beside"].dcs).toMatchObject({ kind: "etcd3" });
      expect(ctx.recorded.secrets).toContain(world.env["SQL_PASSWORD"]!);
      expect(JSON.stringify(output)).not.toContain(world.env["SQL_PASSWORD"]!);
      expect(await codeOf(found({ password_env: "NOT_SET" }))).toBe("missing_secret");
      expect(await codeOf(found({ pgbouncer: ["no place"] }))).toBe("invalid_param");
      const standby = world.cluster.members.find(({ name }) => name !== leader)!;
      const wrong = { pg_host: standby.host, pg_port: standby.port };
      expect(await codeOf(found(wrong))).toBe("step_refused");
    });

    test("patroni.pause and patroni.resume take each other back, and leave alone what was so before", async () => {
      const pausing = context();
      expect(await did(pause, {}, pausing)).toEqual({ pause: true, already: false, silent: [] });
      const again = context();
      expect(await did(pause, {}, again)).toEqual({ pause: true, already: true, silent: [] });
      expect(again.recorded.unchanged).toBe(1);
      await pause.undo!(again, {}, undefined);
      expect((await did(cluster, {}, context()))["pause"]).toBe(true);
      // A second attempt of the same step, after a crash: what it notes is of before the first.
      expect(await did(pause, {}, pausing)).toEqual({ pause: true, already: false, silent: [] });
      await pause.undo!(pausing, {}, undefined);
      expect((await did(cluster, {}, context()))["pause"]).toBe(false);

      await did(pause, {}, context());
      const resuming = context();
      expect(await did(resume, {}, resuming)).toMatchObject({ pause: false, already: false });
      await resume.undo!(resuming, {}, undefined);
      expect((await did(cluster, {}, context()))["pause"]).toBe(true);
      await did(resume, {}, context());
    });

    test("patroni.pause warns of a member that is silent", async () => {
      const { standbys } = await roles();
      const frozen = numberOf(standbys[0]!);
      await world.cluster.signal(frozen, "SIGSTOP");
      const ctx = context();
      try {
        expect(await did(pause, {}, ctx)).toMatchObject({ silent: [standbys[0]] });
        expect(ctx.recorded.warnings[0]).toContain(standbys[0]!);
      } finally {
        await world.cluster.signal(frozen, "SIGCONT");
      }
      await did(resume, {}, context());
    }, 300_000);

    test("patroni.reload reaches a member's own configuration", async () => {
      const { standbys } = await roles();
      const one = numberOf(standbys[0]!);
      await world.cluster.configure(one, { tags: { noloadbalance: true } });
      expect(await did(reload, { members: [standbys[0]] }, context())).toEqual({
        reloaded: [standbys[0]],
      });
      await until(async () => (await world.cluster.get("/patroni", one)).tags?.noloadbalance);
      await world.cluster.configure(one, {});
      expect(await did(reload, {}, context())).toEqual({ reloaded: ["pg1", "pg2", "pg3"] });
      expect(await codeOf(did(reload, { members: ["pg9"] }, context()))).toBe("invalid_param");
    });

    test("patroni.switchover hands over, keeps what was before, and its probe finds that it happened", async () => {
      const { leader, standbys } = await roles();
      const candidate = standbys[0]!;
      const ctx = context();
      expect(await switchover.plan!(ctx, { candidate })).toMatchObject({
        leader,
        leads_now: leader,
      });
      // A crash before Patroni was asked.
      const before = { leader, timeline: 1, candidate, scheduled_at: null };
      expect(await switchover.probe!(context(), {})).toEqual({ state: "not_done" });
      expect(await switchover.probe!(context(before), {})).toEqual({ state: "not_done" });
      const output = await did(switchover, { candidate }, ctx);
      expect(output).toEqual({
        before: leader,
        leader: candidate,
        asked: candidate,
        as_asked: true,
        scheduled: null,
        timeline: 2,
      });
      expect(ctx.recorded.notes).toEqual([before]);
      expect(await switchover.probe!(context(before), {})).toEqual({ state: "done", output });
      const other = await switchover.probe!(context({ ...before, candidate: standbys[1] }), {});
      expect(other).toMatchObject({
        state: "done",
        output: { leader: candidate, as_asked: false },
      });
      // The one of before does not lead any more.
      expect(await codeOf(did(switchover, { leader, candidate }, context()))).toBe("step_refused");
      const again = context();
      expect(await did(switchover, { candidate }, again)).toMatchObject({ leader: candidate });
      expect(again.recorded.unchanged).toBe(1);
      await streaming();
      await until(async () => (await did(history, {}, context()))["lines"].length === 1);
      expect((await did(history, {}, context()))["lines"][0]).toMatchObject({
        timeline: 1,
        leader: candidate,
      });
    }, 300_000);

    test("patroni.switchover is scheduled, found by its probe, and cancelled", async () => {
      const { leader, standbys } = await roles();
      const scheduled_at = "2099-01-01T00:00:00Z";
      const input = { candidate: standbys[0], scheduled_at };
      const ctx = context();
      const output = await did(switchover, input, ctx);
      expect(output).toMatchObject({ leader: null, scheduled: { from: leader, to: standbys[0] } });
      expect(await switchover.probe!(context(ctx.noted as object), input)).toMatchObject({
        state: "done",
        output: { scheduled: { from: leader } },
      });
      expect(await cancelSwitchover.plan!(context(), {})).toMatchObject({
        scheduled: { from: leader },
      });
      expect(await did(cancelSwitchover, {}, context())).toMatchObject({
        cancelled: { from: leader },
      });
      const nothing = context();
      expect(await did(cancelSwitchover, {}, nothing)).toEqual({ cancelled: null });
      expect(nothing.recorded.unchanged).toBe(1);
      expect(await switchover.probe!(context(ctx.noted as object), input)).toEqual({
        state: "not_done",
      });
    }, 300_000);

    test("patroni.failover makes a member the leader, and one that leads already is left alone", async () => {
      const { leader, standbys } = await roles();
      const ctx = context();
      expect(await did(failover, { candidate: leader }, ctx)).toMatchObject({
        leader,
        before: leader,
      });
      expect(ctx.recorded.unchanged).toBe(1);
      const candidate = standbys[0]!;
      expect(await failover.plan!(ctx, { candidate })).toEqual({ leads_now: leader, candidate });
      expect(await did(failover, { candidate }, context())).toMatchObject({
        before: leader,
        leader: candidate,
        as_asked: true,
        timeline: 3,
      });
      await streaming();
    }, 300_000);

    test("patroni.reinitialize makes a standby anew; a resumed run waits for the same copy", async () => {
      const { leader, standbys } = await roles();
      const member = standbys[0]!;
      expect(await codeOf(did(reinitialize, { member: leader }, context()))).toBe("step_refused");
      expect(await codeOf(did(reinitialize, { member: "pg9" }, context()))).toBe("invalid_param");
      expect(await reinitialize.plan!(context(), { member })).toMatchObject({ member, leader });
      const ctx = context();
      expect(await reinitialize.probe!(context(), { member })).toEqual({ state: "not_done" });
      const own = async () => world.cluster.get("/patroni", numberOf(member));
      // It streams a moment before its Patroni says that it runs.
      await until(async () => (await own()).state === "running");
      const started = (await own()).postmaster_start_time;
      expect(await reinitialize.probe!(context({ started }), { member })).toEqual({
        state: "not_done",
      });
      const running = did(reinitialize, { member }, ctx);
      await until(async () => (await own()).state !== "running");
      const later = context({ started });
      expect(await reinitialize.probe!(later, { member })).toEqual({ state: "running" });
      const attached = Object.assign(later, { attached: { job: "run-1/step", note: null } });
      expect(await did(reinitialize, { member }, attached)).toMatchObject({ member, leader });
      expect(await running).toMatchObject({ member, leader });
      expect((await own()).postmaster_start_time).not.toBe(started);
      expect(ctx.recorded.progress.length).toBeGreaterThan(0);
      expect(await reinitialize.probe!(context({ started }), { member })).toMatchObject({
        state: "done",
      });
      await streaming();
    }, 300_000);

    test("dcs.remove-leader has another member lead at once when the leader is dead, and leaves a key that is renewed", async () => {
      const { leader } = await roles();
      const health = await did(dcsHealth, {}, context());
      expect(health).toMatchObject({ quorum: true, alarms: [], members: [{ leader: true }] });
      const { key } = await did(dcsLeader, {}, context());
      expect(key).toMatchObject({ holder: leader });
      expect(key.ttl_seconds).toBeGreaterThan(10);
      expect(await removeLeader.plan!(context(), { key })).toEqual({ holds_now: leader });
      // It lives, and renews its key each second.
      await Bun.sleep(2_200);
      const ctx = context();
      expect(await did(removeLeader, { key }, ctx)).toEqual({ removed: false });
      expect(ctx.recorded.unchanged).toBe(1);
      expect(await codeOf(didAsRead(key))).toBe("step_refused");

      await world.cluster.crash(numberOf(leader));
      const dead = (await did(dcsLeader, {}, context()))["key"];
      expect(dead.holder).toBe(leader);
      const began = performance.now();
      expect(await did(removeLeader, { key: dead }, context())).toEqual({ removed: true });
      await until(async () => {
        const { leader: next } = await did(cluster, {}, context());
        if (next === null || next === leader) return false;
        const { role } = await world.cluster.get("/patroni", numberOf(next));
        return role === "master" || role === "primary";
      });
      // Its time to live is 20 s.
      expect(performance.now() - began).toBeLessThan(10_000);
      expect(await did(removeLeader, { key: dead }, context())).toEqual({ removed: false });
    }, 300_000);

    async function didAsRead(key: object): Promise<unknown> {
      const ctx = context();
      ctx.does.effect = "read";
      return removeLeader.run(ctx, { key });
    }
  },
);
