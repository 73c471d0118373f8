import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { samplesOf } from "../../../steps/health/metrics/backups.ts";
import {
  exposition,
  formatFor,
  type Metric,
  metricsListed,
  OPEN,
  PLAIN,
} from "../../../steps/health/metrics/exposition.ts";
import { Source } from "../../../steps/health/metrics/source.ts";
import { disksOf, disksSeen } from "../../../steps/health/metrics/sources.ts";
import { manualClock } from "../../support/context.ts";
import { clientOf, sharedServer, startServer, type TestServer } from "../../support/postgres.ts";
import { serving, stopServing } from "./serving.ts";

describe("the text", () => {
  const metrics: Metric[] = [
    {
      name: "a_seconds",
      type: "gauge",
      unit: "seconds",
      labels: ["x"],
      help: "One\nand \\",
      source: null,
    },
    {
      name: "b_seconds_max",
      type: "gauge",
      unit: "seconds",
      labels: [],
      help: "Two",
      source: null,
    },
    { name: "c", type: "gauge", labels: [], help: "Three", source: null },
  ];
  const samples = [
    { name: "a_seconds", labels: { x: 'q"\\\n', other: "secret" }, value: 1.5 },
    { name: "a_seconds", labels: { x: 'q"\\\n' }, value: 2 },
    { name: "b_seconds_max", value: 0 },
    { name: "c", value: Number.NaN },
    { name: "unknown", value: 1 },
  ];

  test("values are escaped, a series stands once, and what is not listed or not known is left out", () => {
    expect(exposition(metrics, samples, PLAIN)).toBe(
      [
        "# HELP a_seconds One\\nand \\\\",
        "# TYPE a_seconds gauge",
        'a_seconds{x="q\\"\\\\\\n"} 1.5',
        "# HELP b_seconds_max Two",
        "# TYPE b_seconds_max gauge",
        "b_seconds_max 0",
        "",
      ].join("\n"),
    );
  });

  test("OpenMetrics has a unit where the name ends with it, and an end", () => {
    const text = exposition(metrics, samples, OPEN);
    expect(text).toContain("# UNIT a_seconds seconds\n");
    expect(text).not.toContain("# UNIT b_seconds_max");
    expect(text).toEndWith("# EOF\n");
    expect(formatFor("application/openmetrics-text;version=1.0.0;q=0.5,text/plain")).toBe(OPEN);
    expect(formatFor(null)).toBe(PLAIN);
  });
});

test("a source gives what it knows until that is too old, says that it failed, and asks once at a time", async () => {
  const clock = manualClock();
  let runs = 0;
  let work: () => Promise<number> = async () => 1;
  const source = new Source(
    "s",
    clock,
    { refreshMs: 10_000, maxAgeMs: 15_000, deadlineMs: 3000 },
    async () => {
      runs += 1;
      return { samples: [{ name: "n", value: await work() }] };
    },
  );
  const value = async () => {
    const { up, ageMs, samples } = await source.reading(5);
    return [up, ageMs, samples[0]?.value ?? null];
  };
  expect(await value()).toEqual([true, 0, 1]);
  clock.advance(9000);
  expect(await value()).toEqual([true, 9000, 1]);
  expect(runs).toBe(1);
  clock.advance(2000);
  work = async () => {
    throw new PgdbaError("connection_failed", "gone");
  };
  expect(await value()).toEqual([false, 11_000, 1]);
  const hangs = Promise.withResolvers<number>();
  work = () => hangs.promise;
  clock.advance(10_000);
  expect(await value()).toEqual([false, null, null]);
  expect(await value()).toEqual([false, null, null]);
  expect(runs).toBe(3);
  hangs.resolve(3);
  await Bun.sleep(1);
  expect(await value()).toEqual([true, 0, 3]);
  // One that hangs is told as failed, although the one before it was good.
  work = () => new Promise(() => {});
  clock.advance(11_000);
  expect(await value()).toEqual([true, 11_000, 3]);
  clock.advance(3001);
  expect(await value()).toEqual([false, 14_001, 3]);
});

