import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { validate } from "../../../engine/shared/validate.ts";
import type { Drill } from "../../../steps/chaos/drills/drill.ts";
import { eventsOf } from "../../../steps/chaos/drills/events.ts";
import type { Result } from "../../../steps/chaos/drills/result.ts";
import { goesOn } from "../../../steps/chaos/judge/around.ts";
import { judge } from "../../../steps/chaos/judge/judge.ts";
import { nodes, recovery, redundancy } from "../../../steps/chaos/judge/nodes.ts";
import { hypotheses, verdictOf } from "../../../steps/chaos/judge/verdict.ts";
import { waits } from "../../../steps/chaos/judge/waits.ts";
import type { Line } from "../../../steps/chaos/observe/sample.ts";
import results from "../../../steps/chaos/results.ts";
import { browse, chromiumMissing, picture } from "../../support/chromium.ts";
import { fakeContext } from "../../support/context.ts";
import { forge, HEADER } from "./forged.ts";

setDefaultTimeout(300_000);
let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "pgdba-drills-"));
});
afterAll(() => rmSync(home, { recursive: true }));

const FAULT = 20_000_000;
const UP = 27_400_000;

function drillOf(id: string, began: string): Drill {
  return {
    format: 1,
    id,
    run: id,
    name: "chaos/kill-node",
    params: { host: "pg1", how: "power" },
    command: "pgdba run chaos/kill-node --host pg1 --how power --seed 7 --cluster shop",
    cluster: "shop",
    seed: 7,
    began,
    members: ["pg1", "pg2", "pg3"],
    workload: {
      rate: HEADER.rate,
      connections: 4,
      synchronous_commit: "on",
      deadline_ms: 250,
      ways: HEADER.ways,
      lists: HEADER.lists,
    },
    settings: { server_version: "17.6", synchronous_standby_names: 'FIRST 1 ("pg2","<pg3>")' },
  };
}

/** 60 s with a power loss after 20 s; `lost`: so many writes before it are gone. */
function resultOf(id: string, lost: number, confirmed = true): Result {
  const [pg1, pg2] = [
    { timeline: 1, server: "10.0.0.2:5432" },
    { timeline: 2, server: "10.0.0.3:5432" },
  ];
  const { tally, final } = forge(({ history, write, ...forged }) => {
    history.phase(2_000_000, "steady");
    for (let due = 10_000; due < 60_000_000; due += 10_000)
      for (const way of HEADER.ways) {
        const one = history.next();
        const times = { due, sent: due + 100, done: due + 3000 };
        if (due < FAULT) {
          history.ok(one, way, times, pg1, due);
          if (due < FAULT - lost * 5000) write(one);
        } else if (due < FAULT + 40_000) {
          history.unknown(one, way, times, "08006");
          if (due === FAULT) write(one);
        } else if (due < UP) history.unsent(one, way, due);
        else {
          history.ok(one, way, times, pg2, due);
          write(one);
        }
        if (due === FAULT && way === "direct") {
          history.phase(FAULT - 400_000, "armed");
          history.phase(FAULT - 1000, "inject", 'power of <pg1> & "friends"');
        }
      }
    history.refused("direct", FAULT + 50_000, "ECONNREFUSED");
    history.phase(48_000_000, "heal");
    history.phase(49_000_000, "healed");
    history.phase(60_000_000, "stopped");
    expect(forged.rows.length).toBeGreaterThan(1000);
  });
  const lines: Line[] = [];
  for (let at = 100_000; at <= 60_000_000; at += 100_000) {
    const [down, up] = [at > FAULT && at < 50_000_000, at >= UP];
    lines.push({
      at,
      nodes: `${down ? "N" : up ? "S" : "W"}${up ? "W" : at > UP - 600_000 ? "U" : "S"}S`,
    });
  }
  const event = (line: Line) => lines.push(line);
  event({ at: 50_000, event: "leader", holder: "pg1" });
  event({ at: 50_000, event: "role", node: "pg1", primary: true, timeline: 1 });
  event({ at: 50_000, event: "standbys", node: "pg1", streaming: 2, sync: 1 });
  event({ at: 25_000_000, event: "leader", holder: null });
  event({ at: 26_000_000, event: "leader", holder: "pg2" });
  event({ at: 26_900_000, event: "role", node: "pg2", primary: true, timeline: 2 });
  event({ at: 27_000_000, event: "standbys", node: "pg2", streaming: 1, sync: 1 });
  event({ at: 53_000_000, event: "standbys", node: "pg2", streaming: 2, sync: 1 });
  const samples = {
    format: 1 as const,
    members: ["pg1", "pg2", "pg3"],
    every_ms: 100,
    lines: lines.toSorted((a, b) => a.at - b.at),
  };
  const fault = tally.phaseAt("inject");
  const seen = {
    judged: judge(tally, final),
    flaws: [],
    copies: samples.members.map((node) => ({ node, equal: true, said: "equal" })),
    nodes: nodes(samples),
    redundancy: redundancy(samples, fault),
    waits: waits(tally, { from: 2_000_000, to: 60_000_000, fault }),
  };
  const claims = hypotheses({
    ...seen,
    goes_on: goesOn(tally),
    confirmed,
    lasted: true,
    healed: true,
    fault: { at_ms: 19_999, under_load: true },
    least: 1000,
    most_gap_ms: 30_000,
  });
  return {
    format: 1,
    id,
    ended: "2026-11-28T10:01:00.000Z",
    verdict: verdictOf(claims),
    hypotheses: claims,
    ...seen,
    recovery: recovery(samples, fault),
    phases: tally.phases.map(({ at, name, text }) => ({ at_ms: at / 1000, name, text })),
    events: eventsOf(samples),
    history: [
      {
        timeline: 1,
        lsn: 0x1_0a00_0028,
        reason: "no recovery target <specified>",
        at: "2026-11-28T10:00:26.900+00:00",
        leader: "pg2",
      },
    ],
    reasons: tally.reasons.map((reason, n) => ({ reason, times: tally.told[n] ?? 0 })),
    stalled_ms: 0,
    seconds: 60,
  };
}

