import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { systemClock } from "../../../engine/clock.ts";
import { validate } from "../../../engine/shared/validate.ts";
import type { Effect, StepType } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import check from "../../../steps/chaos/check.ts";
import load from "../../../steps/chaos/load.ts";
import mark from "../../../steps/chaos/mark.ts";
import observe from "../../../steps/chaos/observe.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import { type Ha, haMissing, startHa } from "../../support/ha.ts";
import { through } from "../../support/target.ts";

setDefaultTimeout(300_000);
const missing = haMissing();

describe.skipIf(missing !== null)(
  `drills on a real cluster${missing === null ? "" : ` (${missing})`}`,
  () => {
    let ha: Ha;
    const close: (() => Promise<unknown>)[] = [];

    beforeAll(async () => {
      ha = await startHa(2);
      // A member whose history has gone astray is made anew.
      await setConfig(ha, { postgresql: { remove_data_directory_on_diverged_timelines: true } });
    });
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
        run: { id: run, runbook: "chaos/trial", stateDir: ha.home },
      });
      close.push(async () => {
        await context.close();
        await target.close();
      });
      return context;
    }
    async function run(step: StepType, input: object, context: FakeContext): Promise<any> {
      context.does.effect = step.effect as Effect;
      const output = await step.run(context, input);
      expect(validate(step.output, output, "the output")).toEqual([]);
      return output;
    }
    const schemas = async () =>
      ha.sql(await ha.leader(), "SELECT 1 FROM pg_namespace WHERE nspname = 'pgdba_chaos'");
    const memberOf = (name: string) =>
      ha.cluster.members.findIndex((member) => member.name === name);
    /** The old leader is gone at once, and its key with it. */
    async function kill(leader: string): Promise<void> {
      await ha.cluster.crash(memberOf(leader));
      await ha.cluster.expireLeader();
    }
    const held = (output: any, name: string) =>
      output.hypotheses.find((one: { name: string }) => one.name.includes(name))?.held;

    test("without a fault all is valid, by both ways, and nothing of the load stays", async () => {
      const ctx = await contextOf("20260101T000000-quiet");
      const begun = await run(load, { warm_up: 200, params: { host: "pg1", dry: false } }, ctx);
      expect(begun).toMatchObject({ ways: ["direct", "pooled"], members: ["pg1", "pg2"] });
      const seen = await run(observe, { drill: begun.id }, ctx);
      expect([...seen.nodes].toSorted().join("")).toBe("SW");
      const quiet = await run(check, { drill: begun.id, confirmed: null, least: 100 }, ctx);
      expect(quiet.hypotheses.filter((one: { held: boolean }) => one.held !== true)).toEqual([]);
      expect(quiet).toMatchObject({
        verdict: "valid",
        lost: 0,
        most_writable: 1,
        name: "chaos/trial",
      });
      expect(quiet.command).toBe("pgdba run chaos/trial --host pg1 --no-dry --cluster ha");
      expect(await schemas()).toEqual([]);
      // Done again, as after a crash, it gives what was found, and nothing more is asked.
      expect(
        await run(
          check,
          { drill: begun.id, confirmed: null },
          await contextOf("20260101T000000-quiet"),
        ),
      ).toEqual(quiet);
      // A fault that nobody saw proves nothing.
      const again = await contextOf("20260101T000001-noop");
      const noop = await run(load, { warm_up: 50 }, again);
      await run(observe, { drill: noop.id }, again);
      await run(mark, { drill: noop.id, phase: "inject" }, again);
      await Bun.sleep(1200);
      const unproven = await run(
        check,
        { drill: noop.id, confirmed: false, healed: true, least: 1000 },
        again,
      );
      expect(unproven.verdict).toBe("unknown");
      // A cluster that is quick is left fewer writes than are needed by then: they are waited for.
      expect([
        held(unproven, "took effect"),
        held(unproven, "under load"),
        held(unproven, "lost"),
        held(unproven, "enough"),
      ]).toEqual([null, true, true, true]);
    });

    test("a load whose process has died is begun anew; a drill that went on without it is unknown", async () => {
      const id = "20260101T000006-died";
      const first = await contextOf(id);
      const begun = await run(load, { warm_up: 20 }, first);
      expect(await load.probe!(first, {})).toEqual({ state: "not_done" });
      // Another process knows nothing of it. The first one writes no more, as if it had been killed.
      await first.close();
      const resumed = await contextOf(id);
      await expect(run(observe, { drill: begun.id }, resumed)).rejects.toMatchObject({
        code: "step_refused",
      });
      const cut = await run(check, { drill: begun.id, confirmed: null, least: 10 }, resumed);
      expect(cut).toMatchObject({ verdict: "unknown", lost: 0 });
      expect(held(cut, "the record is whole")).toBeNull();
      const again = await contextOf(id);
      expect(await run(load, { warm_up: 20 }, again)).toMatchObject({ id: begun.id });
      await run(observe, { drill: begun.id }, again);
      expect(
        await run(check, { drill: begun.id, confirmed: null, least: 10 }, again),
      ).toMatchObject({
        verdict: "valid",
      });
    });

    test("the undo ends the load and removes its tables; a schema of somebody else is refused, and left", async () => {
      const ctx = await contextOf("20260101T000002-undone");
      await run(load, { warm_up: 10 }, ctx);
      expect(await schemas()).toHaveLength(1);
      await load.undo!(ctx, {}, undefined);
      expect(await schemas()).toEqual([]);
      await load.undo!(ctx, {}, undefined);
      expect(ctx.recorded.unchanged).toBe(1);
      await ha.sql(await ha.leader(), "CREATE SCHEMA pgdba_chaos");
      const other = await contextOf("20260101T000003-other");
      await expect(run(load, { warm_up: 10 }, other)).rejects.toMatchObject({
        code: "step_refused",
      });
      await load.undo!(other, {}, undefined);
      expect(await schemas()).toHaveLength(1);
      await ha.sql(await ha.leader(), "DROP SCHEMA pgdba_chaos");
      await expect(run(observe, { drill: "none" }, other)).rejects.toMatchObject({
        code: "step_refused",
      });
      await expect(run(check, { drill: "../none", confirmed: null }, other)).rejects.toMatchObject({
        code: "invalid_param",
      });
      expect(await run(mark, { drill: "none", phase: "heal" }, other)).toEqual({
        at_ms: null,
        acknowledged: 0,
      });
    });

    test("in asynchronous mode a standby that lags and a kill lose writes: it is seen, by id", async () => {
      const ctx = await contextOf("20260101T000004-async");
      const [leader, [standby]] = [await ha.leader(), await ha.standbys()];
      const begun = await run(load, { warm_up: 100 }, ctx);
      await run(observe, { drill: begun.id }, ctx);
      // The standby receives nothing more, and its Patroni does not see to it.
      await ha.cluster.signal(memberOf(standby!), "SIGSTOP");
      await ha.sql(standby!, "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'");
      await ha.sql(standby!, "SELECT pg_reload_conf()");
      await ha.until(
        async () => (await ha.sql(leader, "SELECT 1 FROM pg_stat_replication")).length === 0,
        "nothing is sent to the standby",
      );
      await Bun.sleep(1000);
      await run(mark, { drill: begun.id, phase: "inject", text: `kill ${leader}` }, ctx);
      await kill(leader);
      await ha.sql(standby!, "ALTER SYSTEM RESET primary_conninfo");
      await ha.cluster.signal(memberOf(standby!), "SIGCONT");
      await ha.until(async () => (await ha.leader()) === standby, "the standby leads");
      await ha.cluster.begin(memberOf(leader));
      await ha.whole();
      const lossy = await run(
        check,
        { drill: begun.id, confirmed: true, healed: true, least: 100 },
        ctx,
      );
      expect(lossy.verdict).toBe("invalid");
      expect(lossy.lost).toBeGreaterThan(50);
      expect(lossy.lost_span_ms).toBeGreaterThan(500);
      expect(lossy.lost_wal_bytes).toBeGreaterThan(1000);
      expect(lossy.rewound).toBeGreaterThan(0);
      expect([
        lossy.duplicate,
        lossy.dirty,
        lossy.phantom,
        lossy.split,
        lossy.most_writable,
      ]).toEqual([0, 0, 0, 0, 1]);
      expect([
        held(lossy, "lost"),
        held(lossy, "hold the same"),
        held(lossy, "at most one"),
      ]).toEqual([false, true, true]);
      expect(await schemas()).toEqual([]);
    });

    test("in strict synchronous mode nothing is lost, and the way back is told in its parts", async () => {
      const ctx = await contextOf("20260101T000005-strict");
      const [from, [to]] = [await ha.leader(), await ha.standbys()];
      await setConfig(ha, { synchronous_mode: true, synchronous_mode_strict: true });
      await ha.until(
        async () =>
          (await ha.sql(from, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
            .length === 1,
        "the standby is synchronous",
      );
      const begun = await run(load, { warm_up: 100, inside: from }, ctx);
      expect(begun.ways).toEqual(["direct", "pooled", "inside"]);
      await run(observe, { drill: begun.id }, ctx);
      await run(mark, { drill: begun.id, phase: "inject", text: `kill ${from}` }, ctx);
      await kill(from);
      await ha.until(async () => (await ha.leader()) === to, "the standby leads");
      await ha.cluster.begin(memberOf(from));
      await ha.whole();
      await Bun.sleep(500);
      const strict = await run(
        check,
        { drill: begun.id, confirmed: true, healed: true, least: 100, max_gap: "60s" },
        ctx,
      );
      expect(strict.hypotheses.filter((one: { held: boolean }) => one.held !== true)).toEqual([]);
      expect(strict).toMatchObject({
        verdict: "valid",
        lost: 0,
        duplicate: 0,
        dirty: 0,
        split: 0,
        forks: 0,
        most_writable: 1,
      });
      expect(strict.promote_ms).toBeGreaterThanOrEqual(0);
      expect(strict.redundancy_ms).toBeGreaterThan(0);
      // The client of the old leader alone was never let in again, and that breaks no promise.
      const [inside] = strict.gaps.splice(2);
      expect(inside).toMatchObject({ way: "inside", up_after_ms: null });
      for (const way of strict.gaps) {
        expect(way.longest_gap_ms).toBeGreaterThan(100);
        expect(way.up_after_ms).toBeGreaterThan(0);
      }
    });
  },
);

async function setConfig({ cluster }: Ha, patch: object): Promise<void> {
  const credentials = Buffer.from(`${cluster.apiUser}:${cluster.apiPassword}`).toString("base64");
  const answer = await fetch(`${cluster.members[0]!.api}/config`, {
    method: "PATCH",
    headers: { authorization: `Basic ${credentials}` },
    body: JSON.stringify(patch),
  });
  if (!answer.ok) throw new Error(`Patroni answered ${answer.status}`);
}
