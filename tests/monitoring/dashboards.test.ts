/** The dashboards are what their source makes, and what Grafana needs of them without a hand. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(import.meta.dir, "../..");
const grafana = join(root, "monitoring/grafana");
const folder = join(grafana, "dashboards");

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { uid: string };
  fieldConfig?: { defaults: { unit?: string } };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string }; refId: string }[];
}
interface Dashboard {
  id: null;
  uid: string;
  title: string;
  editable: boolean;
  panels: Panel[];
  templating: { list: { name: string; type: string; refresh?: number; query: unknown }[] };
}

function run(...words: string[]): { code: number; said: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(words, { cwd: root });
  return { code: exitCode, said: `${stdout.toString()}${stderr.toString()}` };
}

test("the files are what their source makes, and the source is typed", () => {
  expect(run(process.execPath, "monitoring/grafana/make/main.ts", "--check")).toEqual({
    code: 0,
    said: "all dashboards are current\n",
  });
  expect(run("node_modules/.bin/tsc", "--noEmit", "-p", "monitoring/grafana")).toEqual({
    code: 0,
    said: "",
  });
}, 300_000);

describe.each(readdirSync(folder))("%s", (name) => {
  const text = readFileSync(join(folder, name), "utf8");
  const board = JSON.parse(text) as Dashboard;
  const panels = board.panels.filter(({ type }) => type !== "row");

  test("it can be provisioned: its uid stays, and nobody edits it by hand", () => {
    expect(board.uid).toBe(`pgdba-${name.replace(".json", "")}`);
    expect(board.id).toBeNull();
    expect(board.editable).toBe(false);
    expect(text).not.toContain("__inputs");
    expect(text).not.toMatch(/password|secret|token/i);
  });

  test("it is about one cluster, which is chosen, as are its members and the source of the data", () => {
    expect(board.templating.list.map(({ name: one, type }) => `${one} ${type}`)).toEqual([
      "datasource datasource",
      "cluster query",
      "instance query",
    ]);
    // 2: whenever the range of time changes, so that new members are found.
    expect(board.templating.list.slice(1).map(({ refresh }) => refresh)).toEqual([2, 2]);
    for (const { title, datasource, targets = [] } of panels) {
      expect([title, datasource?.uid]).toEqual([title, "${datasource}"]);
      for (const { expr, datasource: own } of targets) {
        expect([title, own.uid]).toEqual([title, "${datasource}"]);
        if (expr.includes("pgdba:threshold")) continue;
        expect([
          title,
          expr.includes('cluster="$cluster"') || expr.includes('cluster=~"$cluster|"'),
        ]).toEqual([title, true]);
      }
    }
  });

  test("each panel says what it shows, has a unit, and a place of its own", () => {
    const ids = board.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { title, description = "", fieldConfig, targets = [] } of panels) {
      expect([title, description.length > 5]).toEqual([title, true]);
      expect([title, typeof fieldConfig?.defaults.unit]).toEqual([title, "string"]);
      expect([title, new Set(targets.map(({ refId }) => refId)).size]).toEqual([
        title,
        targets.length,
      ]);
    }
    for (const [index, { title, gridPos: a }] of board.panels.entries()) {
      expect([title, a.x + a.w <= 24]).toEqual([title, true]);
      for (const { title: other, gridPos: b } of board.panels.slice(index + 1)) {
        const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
        expect([title, other, apart]).toEqual([title, other, true]);
      }
    }
  });
});

test("rates follow the range that is looked at", () => {
  const fixed = readdirSync(folder).flatMap((name) =>
    [...readFileSync(join(folder, name), "utf8").matchAll(/\brate\([^)]*?\[(\w+)\]/g)].map(
      ([all]) => all,
    ),
  );
  expect(fixed).toEqual([]);
});

test("Grafana is told of the source and of the dashboards", () => {
  const read = (file: string) =>
    parse(readFileSync(join(grafana, "provisioning", file), "utf8")) as Record<string, any>;
  const [source] = read("datasources/pgdba.yml")["datasources"];
  expect(source).toMatchObject({ uid: "pgdba-prometheus", type: "prometheus", editable: false });
  const [provider] = read("dashboards/pgdba.yml")["providers"];
  expect(provider).toMatchObject({ type: "file", allowUiUpdates: false });
});