function put(drill: Drill, result: Result | undefined): void {
  const folder = join(home, "chaos", "shop", drill.id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "drill.json"), JSON.stringify(drill));
  if (result !== undefined) writeFileSync(join(folder, "result.json"), JSON.stringify(result));
}

async function told(input: object, cluster: string | null = "shop"): Promise<any> {
  const ctx = fakeContext({
    target: { name: cluster ?? "none", cluster },
    run: { stateDir: home },
    cwd: home,
  });
  const output = await results.run(ctx, input);
  expect(validate(results.output, output as never, "the output")).toEqual([]);
  return { ...(output as object), warnings: ctx.recorded.warnings };
}

test("drills are told from what is kept of them, the newest first asked for, and one without its check is unknown", async () => {
  await expect(told({})).rejects.toMatchObject({ code: "invalid_param" });
  put(drillOf("d1", "2026-11-28T09:00:00.000Z"), resultOf("d1", 0));
  put(drillOf("d2", "2026-11-28T10:00:00.000Z"), resultOf("d2", 30));
  put(drillOf("d3", "2026-11-28T11:00:00.000Z"), resultOf("d3", 0, false));
  put(drillOf("d4", "2026-11-28T12:00:00.000Z"), undefined);
  mkdirSync(join(home, "chaos/shop/d5"));
  mkdirSync(join(home, "chaos/shop/d6"));
  writeFileSync(join(home, "chaos/shop/d6/drill.json"), "{");
  const all = await told({ last: 10 });
  expect(all.drills.map(({ drill, verdict }: any) => [drill, verdict])).toEqual([
    ["d1", "valid"],
    ["d2", "invalid"],
    ["d3", "unknown"],
    ["d4", "unknown"],
  ]);
  expect(all.warnings).toEqual([expect.stringContaining("d6")]);
  expect((await told({})).drills).toMatchObject([{ drill: "d4", lost: null }]);
  const [lossy] = (await told({ drill: "d2" })).drills;
  expect(lossy).toMatchObject({
    lost: 30,
    lost_span_ms: 140,
    recovered: 2,
    most_writable: 1,
    detect_ms: 5001,
    elect_ms: 1000,
    promote_ms: 900,
    redundancy_ms: 33_001,
    seconds: 60,
  });
  expect(lossy.gaps).toEqual([
    { way: "direct", longest_gap_ms: 7410, failed_ms: 7400, up_after_ms: 7404 },
    { way: "pooled", longest_gap_ms: 7410, failed_ms: 7400, up_after_ms: 7404 },
  ]);
  await expect(told({ drill: "d9" })).rejects.toMatchObject({ code: "invalid_param" });
  // Without a cluster, and by its id, also a drill of a cluster that is gone is told.
  expect((await told({}, null)).drills).toMatchObject([{ drill: "d4", cluster: "shop" }]);
  expect((await told({ drill: "d1" }, "other")).drills).toMatchObject([{ drill: "d1" }]);
  await expect(told({}, "other")).rejects.toMatchObject({ code: "invalid_param" });
});