test("data and WAL on one disk are one, and two that lie apart are two", () => {
  const disk = (of: string, path: string) => ({ of, path, totalBytes: 100, freeBytes: 20 });
  const one = disksOf("pg1", [disk("data", "/d"), disk("wal", "/d/pg_wal"), disk("system", "/")]);
  expect(one).toEqual([
    {
      name: "pgdba_disk_size_bytes",
      labels: { instance: "pg1", mountpoint: "/d", holds: "data+wal" },
      value: 100,
    },
    {
      name: "pgdba_disk_avail_bytes",
      labels: { instance: "pg1", mountpoint: "/d", holds: "data+wal" },
      value: 20,
    },
  ]);
  const two = disksOf("pg1", [disk("data", "/d"), disk("wal", "/dw/wal")]);
  expect(two.map(({ labels }) => labels?.["holds"])).toEqual(["data", "data", "wal", "wal"]);
});

test("a node whose disks can't be seen hides no others, and the source says that it does not know all", async () => {
  const seen = (more: object) => ({ why: null, code: null, ...more });
  const values = disksSeen([
    {
      node: "pg1",
      facts: seen({
        value: { disks: [{ of: "data", path: "/d", totalBytes: 100, freeBytes: 20 }] },
      }),
    },
    { node: "pg2", facts: seen({ value: null, why: "no answer within 10 s", code: "timeout" }) },
  ] as never);
  const times = { refreshMs: 30_000, maxAgeMs: 120_000, deadlineMs: 15_000 };
  const source = new Source("disk", manualClock(), times, async () => values);
  const { up, why, samples } = await source.reading(1000);
  source.stop();
  expect(samples.map(({ labels }) => labels?.["instance"])).toEqual(["pg1", "pg1"]);
  expect([up, why?.message]).toEqual([
    false,
    "The disks of pg2 could not be seen: no answer within 10 s",
  ]);
});

test("of backups only those count that can be restored, and a window begins behind the last hole", () => {
  const backup = (finished_at: string, over: object = {}) => ({
    type: "full",
    status: "complete",
    finished_at,
    seconds: 3,
    stored_bytes: 7,
    drilled_at: null,
    restorable_from: finished_at,
    restorable_until: "2026-01-05T00:00:00Z",
    ...over,
  });
  const samples = samplesOf(
    {
      backups: [
        backup("2026-01-04T00:00:00Z", { status: "damaged" }),
        backup("2026-01-03T00:00:00Z", { drilled_at: "2026-01-03T01:00:00Z" }),
        backup("2026-01-02T00:00:00Z", { type: "incremental" }),
        backup("2026-01-01T00:00:00Z", { restorable_until: "2026-01-01T12:00:00Z" }),
      ],
      unfinished: [],
      drill: null,
    },
    {
      gaps: [{ between_backups: false }, { between_backups: true }],
      histories: ["00000004.history"],
      missing: 2,
      waiting: 0,
      archiver: null,
      receiver: null,
      wal_age_seconds: null,
    },
  );
  const at = (text: string) => Date.parse(text) / 1000;
  const of = (name: string, type?: string) =>
    samples.find((one) => one.name === name && one.labels?.["type"] === type)?.value;
  expect(of("pgdba_backup_last_success_timestamp_seconds", "full")).toBe(
    at("2026-01-03T00:00:00Z"),
  );
  expect(of("pgdba_backups", "full")).toBe(2);
  expect(of("pgdba_backups", "logical")).toBe(0);
  expect(of("pgdba_backup_last_success_timestamp_seconds", "logical")).toBeUndefined();
  expect(of("pgdba_restorable_from_timestamp_seconds")).toBe(at("2026-01-02T00:00:00Z"));
  expect(of("pgdba_restorable_until_timestamp_seconds")).toBe(at("2026-01-05T00:00:00Z"));
  expect(of("pgdba_restore_drill_last_success_timestamp_seconds")).toBe(at("2026-01-03T01:00:00Z"));
  expect(of("pgdba_restore_drill_last_passed")).toBeUndefined();
  expect(of("pgdba_archive_gaps")).toBe(2);
  expect(of("pgdba_archive_missing_segments")).toBe(2);
  expect(of("pgdba_archive_waiting_segments")).toBeUndefined();
});

