import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../../engine/types.ts";
import type { Finding } from "../../../steps/health/findings/findings.ts";
import html from "../../../steps/report/html.ts";
import { lineChart } from "../../../steps/report/page/charts.ts";
import { page, type Report } from "../../../steps/report/page/page.ts";
import { fakeContext } from "../../support/context.ts";
import { sharedServer } from "../../support/postgres.ts";
import { HOSTILE, hostileReport } from "./pages.ts";
import { folder, removeFolders } from "./support.ts";

let report: Report;
let text: string;

beforeAll(async () => {
  report = await hostileReport(await sharedServer());
  text = page(report);
});
afterAll(removeFolders);

test("the page loads nothing, runs nothing, and has every section", () => {
  expect(text).toStartWith("<!doctype html>");
  expect(/<(script|img|link|iframe|object|embed|base)\b|@import|url\(/i.exec(text)).toBeNull();
  for (const [, target] of text.matchAll(/href="([^"]*)"/g)) {
    expect(target).toStartWith("#");
    expect(text).toContain(`id="${target!.slice(1)}"`);
  }
  for (const title of [
    "Findings",
    "Trends",
    "Statements",
    "Sizes",
    "Connections",
    "Replication",
    "WAL and backups",
    "Configuration",
    "Not seen",
  ]) {
    expect(text).toContain(`<h2>${title}</h2>`);
  }
  expect([...text.matchAll(/<figure>/g)]).toHaveLength(6);
});

test("hostile names are there, as text", () => {
  for (const name of HOSTILE.slice(0, 3)) expect(text).not.toContain(name);
  expect(text).toContain("&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;");
  expect(text).toContain("&gt;&lt;img src=x");
  expect(text).toContain("Ünïcode ☃ 表 🐘");
  expect(text).not.toContain("\u202E");
  expect(text).toContain("\\u{202e}gnp.exe");
});

