import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import { parseLsn } from "../../../engine/shared/units.ts";
import type { Effect, StepType } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import before from "../../../steps/failover/before.ts";
import checks from "../../../steps/failover/checks.ts";
import held from "../../../steps/failover/held.ts";
import mark from "../../../steps/failover/mark.ts";
import measured from "../../../steps/failover/measured.ts";
import { beyondForks, longestGap } from "../../../steps/failover/measure/writer.ts";
import probe from "../../../steps/failover/probe.ts";
import record from "../../../steps/failover/record.ts";
import settled from "../../../steps/failover/settled.ts";
import pause from "../../../steps/pgbouncer/pause.ts";
import resume from "../../../steps/pgbouncer/resume.ts";
import switchover from "../../../steps/patroni/switchover.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import { type Ha, haMissing, startHa } from "../../support/ha.ts";
import { through } from "../../support/target.ts";

const missing = haMissing();

describe.skipIf(missing !== null)(
  `the steps of a move on a real cluster${missing === null ? "" : ` (${missing})`}`,
  () => {
    let ha: Ha;
    let ctx: FakeContext;
    const close: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      ha = await startHa(2);
      ctx = await contextOf("run-1");
    }, 300_000);
    afterAll(async () => {
      for (const one of close.toReversed()) await one();
      await ha?.stop();
    });

    async function contextOf(run: string): Promise<FakeContext> {
      const target = await resolveTarget({
        flags: { cluster: "ha" },
        env: ha.env,
        stateDir: ha.home,
        onSecret: () => {},
      });
      const context = fakeContext({
        clock: systemClock,
        target: through(target),
        run: { id: run, stateDir: ha.home },
      });
      close.push(async () => {
        await context.close();
        await target.close();
      });
      return context;
    }
    function run(step: StepType, input: object, context = ctx): Promise<any> {
      context.does.effect = (
        typeof step.effect === "function" ? step.effect(input) : step.effect
      ) as Effect;
      return step.run(context, input);
    }

    test("a mark is there once it is committed, on the standby too, and nothing of it stays in a table", async () => {
      const [leader, [standby]] = [await ha.leader(), await ha.standbys()];
      const tables = async () =>
        (await ha.sql(leader, "SELECT count(*)::int AS n FROM pg_class"))[0].n;
      const had = await tables();
      const one = await run(mark, { standby, checkpoint: true });
      expect(one.checkpoint_ms).toBeNumber();
      expect(one.replayed_ms).toBeNumber();
      expect(await ha.sql(standby!, `SELECT pg_xact_status('${one.xid}'::xid8) AS it`)).toEqual([
        { it: "committed" },
      ]);
      expect(await tables()).toBe(had);
      const now = await run(settled, { leader, others: [standby], xid: one.xid });
      expect(now).toMatchObject({
        settled: true,
        writable: true,
        marked: true,
        attached: [standby],
        missing: [],
      });
      // A primary that has lost it may never have given out its id.
      const xid = String(BigInt(one.xid) + 1000n);
      const lost = await run(settled, { leader, others: [], xid });
      expect([lost.settled, lost.writable, lost.marked]).toEqual([false, true, false]);
    }, 300_000);

    test("who does not follow is told with the reason", async () => {
      const [leader, [standby]] = [await ha.leader(), await ha.standbys()];
      const turned = await run(settled, { leader: standby, others: [leader, "pg9"] });
      expect([turned.settled, turned.writable, turned.timeline]).toEqual([false, false, null]);
      expect(turned.missing).toEqual([
        { member: leader, why: "it is no standby" },
        { member: "pg9", why: expect.stringContaining("no member pg9") },
      ]);
    }, 300_000);

    test("only a transaction that is still as old is ended", async () => {
      const leader = await ha.leader();
      const sleeping = ha.sql(leader, "SELECT pg_sleep(20)").then(
        () => "slept",
        () => "ended",
      );
      let pid = 0;
      await ha.until(async () => {
        [{ pid }] = (await ha.sql(
          leader,
          "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'",
        )) as [{ pid: number }];
        return pid > 0;
      }, "it sleeps");
      expect((await run(mark, { cancel: [pid], older_than: "1h" })).cancelled).toEqual([]);
      expect((await run(mark, { cancel: [pid], older_than: "1ms" })).cancelled).toEqual([pid]);
      expect(await sleeping).toBe("ended");
      expect(mark.plan!(ctx, { cancel: [pid] })).resolves.toMatchObject({ would_end: [pid] });
    }, 300_000);

    test("a client that measures goes through PgBouncer, waits with the others, and loses nothing in a move", async () => {
      const [from, [to]] = [await ha.leader(), await ha.standbys()];
      expect(await run(probe, { members: [from, to] })).toEqual({ through: "pgbouncer1" });
      await run(pause, { cap: "30s", wait: "5s", until_primary: to });
      expect(await run(held, { or_at: to })).toEqual({ held: true, others: [] });
      expect(await run(held, {}, await contextOf("run-2"))).toEqual({
        held: false,
        others: ["pgbouncer1"],
      });
      // Our own pause speaks against nothing, another's does.
      const judged = await run(checks, { candidate: to });
      expect([judged.refused, judged.pausable]).toEqual([false, ["pgbouncer1"]]);
      expect(
        (await run(checks, { candidate: to }, await contextOf("run-3"))).reasons.join(),
      ).toContain("paused by run-1");
      await run(record, { from, to });
      await run(switchover, { leader: from, candidate: to });
      // Nobody has asked for it: the follower lets clients go at the new primary.
      await ha.until(async () => (await ha.follower()).paused === null, "clients go on");
      expect(await run(held, { or_at: to })).toEqual({ held: true, others: [] });
      expect(await run(held, { or_at: from })).toMatchObject({ held: false });
      expect(await run(resume, {})).toMatchObject({ resumed: [], routes: [{ member: to }] });
      await run(mark, {});
      await ha.whole();
      const seen = await run(measured, {});
      expect(seen).toMatchObject({
        through: "pgbouncer1",
        failed: 0,
        unknown: 0,
        refused: 0,
        lost: 0,
        errors: [],
      });
      expect(seen.longest_gap_ms).toBeGreaterThan(50);
      expect(seen.acknowledged).toBeGreaterThan(5);
      // In another process nothing was measured, and nothing is made up.
      expect((await run(measured, {}, await contextOf("run-4"))).acknowledged).toBeNull();

      const back = await run(before, { run: "run-1" });
      expect([back.member, back.leads]).toEqual([from, to]);
      // It is the cluster's first move, of which Patroni's history tells only whom it made the leader.
      expect(await run(before, {})).toMatchObject({ member: from, leads: to });
      await expect(run(before, { run: "run-9" })).rejects.toMatchObject({ code: "unknown_run" });
      await expect(run(before, { run: "../x" })).rejects.toMatchObject({ code: "unknown_run" });
      await record.undo!(ctx, { from, to }, undefined);
      await expect(run(before, { run: "run-1" })).rejects.toMatchObject({ code: "unknown_run" });
      // A process of the same run that comes later finds who led before, not who leads now.
      await run(record, { from, to });
      await run(record, { from: to, to: from });
      expect((await run(before, { run: "run-1" })).member).toBe(from);
    }, 300_000);

    test("without a way through PgBouncer the client goes to the members, and says why", async () => {
      const context = await contextOf("run-5");
      const members = [await ha.leader(), ...(await ha.standbys())];
      const use = context.target.use!;
      Object.assign(context.target, {
        async use(what: string, on: never) {
          const found: any = await use(what, on);
          if (what !== "postgres") return found;
          return { ...found, open: () => Promise.reject(new Error("no such user")) };
        },
      });
      expect(await run(probe, { members }, context)).toEqual({ through: null });
      expect(context.recorded.warnings.join()).toContain("no such user");
      await Bun.sleep(2_000);
      const seen = await run(measured, {}, context);
      expect([seen.through, seen.failed, seen.lost]).toEqual([null, 0, 0]);
      expect(seen.acknowledged).toBeGreaterThan(1);
    }, 300_000);
  },
);

const ack = (at: number, timeline: number, lsn: string) => ({
  at,
  xid: String(at),
  timeline,
  lsn: parseLsn(lsn),
});

test("the longest gap is counted to the end, and when it began", () => {
  const of = (times: number[], ended: number) =>
    longestGap({
      acknowledged: times.map((at) => ack(at, 1, "0/1")),
      failed: 0,
      unknown: 0,
      refused: 0,
      errors: new Map(),
      began: 100,
      ended,
    });
  expect(of([110, 120, 620, 630], 640)).toEqual({ ms: 500, at: 20 });
  expect(of([110, 120], 2000)).toEqual({ ms: 1880, at: 20 });
  expect(of([], 900)).toEqual({ ms: 800, at: 0 });
});

test("what was acknowledged beyond the end of its timeline is lost", () => {
  const all = [ack(1, 1, "0/100"), ack(2, 1, "0/200"), ack(3, 2, "0/300")];
  expect(beyondForks(all, new Map([[1, parseLsn("0/200")]])).map(({ at }) => at)).toEqual([2]);
  expect(beyondForks(all, new Map())).toEqual([]);
});