test("what the place can't do is skipped, with the reason: on the page, and for a pipeline", async () => {
  const reason = "pg1 is a process: it has no <plug>";
  const drill = drillOf("d7", "2026-11-28T13:00:00.000Z");
  put(drill, { ...resultOf("d7", 0, false), verdict: "skipped", skipped: reason });
  const [html, xml] = [join(home, "skipped.html"), join(home, "skipped.xml")];
  const { drills } = await told({ drill: "d7", html, junit: xml });
  expect(drills).toMatchObject([{ verdict: "skipped", skipped: reason, seed: 7 }]);
  const page = readFileSync(html, "utf8");
  expect(page).toContain("it has no &lt;plug&gt;");
  expect(page).not.toContain("As clients saw it");
  const text = readFileSync(xml, "utf8");
  expect(text).toContain(
    '<testsuite name="chaos/kill-node" tests="1" failures="0" errors="0" skipped="1"',
  );
  expect(text).toContain('<skipped message="pg1 is a process: it has no &lt;plug&gt;"/>');
  rmSync(join(home, "chaos/shop/d7"), { recursive: true });
});

test("earlier runs with the same parameters come first, and of others it is told what differs", async () => {
  const at = (id: string, hour: number, params: object, seed: number) => ({
    ...drillOf(id, `2026-11-29T${hour}:00:00.000Z`),
    params: { ...params, seed },
    cluster: "two",
  });
  const power = { host: "leader", how: "power" };
  const all = [
    at("e1", 10, power, 1),
    at("e2", 11, { host: "leader", how: "freeze" }, 2),
    at("e3", 12, power, 3),
    at("e4", 13, power, 4),
  ];
  const folder = join(home, "chaos", "two");
  for (const one of all) {
    mkdirSync(join(folder, one.id), { recursive: true });
    writeFileSync(join(folder, one.id, "drill.json"), JSON.stringify(one));
    writeFileSync(join(folder, one.id, "result.json"), JSON.stringify(resultOf(one.id, 0)));
  }
  const html = join(home, "two.html");
  await told({ html }, "two");
  const page = readFileSync(html, "utf8");
  const order = ["13", "12", "10", "11"].map((hour) =>
    page.indexOf(`2026-11-29 ${hour}:00:00 UTC</td`),
  );
  expect(page).toContain("13:00:00 UTC (this)");
  expect(order.slice(1)).toEqual(order.slice(1).toSorted((a, b) => a - b));
  expect(order.slice(1).every((place) => place > 0)).toBe(true);
  expect(page).toContain("how freeze");
  rmSync(folder, { recursive: true });
});