afterAll(stopServing);

/** The samples of an answer by their series. */
async function scraped(url: string): Promise<Map<string, number>> {
  const answer = await fetch(`${url}/metrics`);
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, PLAIN]);
  const lines = (await answer.text()).split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test("a real server is told of: checks, waits and sequences; every name is listed", async () => {
  const server = await sharedServer();
  const holder = await clientOf(server);
  const waiter = await clientOf(server);
  await holder.query("create table metrics_wait (id smallserial)");
  try {
    await holder.query("insert into metrics_wait select from generate_series(1, 20000)");
    const { url } = await serving(server, {
      only: ["fsync-off", "sequence-exhausted", "lock-waits"],
    });
    await holder.query("begin");
    await holder.query("select pg_advisory_xact_lock(4711)");
    const waits = waiter.query("select pg_advisory_xact_lock(4711)");
    const waiting = "select from pg_locks where locktype = 'advisory' and not granted";
    while ((await holder.query(waiting)).rowCount === 0) await Bun.sleep(20);
    await Bun.sleep(300);
    const values = await scraped(url);
    expect(values.get("pgdba_up")).toBe(1);
    expect(values.get("pgdba_lock_wait_seconds_max")).toBeGreaterThan(0.1);
    expect(values.get("pgdba_lock_wait_seconds_max")).toBeLessThan(60);
    expect(values.get("pgdba_lock_waiters")).toBe(1);
    expect(values.get("pgdba_idle_in_transaction_seconds_max")).toBeGreaterThan(0.1);
    expect(values.get('pgdba_check_state{check="fsync-off",group="configuration"}')).toBe(3);
    expect(values.get('pgdba_sequence_used_ratio_max{datname="postgres"}')).toBeCloseTo(0.61, 2);
    expect(values.get('pgdba_source_up{source="locks"}')).toBe(1);
    expect(values.get('pgdba_source_age_seconds{source="locks"}')).toBeLessThan(15);
    const listed = new Set((await metricsListed()).metrics.map(({ name }) => name));
    for (const series of values.keys()) expect(listed).toContain(series.replace(/\{.*/, ""));
    await holder.query("rollback");
    await waits;
    const head = await fetch(`${url}/metrics`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  } finally {
    await holder.query("rollback");
    await holder.query("drop table metrics_wait");
    await Promise.all([holder.end(), waiter.end()]);
  }
}, 300_000);

test("while the server stands still the answer comes in time, and says that nothing is up", async () => {
  const server = await startServer();
  const { url } = await serving(server, { only: ["fsync-off"] });
  expect((await scraped(url)).get("pgdba_up")).toBe(1);
  const pid = Number(
    (await Bun.file(join(server.dataDir, "postmaster.pid")).text()).split("\n")[0],
  );
  process.kill(pid, "SIGSTOP");
  try {
    await Bun.sleep(1100);
    const begun = performance.now();
    const values = await scraped(url);
    expect(performance.now() - begun).toBeLessThan(9000);
    expect(values.get("pgdba_up")).toBe(0);
    // Those of before are not too old yet.
    expect(values.get("pgdba_lock_waiters")).toBe(0);
    expect(values.get('pgdba_check_state{check="fsync-off",group="configuration"}')).toBe(3);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
  } finally {
    process.kill(pid, "SIGCONT");
    await server.stop();
  }
}, 300_000);

test("a role that does not see others' sessions is told so by the source, and no wait is made up", async () => {
  const server = await sharedServer();
  const admin = await clientOf(server);
  await admin.query("create role metrics_blind login");
  try {
    const { url } = await serving({ ...server, user: "metrics_blind" } as TestServer, {
      only: ["fsync-off"],
    });
    const values = await scraped(url);
    expect(values.get('pgdba_source_up{source="locks"}')).toBe(0);
    expect(values.has("pgdba_lock_wait_seconds_max")).toBe(false);
  } finally {
    await admin.query("drop role metrics_blind");
    await admin.end();
  }
}, 300_000);
