import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../../engine/types.ts";
import analyze from "../../../steps/query/analyze.ts";
import drawn from "../../../steps/query/html.ts";
import { type Analysis, page } from "../../../steps/query/page/page.ts";
import { draw } from "../../../steps/query/plan/draw.ts";
import { walk } from "../../../steps/query/plan/tree.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { browse, chromiumMissing, picture } from "../../support/chromium.ts";
import { captured, examine, names } from "./plan/load.ts";
import { type Bench, bench, runStep } from "./support.ts";

const DRAWN = new Date("2026-01-01T00:00:00Z");
const HOSTILE = `</pre></td><script>document.title='owned'</script><img src=x onerror="document.title='owned'">`;
const dir = mkdtempSync(join(tmpdir(), "pgdba-plan-"));
let on: Bench;
/** A plan with hostile names and constants everywhere a statement can put them. */
let hostile: Analysis;

beforeAll(async () => {
  on = await bench();
  const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
  // Names have at most 63 bytes.
  const [table, column, index] = [
    "<script>a()</script>",
    '"><img src=x onerror=b()>',
    "'`<svg onload=c()>",
  ];
  await on.sql(`CREATE TABLE ${quoted(table!)} (id int, ${quoted(column!)} text);
    INSERT INTO ${quoted(table!)} SELECT i, 'v' || i FROM generate_series(1, 30000) i;
    CREATE INDEX ${quoted(index!)} ON ${quoted(table!)} (id)`);
  const literal = `'${HOSTILE.replaceAll("'", "''")}'`;
  const sql = `WITH ${quoted(column!)} AS MATERIALIZED (SELECT * FROM ${quoted(table!)} WHERE ${quoted(column!)} <> ${literal})
    SELECT a.id FROM ${quoted(column!)} a JOIN ${quoted(table!)} ${quoted(column!)} USING (id) WHERE a.id < 100 AND a.${quoted(column!)} < 'w\u202e' ORDER BY 1 -- ${HOSTILE}`;
  hostile = await runStep(
    analyze,
    { sql, analyze: true, settings: { enable_seqscan: "off", work_mem: "64kB" } },
    on.ctx,
  );
});
afterAll(async () => {
  await on.close();
  rmSync(dir, { recursive: true, force: true });
});

const count = (text: string, what: RegExp) => [...text.matchAll(what)].length;
const escaped = (text: string) =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");

test.each(names)("%s: every node, and each finding once beside its own", async (name) => {
  const { plan, found } = await examine(name);
  const { root, analyzed, planning_ms, execution_ms, triggers, jit, settings } = plan;
  const { sql } = await captured(name);
  const totals = { cost: root.estimated.total_cost, rows: 1, planning_ms, execution_ms };
  const about = { statement: sql, database: "d", analyzed, generic: false, text: draw(plan) };
  const text = page(
    { ...about, totals, findings: found, plan: root, triggers, jit, settings },
    "t",
    DRAWN,
  );
  const nodes = [...walk(root)];
  expect(count(text, /<tr\s+id="n[\d.]+"/g)).toBe(nodes.length);
  for (const { title, path } of nodes) {
    expect(text).toContain(escaped(title));
    expect(text).toContain(`id="n${path}"`);
  }
  expect(count(text, /<article class="finding/g)).toBe(found.length);
  for (const { node } of found) if (node !== null) expect(text).toContain(`href="#n${node.path}"`);
  for (const { node, message } of found) {
    if (node === null) continue;
    const at = text.indexOf(`id="n${node.path}"`);
    const next = nodes[nodes.findIndex(({ path }) => path === node.path) + 1];
    const end = next === undefined ? text.length : text.indexOf(`id="n${next.path}"`);
    expect(text.slice(at, end)).toContain(escaped(message));
  }
  expect(text).not.toMatch(/undefined|NaN|\[object/);
});

test("nothing of a statement or a name gets out of its place, and nothing is loaded", () => {
  const text = page(hostile, HOSTILE, DRAWN);
  expect(text).not.toMatch(/<(script|img|link|iframe|object|svg onload)/i);
  expect(text).not.toContain("\u202e");
  expect(text).toContain("\\u{202e}");
  expect(text.replaceAll(/"[^"<>]*"/g, '""')).not.toMatch(/<[^>]*(onerror|onload|src=|href=[^"])/i);
  expect(text).not.toMatch(/url\(|@import|https?:/i);
  expect(text).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  expect(count(text, /&lt;script&gt;a\(\)/g)).toBeGreaterThan(2);
  expect(hostile.findings.length).toBeGreaterThan(0);
});

describe("query.html", () => {
  const analysis = () => hostile as unknown as JsonObject;

  test("writes it whole, for its owner alone, over what was there", async () => {
    const file = join(dir, "plan.html");
    writeFileSync(file, "old", { mode: 0o644 });
    const output = await runStep(drawn, { file, analysis: analysis() }, on.ctx);
    expect(output).toEqual({ file, bytes: statSync(file).size, written: true });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8")).toStartWith("<!doctype html>");
  });

  test("not with --plan, and not where it can't", async () => {
    const file = join(dir, "planned.html");
    const ctx = on.again({ plan: true });
    expect(await runStep(drawn, { file, analysis: analysis() }, ctx)).toMatchObject({
      written: false,
    });
    expect(await Bun.file(file).exists()).toBe(false);
    const nowhere = join(dir, "none", "plan.html");
    expect(await codeOf(runStep(drawn, { file: nowhere, analysis: analysis() }, on.ctx))).toBe(
      "io_failed",
    );
  });
});

const missing = chromiumMissing();

describe.skipIf(missing !== null)(
  `in a real browser${missing === null ? "" : `: ${missing}`}`,
  () => {
    let file: string;
    beforeAll(() => {
      file = join(dir, "browsed.html");
      writeFileSync(file, page(hostile, HOSTILE, DRAWN));
    });

    test("it is read as it was written", async () => {
      const dom = await browse(file, "--dump-dom");
      const elements = new Set(
        [...dom.matchAll(/<([a-z][a-z0-9]*)/gi)].map(([, name]) => name!.toLowerCase()),
      );
      for (const name of ["script", "img"]) expect(elements).not.toContain(name);
      expect(dom).not.toContain("<title>owned");
      expect(count(dom, /<tr\s+id="n/g)).toBe([...walk(hostile.plan)].length);
      expect(count(dom, /<article/g)).toBe(hostile.findings.length);
    }, 300_000);

    test("light, dark and paper", async () => {
      const corner = async (name: string, scheme: number) => {
        const png = join(dir, `${name}.png`);
        await browse(
          file,
          `--screenshot=${png}`,
          "--window-size=1280,900",
          `--blink-settings=preferredColorScheme=${scheme}`,
        );
        return picture(readFileSync(png)).corner;
      };
      expect(await corner("light", 1)).toEqual([255, 255, 255]);
      expect(Math.max(...(await corner("dark", 0)))).toBeLessThan(40);
      const pdf = join(dir, "plan.pdf");
      await browse(file, `--print-to-pdf=${pdf}`, "--no-pdf-header-footer");
      expect(readFileSync(pdf, "latin1")).toStartWith("%PDF-");
    }, 300_000);
  },
);
