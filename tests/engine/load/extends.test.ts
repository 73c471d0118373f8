import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Doc } from "../../../engine/types.ts";
import { ALL, extending, ids, plain } from "./extending.ts";
import { workspace } from "./layers.ts";

const { library } = workspace();
const { extended, faults } = extending(library);

function shown(doc: Doc, path: (string | number)[], key?: boolean) {
  const { file, line, column, offset, length, text } = doc.at(path, key);
  return `${file.split("/").slice(-1)[0]}:${line}:${column} ${text.slice(offset, offset + length).trimEnd()}`;
}

describe("merge", () => {
  test("nothing but extends gives the base, without its name", async () => {
    const doc = await extended("");
    expect(doc).toMatchObject({ name: "child", kind: "runbook", layer: "project" });
    expect(Object.getPrototypeOf(doc.data)).toBeNull();
    expect(plain(doc.data)).toMatchObject({
      summary: "Base",
      risk: "change",
      needs: ["postgres", "superuser"],
    });
    expect(Object.keys(doc.data).toSorted()).toEqual([
      "needs",
      "output",
      "output_schema",
      "params",
      "risk",
      "steps",
      "summary",
    ]);
    expect(ids(doc.data["steps"])).toBe(ALL);
  });

  test("scalars and lists of the child win", async () => {
    const { data } = await extended(
      "name: child\nsummary: Mine\nneeds: [patroni]\nrisk: destructive\n",
    );
    expect(plain(data)).toMatchObject({
      name: "child",
      summary: "Mine",
      needs: ["patroni"],
      risk: "destructive",
    });
  });

  test("params, output and output_schema merge map by map, their lists are replaced", async () => {
    const { data } = await extended(
      "params:\n  lag: {default: 5}\n  name: {enum: [c]}\n  more: {type: string}\noutput:\n  deep: {y: '3', z: '4'}\noutput_schema:\n  a: {minLength: 1}\n",
    );
    expect(plain(data["params"])).toEqual({
      lag: { type: "integer", default: 5, description: "How far" },
      name: { type: "string", enum: ["c"] },
      more: { type: "string" },
    });
    expect(plain(data["output"])).toEqual({
      a: "steps.one.output.a",
      deep: { x: "1", y: "3", z: "4" },
    });
    expect(plain(data["output_schema"])).toEqual({ a: { type: "string", minLength: 1 } });
  });

  test("a params entry that is no map is refused where the base declares one", async () => {
    const { places, list } = await faults("params:\n  lag: 5\n  fresh: 6\n  name:\n");
    expect(places).toEqual(["3:8 param-not-a-map", "5:8 param-not-a-map"]);
    expect(list[0]!.hint).toBe("Write lag: {default: 5} to change its default.");
  });

  test("the kind is inherited and can't be changed", async () => {
    const base = "kind: check\nsummary: s\n";
    expect((await extended("", base)).kind).toBe("check");
    expect((await extended("kind: check\n", base)).kind).toBe("check");
    expect((await faults("kind: runbook\n", base)).places).toEqual(["2:7 kind-changed"]);
    expect((await faults("kind: check\n")).places).toEqual(["2:7 kind-changed"]);
  });

  test("a threshold of another kind of document is changed in three lines", async () => {
    const check = `kind: check
summary: Connections in use
params:
  warning: {type: number, default: 80}
  critical: {type: number, default: 95}
sql: select 1
`;
    const { load, find, dirs } = library({
      builtin: { "health/checks/connections-used.yaml": check },
      project: {
        "health/checks/connections-used.yaml":
          "extends: health/checks/connections-used\nparams:\n  warning: {default: 70}\n",
      },
    });
    expect(find("health/checks/connections-used")!.kind).toBe("check");
    const doc = await load("health/checks/connections-used");
    expect(plain(doc.data)).toEqual({
      kind: "check",
      summary: "Connections in use",
      params: {
        warning: { type: "number", default: 70 },
        critical: { type: "number", default: 95 },
      },
      sql: "select 1",
    });
    expect(doc.at(["params", "warning", "default"])).toMatchObject({
      file: join(dirs["project"]!, "health/checks/connections-used.yaml"),
      line: 3,
      column: 22,
    });
    expect(doc.at(["params", "critical", "default"])).toMatchObject({
      file: join(dirs["builtin"]!, "health/checks/connections-used.yaml"),
      line: 5,
      column: 37,
    });
  });

  test("positions point into the file that says it", async () => {
    const doc = await extended(
      "params:\n  lag: {default: 5}\nsteps:\n  - id: inner\n    noop: {mine: 1}\n    after: one\n",
    );
    expect(shown(doc, ["summary"])).toBe("base.yaml:2:10 Base");
    expect(shown(doc, ["params", "lag", "default"])).toBe("child.yaml:3:18 5");
    expect(shown(doc, ["params", "lag", "default"], true)).toBe("child.yaml:3:9 default");
    expect(shown(doc, ["params", "lag", "type"])).toBe("base.yaml:6:15 integer");
    expect(shown(doc, ["params", "name"], true)).toBe("base.yaml:7:3 name");
    expect(shown(doc, ["steps", 0, "id"])).toBe("base.yaml:9:9 one");
    expect(shown(doc, ["steps", 1, "noop", "mine"])).toBe("child.yaml:6:18 1");
    expect(shown(doc, ["steps", 2, "block", 0, "id"])).toBe("base.yaml:15:13 other");
    expect(shown(doc, ["absent"])).toStartWith("child.yaml:1:1 extends");
  });
});
