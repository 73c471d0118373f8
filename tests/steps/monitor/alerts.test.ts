/** What is listed, tried and silenced at a real Prometheus and a real Alertmanager, and rules of one's own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { monitoringAccess } from "../../../providers/monitoring/client.ts";
import alerts from "../../../steps/monitor/alerts.ts";
import alertTest from "../../../steps/monitor/alert-test.ts";
import ownRule from "../../../steps/monitor/own-rule.ts";
import silence from "../../../steps/monitor/silence.ts";
import silences from "../../../steps/monitor/silences.ts";
import unsilence from "../../../steps/monitor/unsilence.ts";
import { at, cli, place, removePlaces } from "../../e2e/support.ts";
import { fakeContext } from "../../support/context.ts";
import { LocalMonitoring } from "../../support/monitoring/local.ts";
import { prometheusMissing } from "../../support/monitoring/programs.ts";

const RULES = `
groups:
  - name: rules
    interval: 1s
    rules:
      - alert: DiskUsed
        expr: vector(95)
        labels: {cluster: orders, instance: pg1, mountpoint: /data, severity: critical}
        annotations: {summary: Little room, description: "{{ $value }} percent"}
      - alert: DiskUsed
        expr: vector(95)
        labels: {cluster: orders, instance: pg1, mountpoint: /data, severity: warning}
      - alert: ReplicationLag
        expr: vector(70)
        labels: {cluster: orders, instance: pg2, severity: warning}
      - alert: LeaderChanged
        expr: vector(1)
        labels: {cluster: orders, severity: warning}
      - alert: OfOthers
        expr: vector(1)
        labels: {cluster: others, severity: warning}
      - alert: NoLeader
        expr: vector(1)
        for: 1h
        labels: {cluster: orders, severity: critical}
      - alert: TwoPrimaries
        expr: vector(0) > 1
        labels: {cluster: orders, severity: critical}
        annotations: {summary: Two primaries take writes}
      - alert: Broken
        expr: up * on () group_left () up * on () (prometheus_build_info or up)
        labels: {severity: warning}
`;

const missing = prometheusMissing("prometheus", "promtool", "amtool", "prometheus-alertmanager");

describe.skipIf(missing !== null)(`alerts${missing === null ? "" : ` (${missing})`}`, () => {
  let world: LocalMonitoring;
  beforeAll(async () => {
    world = await LocalMonitoring.start(RULES);
  }, 300_000);
  afterAll(async () => {
    await world?.stop();
    removePlaces();
  });

  const context = (run = "run-1", path = "quiet") =>
    fakeContext({
      run: { id: run },
      step: { path },
      clock: systemClock,
      target: {
        cluster: "orders",
        name: "orders",
        use: async (what) => (what === "nodes" ? world.nodes : world.access()),
      },
    });
  const listed = async (input: JsonObject = {}) =>
    (await alerts.run(context(), input)) as {
      alerts: {
        alert: string;
        severity: string;
        state: string;
        instance: string | null;
        value: number | null;
        since: string | null;
        silenced_by: string[];
        inhibited_by: string[];
        receivers: string[];
        text: string | null;
      }[];
      rules: number;
      firing: number;
      pending: number;
      told: boolean;
    };
  const one = async (alert: string, severity = "warning") =>
    (await listed()).alerts.find((each) => each.alert === alert && each.severity === severity)!;
  const silencesNow = async () =>
    ((await silences.run(context(), {})) as { silences: { id: string; matchers: string }[] })
      .silences;

  test("each rule stands with its state, its value, since when, and what keeps it from being told", async () => {
    await world.until(
      async () =>
        (await one("DiskUsed")).inhibited_by.length === 1 &&
        (await one("LeaderChanged")).receivers.length === 1 &&
        (await one("NoLeader", "critical")).state === "pending",
      "the alerts are there",
    );
    const all = await listed();
    expect(all).toMatchObject({ rules: 8, firing: 4, told: true, evaluated: true });
    expect(await one("DiskUsed", "critical")).toMatchObject({
      state: "firing",
      instance: "pg1",
      value: 95,
      since: expect.stringMatching(/^20\d\d-/),
      silenced_by: [],
      inhibited_by: [],
      receivers: ["urgent"],
      text: "95 percent",
    });
    expect((await one("DiskUsed")).inhibited_by).toEqual(["DiskUsed (pg1)"]);
    expect(await one("TwoPrimaries", "critical")).toMatchObject({
      state: "inactive",
      value: null,
      text: "Two primaries take writes",
    });
    // An alert of another cluster is none of this one.
    expect((await one("OfOthers")).state).toBe("inactive");
    expect(all.alerts[0]?.state).toBe("firing");
    expect(all.alerts.at(-1)?.state).toBe("inactive");
    expect((await listed({ states: ["pending"] })).alerts.map(({ alert }) => alert)).toContain(
      "NoLeader",
    );
  }, 300_000);

  test("without Alertmanager the rules are told, and it is said that nothing is known of silences", async () => {
    const { prometheus } = world;
    const on = { effect: "read" as const, signal: new AbortController().signal };
    const ctx = fakeContext({
      clock: systemClock,
      target: {
        cluster: "orders",
        use: async () => monitoringAccess("orders", { prometheus }, on),
      },
    });
    expect(await alerts.run(ctx, {})).toMatchObject({ told: false, rules: 8 });
    expect(ctx.recorded.warnings[0]).toContain("The entry of orders names no Alertmanager");
  });

  test("without Prometheus the alerts of Alertmanager are told with their silences, and the rules as the files have them; without both it is said that nobody tells", async () => {
    const { home } = place();
    mkdirSync(join(home, "clusters"), { recursive: true });
    const entry = { ownership: "connected", postgres: { host: "127.0.0.1", port: 9, user: "u" } };
    writeFileSync(join(home, "clusters/orders.yaml"), JSON.stringify(entry), { mode: 0o600 });
    const without = (access: ReturnType<typeof monitoringAccess>) =>
      fakeContext({
        run: { stateDir: home },
        clock: systemClock,
        target: {
          cluster: "orders",
          name: "orders",
          facts: async () => ({ capabilities: ["nodes"] }),
          use: async (what: string) => (what === "nodes" ? watching : access),
        } as never,
      });
    const watching = {
      ...world.nodes,
      list: async () => [
        { node: "monitor1", roles: ["monitoring"], state: { running: "running" } },
      ],
    };
    const gone = "http://127.0.0.1:9";
    const on = { effect: "read" as const, signal: new AbortController().signal };
    const { alertmanager } = world;
    const own = { expr: "up > 100", for: "2m", severity: "warning", summary: "much" };
    await ownRule.run(context(), { node: "monitor1", name: "Much", rule: own });
    const quiet = context("run-9");
    const wish = { of: [{ alerts: ["ReplicationLag"] }], for: "1h", why: "w" };
    await silence.run(quiet, wish);
    await world.until(
      async () => (await one("ReplicationLag")).silenced_by.length === 1,
      "the alert is silenced",
    );
    try {
      for (const access of [{ alertmanager }, { prometheus: gone, alertmanager }]) {
        const ctx = without(monitoringAccess("orders", access, on));
        const told = (await alerts.run(ctx, {})) as Awaited<ReturnType<typeof listed>>;
        expect(told).toMatchObject({ firing: 4, pending: null, told: true, evaluated: false });
        expect(told.rules).toBeGreaterThan(50);
        const named = (name: string) => told.alerts.find(({ alert }) => alert === name)!;
        expect(named("ReplicationLag")).toMatchObject({
          state: "firing",
          instance: "pg2",
          silenced_by: [expect.stringContaining("by pgdba, run run-9")],
          file: "replication.rules.yml",
          for_seconds: 30,
        });
        expect(named("NoLeader")).toMatchObject({ state: "unknown", instance: null });
        expect(named("Much")).toMatchObject({
          state: "unknown",
          file: "own.rules.yml",
          for_seconds: 120,
        });
        // Of those of a rule that no file has, that is all that is known; and none is of another cluster.
        expect(named("OfOthers")).toBeUndefined();
        expect(ctx.recorded.warnings).toEqual([
          expect.stringContaining("Only Alertmanager and the files"),
        ]);
      }
      const nobody = without(
        monitoringAccess("orders", { prometheus: gone, alertmanager: gone }, on),
      );
      expect(await alerts.run(nobody, { states: ["firing"] })).toMatchObject({
        alerts: [],
        firing: null,
        pending: null,
        told: false,
        evaluated: false,
      });
      expect(nobody.recorded.warnings).toHaveLength(2);
      // What can't be read is said, and the rest told.
      watching.exec = async () => {
        throw new PgdbaError("connection_failed", "monitor1 does not run", { hint: "" });
      };
      const dead = without(monitoringAccess("orders", { alertmanager }, on));
      expect(await alerts.run(dead, {})).toMatchObject({ firing: 4 });
      expect(dead.recorded.warnings).toContain(
        "Rules of your own are not among those shown: monitor1 does not run",
      );
    } finally {
      await silence.undo!(quiet, wish, undefined);
      await ownRule.run(context(), { node: "monitor1", name: "Much", rule: null });
    }
  }, 300_000);

  test("a silence of an alert that there is not is refused, but not for work that must go on; a member that is not watched is a warning", async () => {
    const wish = (alerts: string[], members: string[] = []) => ({
      of: [{ alerts, members }],
      for: "1h",
      why: "work",
    });
    const typo = await silence
      .run(context("run-6"), wish(["ReplicationLagg"]))
      .catch((error: unknown) => error);
    expect(typo).toMatchObject({
      code: "invalid_param",
      message: "There is no alert ReplicationLagg",
      hint: expect.stringContaining("Did you mean ReplicationLag?"),
    });
    expect(await silencesNow()).toEqual([]);
    const ctx = context("run-6");
    await silence.run(ctx, wish(["ReplicationLag"], ["nobody"]));
    expect(ctx.recorded.warnings).toEqual(["Nothing of orders that is watched is called nobody"]);
    await silence.undo!(ctx, wish([]), undefined);
    const work = context("run-6");
    await silence.run(work, { ...wish(["OfALaterPgdba"]), optional: true });
    expect(await silencesNow()).toHaveLength(1);
    await silence.undo!(work, wish([]), undefined);
    expect(await silencesNow()).toEqual([]);
    // A Prometheus that is down keeps nobody from it.
    const { alertmanager } = world;
    const half = { prometheus: "http://127.0.0.1:9", alertmanager };
    const on = { effect: "change" as const, signal: new AbortController().signal };
    const blind = fakeContext({
      clock: systemClock,
      target: { cluster: "orders", use: async () => monitoringAccess("orders", half, on) },
    });
    await silence.run(blind, wish(["ReplicationLag"], ["pg2"]));
    expect(await silencesNow()).toHaveLength(1);
    expect(blind.recorded.warnings).toEqual([
      expect.stringContaining("is not known: Prometheus of"),
    ]);
    await silence.undo!(blind, wish([]), undefined);
    expect(await silencesNow()).toEqual([]);
  }, 300_000);

  test("a silence names alerts and members, and is ended; what looks back is silenced for as long as it does", async () => {
    const ctx = context("run-7");
    const input = {
      of: [
        { alerts: ["ReplicationLag", "LeaderChanged"], members: ["pg1", "pg2"] },
        { alerts: ["NoLeader"], for: "5m" },
      ],
      for: "1h",
      why: "a switchover",
    };
    // No label `instance` stands in LeaderChanged: it is named by itself.
    input.of[0] = { alerts: ["ReplicationLag"], members: ["pg1", "pg2"] };
    input.of.push({ alerts: ["LeaderChanged"] } as never);
    expect(await silence.plan!(ctx, input)).toMatchObject({ for: "1h" });
    const first = (await silence.run(ctx, input)) as {
      silences: { id: string; matchers: string; ends_at: string }[];
    };
    expect(first.silences.map(({ matchers }) => matchers)).toEqual([
      'cluster="orders" alertname=~"ReplicationLag" instance=~"pg1|pg2"',
      'cluster="orders" alertname=~"NoLeader"',
      'cluster="orders" alertname=~"LeaderChanged"',
    ]);
    // A later process of the same run finds what it did, also in another second.
    await Bun.sleep(1000);
    const again = (await silence.run(context("run-7"), input)) as typeof first;
    expect(again.silences.map(({ id }) => id)).toEqual(first.silences.map(({ id }) => id));
    expect(await silencesNow()).toHaveLength(3);
    await world.until(
      async () => (await one("ReplicationLag")).silenced_by.length === 1,
      "the alert is silenced",
    );
    expect((await one("ReplicationLag")).silenced_by[0]).toContain("by pgdba, run run-7");
    expect((await one("DiskUsed", "critical")).silenced_by).toEqual([]);

    const ids = first.silences.map(({ id }) => id);
    expect(await unsilence.plan!(context(), { silences: ids.slice(0, 1) })).toEqual({
      ends: [first.silences[0]!.matchers],
    });
    // The beginning of an id is enough, but not where several begin so.
    const beginning = ids[0]!.slice(0, 13);
    expect(await unsilence.plan!(context(), { silences: [beginning] })).toEqual({
      ends: [first.silences[0]!.matchers],
    });
    await expect(unsilence.run(context(), { silences: [""] })).rejects.toThrow("begin with");
    const ended = context("run-7");
    expect(await unsilence.run(ended, { silences: ids, echo: true, optional: true })).toEqual({
      ended: ids,
    });
    const left = (await silences.run(context(), {})) as {
      silences: { id: string; ends_at: string }[];
    };
    expect(left.silences.map(({ id }) => id)).toEqual([ids[2]!]);
    const minutes = (Date.parse(left.silences[0]!.ends_at) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(14);
    expect(minutes).toBeLessThan(17);
    // Taken back, all of it ends at once; done again there is nothing to do.
    await silence.undo!(context("run-7"), input, undefined);
    expect(await silencesNow()).toEqual([]);
    const none = context("run-7");
    await silence.undo!(none, input, undefined);
    await unsilence.run(none, { silences: ids });
    expect(none.recorded.unchanged).toBe(2);
    await expect(
      unsilence.run(context(), { silences: ["0cd5b2ad-3ba5-4de9-a1a5-e1ca9d2e4ff8"] }),
    ).rejects.toThrow("Alertmanager knows no silence");
  }, 300_000);

  test("what costs data is never silenced: neither by its name, nor when all is", async () => {
    for (const name of ["TwoPrimaries", "ChecksumFailures", "DiskUsed", "DiskFillsSoon"])
      await expect(
        silence.run(context(), { of: [{ alerts: [name] }], for: "1h", why: "w" }),
      ).rejects.toThrow("can't be silenced");
    await expect(
      silence.run(context(), { of: [{ alerts: ["NoLeader"] }], for: "1h", why: "w" }),
    ).rejects.toThrow("15m at most");
    await expect(silence.run(context(), { of: [{}], for: "8d", why: "w" })).rejects.toThrow("7d");
    const ctx = context("run-8");
    await silence.run(ctx, { of: [{}], for: "1h", why: "all" });
    await world.until(
      async () => (await one("ReplicationLag")).silenced_by.length === 1,
      "the alert is silenced",
    );
    expect((await one("DiskUsed", "critical")).silenced_by).toEqual([]);
    // A test that nobody would hear of says so.
    await expect(alertTest.run(context("run-t0"), { wait: "10s" })).rejects.toThrow(
      "The alert is silenced",
    );
    await silence.undo!(ctx, { of: [{}], for: "1h", why: "all" }, undefined);
  }, 300_000);

  test("work that must go on is only warned when Alertmanager does not answer", async () => {
    const on = { effect: "change" as const, signal: new AbortController().signal };
    const nobody = monitoringAccess("orders", { alertmanager: "http://127.0.0.1:9" }, on);
    const ctx = fakeContext({
      target: { cluster: "orders", use: async () => nobody },
    });
    const input = { of: [{ alerts: ["ReplicationLag"] }], for: "1h", why: "w" };
    expect(await silence.run(ctx, { ...input, optional: true })).toEqual({ silences: [] });
    expect(await unsilence.run(ctx, { silences: ["x"], optional: true })).toEqual({ ended: [] });
    await silence.undo!(ctx, input, undefined);
    expect(ctx.recorded.warnings).toEqual([
      expect.stringContaining(
        "are not silenced: Alertmanager of orders at http://127.0.0.1:9 can't be reached",
      ),
      expect.stringContaining("end by themselves"),
      expect.stringContaining("end by themselves"),
    ]);
    await expect(silence.run(ctx, input)).rejects.toThrow("can't be reached");
  });

  test("an Alertmanager that the work itself has restarted is waited for, and what looks back ends once", async () => {
    const ctx = context("run-5");
    const input = { of: [{ alerts: ["NoLeader"] }], for: "5m", why: "w" };
    const { silences: made } = (await silence.run(ctx, input)) as { silences: { id: string }[] };
    let refused = 2;
    const real = world.access();
    const restarting = {
      ...real,
      ask: async (...words: Parameters<typeof real.ask>) => {
        if (refused-- > 0)
          throw new PgdbaError("connection_failed", "Alertmanager can't be reached", { hint: "" });
        return real.ask(...words);
      },
    };
    const late = fakeContext({ target: { cluster: "orders", use: async () => restarting } });
    const ids = made.map(({ id }) => id);
    expect(await unsilence.run(late, { silences: ids, optional: true })).toEqual({ ended: ids });
    expect(late.recorded.warnings).toEqual([]);
    expect(await silencesNow()).toEqual([]);
  });

  test("a step that reads can't tell it anything; what it refuses is told with its reason", async () => {
    await expect(
      world.access("read").tell("alertmanager", "POST", "/api/v2/silences", {}),
    ).rejects.toThrow("A step that reads");
    await expect(
      world.access().tell("alertmanager", "POST", "/api/v2/silences", {}),
    ).rejects.toThrow(/answered 4\d\d to POST \/api\/v2\/silences: /);
    await expect(world.access().ask("prometheus", "/metrics")).rejects.toThrow(
      "does not answer as Prometheus does",
    );
    expect(world.access().url("prometheus")).toBe(world.prometheus);
  });

  test("one alert goes through to the receiver, named as a test, and is ended", async () => {
    const ctx = context("run-t1");
    expect(await alertTest.plan!(ctx, {})).toMatchObject({ sends: "PgdbaTest" });
    const told = await alertTest.run(ctx, { wait: "20s" });
    expect(told).toMatchObject({
      alert: "PgdbaTest",
      receivers: ["urgent"],
      integrations: ["webhook"],
    });
    const ours = () =>
      world.delivered.filter(({ alerts: list }) =>
        list.some(({ labels }) => labels["pgdba_test"] === "run-t1"),
      );
    await world.until(() => ours().some(({ status }) => status === "resolved"), "its end is told");
    expect(ours().map(({ status, receiver }) => `${receiver} ${status}`)).toEqual([
      "urgent firing",
      "urgent resolved",
    ]);
    expect(ours()[0]?.alerts[0]?.labels).toMatchObject({
      alertname: "PgdbaTest",
      cluster: "orders",
    });
    await alertTest.undo!(ctx, {}, undefined);
    // A receiver that nobody answers at, and none at all.
    await world.receivers(["http://127.0.0.1:9/"]);
    // Another alert that is taken by the receiver of before in this moment counts, too.
    await world.until(async () => {
      const said = await alertTest
        .run(context("run-t2"), { wait: "2s" })
        .catch((error: Error) => error.message);
      return /0 of 1 \(webhook\) have taken it/.test(String(said));
    }, "nobody takes it");
    await world.receivers([]);
    await world.until(async () => {
      const said = await alertTest
        .run(context("run-t3"), { wait: "1s", severity: "warning" })
        .catch((error: Error) => error.message);
      return String(said).startsWith("Nobody hears of alerts: people");
    }, "nobody hears");
    await world.receivers([world.hook]);
  }, 300_000);

  const OWN = "/var/lib/pgdba/monitor/rules/own.rules.yml";
  test("a rule of one's own is checked, put in force, read back, replaced and taken away", async () => {
    const put = async (name: string, rule: JsonObject | null, ctx = context()) =>
      (await ownRule.run(ctx, { node: "monitor1", name, rule })) as JsonObject;
    const rule = { expr: "sum by (cluster)(up) > 100", severity: "warning", summary: "much" };
    const first = context();
    expect(await ownRule.plan!(first, { node: "monitor1", name: "Much", rule })).toMatchObject({
      rules: ["Much"],
    });
    expect(await put("Much", rule, first)).toMatchObject({
      name: "Much",
      replaced: false,
      state: "inactive",
      rules: ["Much"],
    });
    expect((await one("Much")).state).toBe("inactive");
    const same = context();
    expect(await put("Much", rule, same)).toMatchObject({ seconds: 0 });
    expect(same.recorded.unchanged).toBe(1);
    const firing = await put("Much", { ...rule, expr: "sum by (cluster)(up) > 0", for: "0s" });
    expect(firing).toMatchObject({ replaced: true, state: "firing" });
    expect(await put("Other", { ...rule, description: "{{ $value }}", for: "5m" })).toMatchObject({
      rules: ["Much", "Other"],
    });
    const before = await readFile(world.path(OWN), "utf8");

    // What promtool refuses, and what only Prometheus can find, changes nothing.
    await expect(put("Wrong", { ...rule, expr: "sum by (" })).rejects.toThrow(
      "promtool check rules refuses it",
    );
    const failed = context();
    await expect(
      put("Wrong", { ...rule, expr: "up * on () (prometheus_build_info or up) " }, failed),
    ).rejects.toThrow("Wrong can't be evaluated");
    expect(failed.recorded.unchanged).toBe(1);
    expect(await readFile(world.path(OWN), "utf8")).toBe(before);
    expect((await listed()).alerts.some(({ alert }) => alert === "Wrong")).toBe(false);
    await expect(put("TwoPrimaries", rule)).rejects.toThrow("a rule of pgdba's own");
    await expect(put("Nothing", null)).rejects.toThrow("There is no rule Nothing of your own");

    expect(await put("Much", null)).toMatchObject({ state: null, rules: ["Other"] });
    expect((await listed()).alerts.some(({ alert }) => alert === "Much")).toBe(false);
    // What others have added since stays.
    await ownRule.undo!(first, { node: "monitor1", name: "Much", rule }, undefined);
    expect(await readFile(world.path(OWN), "utf8")).toContain("alert: Other");
    await put("Other", null);
    await writeFile(world.path(OWN), "");
    const alone = context();
    await put("Much", rule, alone);
    await ownRule.undo!(alone, { node: "monitor1", name: "Much", rule }, undefined);
    expect(existsSync(world.path(OWN))).toBe(false);
    // A dead run that is given up takes nothing from a later one that wanted the same.
    const dead = context("run-dead");
    await put("Much", rule, dead);
    const again = context("run-again");
    await put("Much", rule, again);
    expect(again.recorded.unchanged).toBe(1);
    await ownRule.undo!(dead, { node: "monitor1", name: "Much", rule }, undefined);
    expect(dead.recorded.warnings).toEqual([expect.stringContaining("Run run-again has set Much")]);
    expect(await readFile(world.path(OWN), "utf8")).toContain("alert: Much");
    await put("Much", null);
    // Several at a time: each is there in the end.
    const names = ["One", "Two", "Three"];
    await Promise.all(names.map((name) => put(name, rule)));
    const kept = await readFile(world.path(OWN), "utf8");
    expect(names.filter((name) => !kept.includes(`alert: ${name}\n`))).toEqual([]);
    await Promise.all(names.map((name) => put(name, null)));
    const never = context();
    await ownRule.undo!(never, { node: "monitor1", name: "Much", rule }, undefined);
    expect(never.recorded.unchanged).toBe(1);
  }, 300_000);

  test("the commands have three words, and work while no server of the cluster answers", async () => {
    const { prometheus, alertmanager } = world;
    const shop = place();
    mkdirSync(join(shop.home, "clusters"), { recursive: true });
    const entry = { ownership: "connected", postgres: { host: "127.0.0.1", port: 9, user: "u" } };
    writeFileSync(
      join(shop.home, "clusters/orders.yaml"),
      JSON.stringify({ ...entry, monitoring: { prometheus, alertmanager } }),
      { mode: 0o600 },
    );
    const run = (...words: string[]) => cli([...words, "--format", "json"], shop);
    const ran = await run("monitor", "alerts", "list", "--cluster", "orders");
    expect(ran.envelope.error).toBeNull();
    expect(at(ran.envelope.data, "rules")).toBeGreaterThan(7);
    const silenced = await run(
      "monitor",
      "silence",
      "quiet",
      "--alert",
      '["ReplicationLag"]',
      "--cluster",
      "orders",
    );
    const id = String(at(silenced.envelope.data, "silences", 0, "id"));
    const shown = await run("monitor", "silence", "list", "--cluster", "orders");
    expect(at(shown.envelope.data, "silences", 0)).toMatchObject({
      id,
      state: "active",
      why: "quiet (silenced)",
    });
    const ended = await run("monitor", "silence", "end", id, "--cluster", "orders");
    expect(ended.envelope.data).toMatchObject({ ended: [id] });
  }, 300_000);

  test("a file that is damaged is not built upon", async () => {
    await writeFile(world.path(OWN), "groups: [");
    await expect(
      ownRule.run(context(), { node: "monitor1", name: "A", rule: null }),
    ).rejects.toThrow();
  });
});