test("findings stand by check, the worst first, and new ones are marked", () => {
  const cards = [...text.matchAll(/<article class="finding (\w+)/g)].map(
    ([, severity]) => severity,
  );
  const order = ["critical", "warning", "info"];
  expect(cards).toEqual(cards.toSorted((a, b) => order.indexOf(a!) - order.indexOf(b!)));
  expect(cards.length).toBe(
    new Set(report.health.findings.map(({ check, severity }) => check + severity)).size,
  );
  expect(text).toMatch(/index-duplicate · 5 found/);
  const badges = (fresh: Report["trends"]["findings"]["new"]) =>
    page({ ...report, trends: { ...report.trends, findings: { new: fresh, gone: [] } } }).split(
      ">new<",
    ).length - 1;
  expect(badges([])).toBe(0);
  expect(badges([{ severity: "warning", check: "index-duplicate", object: "x" }])).toBe(1);
});

test("what a finding leads to is folded below it", () => {
  const [first] = report.health.findings as [Finding];
  const below = { ...first, check: "x", title: "Follows <b>", message: "below", consequences: [] };
  const made = page({
    ...report,
    health: {
      ...report.health,
      findings: [{ ...first, count: 2, consequences: [below, { ...below, message: "again" }] }],
    },
  });
  expect(made).toContain("leads to");
  expect(made).toMatch(/<summary>[^~]{0,200}Follows &lt;b&gt; *\(2\)/);
  expect(made).toContain("<li>again</li>");
  expect(made.match(/<article/g)).toHaveLength(1);
  expect(made).toContain(`${first.check} · 2 found`);
});

test("what was not seen is listed with what shows it", () => {
  const grant = "grant pg_monitor to bare;";
  const missing = [
    { section: "wal_files", reason: "permission denied", hint: grant, partial: false },
  ];
  const seen = page({ ...report, snapshot: { ...report.snapshot, missing } });
  expect(seen).toContain(`<pre>${grant}</pre>`);
  expect(seen).toContain('<td class="short">not at all</td>');
  const all = { ...report.health, partial: [], skipped: [], unexamined_databases: [] };
  expect(page({ ...report, health: all })).toContain("Everything was examined");
  const note = {
    check: "bloat-table",
    code: "unknown",
    database: "shop",
    object: "public.<i>",
    reason: "it was never analysed",
    hint: "analyze x;",
    total: 60,
  };
  const other = { database: "crm", checks: 9, reason: "not asked for", hint: "pgdba health check" };
  const partly = page({
    ...report,
    health: { ...report.health, partial: [note], unexamined_databases: [other] },
  });
  expect(partly).toContain("bloat-table: public.&lt;i&gt;");
  expect(partly).toContain("it was never analysed (one of 60)");
  expect(partly).toContain("database crm");
  expect(partly).not.toContain("Everything was examined");
});

test("a first report, without history, statements or rights, is a page too", () => {
  const { snapshot, trends } = report;
  const poor = {
    ...report,
    trends: {
      ...trends,
      since: null,
      seconds: null,
      size: null,
      transactions_per_second: null,
      cache_hit_percent: null,
      wal_bytes_per_second: null,
      series: [],
    },
    snapshot: {
      ...snapshot,
      connections: null,
      statements: {
        ...snapshot.statements,
        available: false,
        reason: "none <b>",
        hint: "do",
        top: [],
      },
      sizes: { ...snapshot.sizes, total: null, databases: [], relations: [], counts: null },
      wal: { ...snapshot.wal, directory: null, statistics: null, checkpoints: null },
      backups: { ...snapshot.backups, archiver: null },
    },
  };
  const made = page(poor);
  expect(made).toContain("none &lt;b&gt;");
  expect(made).not.toContain("<figure>");
  // In the SQL of a remedy, null is a word.
  expect(made).not.toMatch(/undefined|NaN|\[object|>null</);
  expect(text).not.toMatch(/undefined|NaN|\[object|>null</);
});

test("growth is told with its time, per day only when that is known, and statements left out are counted", () => {
  const { trends, snapshot } = report;
  const after = (seconds: number, daily: number | null) =>
    page({
      ...report,
      trends: {
        ...trends,
        seconds,
        size: { grown_bytes: 41.5 * 1024 ** 2, grown: "41.5 MB", bytes_per_day: daily },
      },
      snapshot: { ...snapshot, statements: { ...snapshot.statements, hidden: 19 } },
    });
  const soon = after(180, null);
  expect(soon).toContain("+41.5 MB in 3 min<");
  expect(soon).toContain("too short a time for a rate per day");
  expect(soon).toContain("; 19 of other users may not be seen");
  const late = after(7200, 12 * 41.5 * 1024 ** 2);
  expect(late).toContain("+41.5 MB in 2 h, +498 MB per day<");
  expect(late).not.toContain("too short a time");
  expect(text).not.toContain("of other users may not be seen");
});

test("a bar shows the share that stands under it, and a share too small for a digit is not nothing", () => {
  const { snapshot } = report;
  const top = [
    { ...snapshot.statements.top[0]!, total_ms: 250, share_percent: 25 },
    { ...snapshot.statements.top[0]!, total_ms: 0.1, share_percent: 0 },
  ];
  const made = page({
    ...report,
    snapshot: { ...snapshot, statements: { ...snapshot.statements, top, total_ms: 1000 } },
  });
  expect(made).toMatch(/width="25" height="10"\s*><title>250 ms/);
  expect(made).toContain("25 %<");
  expect(made).toContain("&lt; 0.1 %<");
  expect(made).toContain("read as postgres");
});

test("a chart draws gaps as gaps, and nothing when there is nothing to draw", () => {
  const points = [1, 2, null, 4, 5].map((value, at) => ({ at: at * 86_400_000, value }));
  const drawn = lineChart("x", [{ name: "x", points }], String)!.text;
  expect(drawn.match(/class="line/g)).toHaveLength(2);
  expect(lineChart("x", [{ name: "x", points: points.slice(0, 1) }], String)).toBeNull();
  expect(
    lineChart("x", [{ name: "x", points: points.map(({ at }) => ({ at, value: null })) }], String),
  ).toBeNull();
  const flat = lineChart(
    "x",
    [{ name: "x", points: points.map(({ at }) => ({ at, value: 0 })) }],
    String,
  )!.text;
  expect(flat).not.toContain("NaN");
  // Reports that follow one another at once have ends that can be told apart.
  const soon = [1, 2].map((value, at) => ({ at: at * 6500, value }));
  const short = lineChart("x", [{ name: "x", points: soon }], String)!.text;
  expect(short).toContain(">00:00:00<");
  expect(short).toMatch(/00:00:06\s*</);
});

test("the file is written whole, for the user alone, and not by a plan", async () => {
  const cwd = folder();
  const { health, snapshot, trends } = report;
  const input = { file: "r.html", health, snapshot, trends } as unknown as JsonObject;
  const planned = await html.run(fakeContext({ cwd, run: { plan: true } }), input);
  expect(planned).toMatchObject({ written: false, file: join(cwd, "r.html") });
  expect(readdirSync(cwd)).toEqual([]);

  writeFileSync(join(cwd, "r.html"), "an older one", { mode: 0o644 });
  const { file, bytes } = (await html.run(fakeContext({ cwd }), input)) as unknown as {
    file: string;
    bytes: number;
  };
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(file).size).toBe(bytes);
  expect(readFileSync(file, "utf8")).toContain("</html>");
  expect(readdirSync(cwd)).toEqual(["r.html"]);

  const lost = html
    .run(fakeContext({ cwd }), { ...input, file: "no/where/r.html" })
    .catch((error: unknown) => error);
  expect(await lost).toMatchObject({ code: "io_failed", data: { errno: "ENOENT" } });
});