test("the page has all of a drill, loads nothing, and escapes what it was told", async () => {
  const file = join(home, "drills.html");
  expect((await told({ drill: "d2", html: "drills.html" })).files).toEqual([file]);
  const text = readFileSync(file, "utf8");
  for (const part of [
    "invalid",
    "pgdba run chaos/kill-node --host pg1 --how power --seed 7 --cluster shop",
    "does not hold: no acknowledged write is lost",
    "30 lost: ",
    "power of &lt;pg1&gt; &amp; &quot;friends&quot;",
    "FIRST 1 (&quot;pg2&quot;,&quot;&lt;pg3&gt;&quot;)",
    "pg2 holds the leader key",
    "2026-11-28 09:00:00 UTC",
    "ECONNREFUSED",
    "How long writes took",
    "no recovery target &lt;specified&gt;",
    "1/A000028",
  ])
    expect(text).toContain(part);
  expect(text).not.toMatch(/<script|src=|href=|url\(|@import|<pg|NaN|undefined/);
  expect(text).toContain("default-src 'none'");
});

test.skipIf(chromiumMissing() !== null)(
  "the page reads on a wide screen, a narrow one, and paper",
  async () => {
    const file = join(home, "page.html");
    await told({ last: 4, html: file });
    const widths = async (width: number) => {
      const wide = join(home, `${width}.html`);
      writeFileSync(
        wide,
        readFileSync(file, "utf8")
          .replace(/<meta\s+http-equiv[^>]*>/, "")
          .replace(
            "</body>",
            "<script>document.title = `${document.documentElement.scrollWidth}`</script></body>",
          ),
      );
      const dom = await browse(wide, "--dump-dom", `--window-size=${width},900`);
      return Number(/<title>(\d+)<\/title>/.exec(dom)?.[1]);
    };
    // Nothing is wider than the window, so that nobody has to move it from side to side.
    expect(await widths(1280)).toBeLessThanOrEqual(1280);
    expect(await widths(600)).toBeLessThanOrEqual(600);
    const shot = join(home, "page.png");
    await browse(file, `--screenshot=${shot}`, "--window-size=1280,2400");
    expect(picture(readFileSync(shot))).toMatchObject({ width: 1280, height: 2400 });
    const paper = join(home, "page.pdf");
    await browse(file, `--print-to-pdf=${paper}`, "--no-pdf-header-footer");
    const pages = readFileSync(paper, "latin1").match(/\/Type\s*\/Page\b/g)?.length;
    expect(pages).toBeGreaterThanOrEqual(4);
    expect(pages).toBeLessThanOrEqual(16);
  },
);

/** A parser of JUnit's format from PyPI, fetched by pip once; or why there is none. */
function junitParser(): { folder: string } | { missing: string } {
  const folder = join(tmpdir(), "pgdba-junitparser-4.0.2");
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--root-user-action=ignore"];
  if (!existsSync(join(folder, "junitparser"))) {
    const ran = Bun.spawnSync(["python3", ...pip, "--target", folder, "junitparser==4.0.2"]);
    if (!ran.success)
      return {
        missing: `pip has no junitparser: ${ran.stderr.toString().trim().split("\n").at(-1)}`,
      };
  }
  return { folder };
}

const parser = junitParser();
if ("missing" in parser && (process.env["PGDBA_TEST_REQUIRE"] ?? "").includes("junit"))
  throw new Error(parser.missing);

test.skipIf("missing" in parser)(
  `JUnit's XML is taken by a parser of others${"missing" in parser ? ` (${parser.missing})` : ""}`,
  async () => {
    const file = join(home, "drills.xml");
    await told({ last: 4, junit: file });
    const script = `import json, sys
from junitparser import JUnitXml
xml = JUnitXml.fromfile(sys.argv[1])
print(json.dumps([[s.name, s.tests, s.failures, s.errors, s.skipped, s.time, s.timestamp,
  [p.value for p in s.properties() if p.name in ("verdict", "synchronous_standby_names")],
  [[c.name, type(r).__name__, r.message] for c in s for r in c.result]] for s in xml]))`;
    const { folder } = parser as { folder: string };
    const ran = Bun.spawnSync(["python3", "-c", script, file], {
      env: { PATH: process.env["PATH"], PYTHONPATH: folder },
    });
    expect(ran.stderr.toString()).toBe("");
    const suites = JSON.parse(ran.stdout.toString());
    expect(suites.map((suite: unknown[]) => suite.slice(0, 8))).toEqual([
      [
        "chaos/kill-node",
        17,
        0,
        0,
        0,
        60,
        "2026-11-28T09:00:00",
        ["valid", 'FIRST 1 ("pg2","<pg3>")'],
      ],
      [
        "chaos/kill-node",
        17,
        1,
        0,
        0,
        60,
        "2026-11-28T10:00:00",
        ["invalid", 'FIRST 1 ("pg2","<pg3>")'],
      ],
      [
        "chaos/kill-node",
        17,
        0,
        1,
        0,
        60,
        "2026-11-28T11:00:00",
        ["unknown", 'FIRST 1 ("pg2","<pg3>")'],
      ],
      [
        "chaos/kill-node",
        1,
        0,
        1,
        0,
        0,
        "2026-11-28T12:00:00",
        ["unknown", 'FIRST 1 ("pg2","<pg3>")'],
      ],
    ]);
    expect(suites[1][8]).toEqual([
      ["no acknowledged write is lost", "Failure", expect.stringMatching(/^30 lost: /)],
    ]);
    expect(suites[2][8]).toEqual([
      ["the fault took effect", "Error", "nothing has shown that it did"],
    ]);
  },
);
