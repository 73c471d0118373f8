import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Doc } from "../../../engine/types.ts";
import { workspace } from "./layers.ts";
import { faultsOf, rejectionOf } from "./refused.ts";

const { library } = workspace();

const BASE = `name: base
summary: Base
risk: change
needs: [postgres, superuser]
params:
  lag: {type: integer, default: 1, description: How far}
  name: {type: string, enum: [a, b]}
steps:
  - id: one
    noop: {}
  - id: two
    block:
      - id: inner
        noop: {}
      - id: other
        noop: {}
    rescue:
      - id: saved
        noop: {}
    always:
      - id: closing
        noop: {}
    undo:
      - id: undone
        noop: {}
  - noop: {unnamed: true}
  - id: last
    noop: {}
output:
  a: steps.one.output.a
  deep: {x: '1', y: '2'}
output_schema:
  a: {type: string}
`;

const plain = (value: unknown) => JSON.parse(JSON.stringify(value));

/** The document `child` that extends `base`. */
const extended = (text: string, base = BASE) =>
  library({
    builtin: { "base.yaml": base },
    project: { "child.yaml": `extends: base\n${text}` },
  }).load("child");

const faults = async (text: string, base = BASE) =>
  faultsOf(await rejectionOf(extended(text, base)));

/** Ids in order, those of a block in brackets after it. */
function ids(steps: any): string {
  return steps
    .map((step: any) => {
      const inner = ["block", "rescue", "always", "undo"].flatMap((key) =>
        Array.isArray(step[key]) ? [`${key}: ${ids(step[key])}`] : [],
      );
      return (step.id ?? "-") + (inner.length > 0 ? `[${inner.join("; ")}]` : "");
    })
    .join(" ");
}

const ALL = "one two[block: inner other; rescue: saved; always: closing; undo: undone] - last";

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

describe("steps", () => {
  const step = (id: string, more = "") => `  - id: ${id}\n    noop: {mine: true}\n${more}`;
  const merged = async (text: string) => ids((await extended(text)).data["steps"]);

  test("an entry whose id exists replaces it, in place and whole", async () => {
    const { data } = await extended(`steps:\n${step("one")}`);
    expect(ids(data["steps"])).toBe(ALL);
    expect(plain(data["steps"])[0]).toEqual({ id: "one", noop: { mine: true } });
  });

  test.each(["inner", "other", "saved", "closing", "undone"])(
    "so does one inside a block: %s",
    async (id) => {
      const { data } = await extended(`steps:\n${step(id)}`);
      expect(ids(data["steps"])).toBe(ALL);
      expect(JSON.stringify(data)).toContain(`{"id":"${id}","noop":{"mine":true}}`);
    },
  );

  test("a block is replaced with all it holds", async () => {
    expect(await merged(`steps:\n${step("two")}`)).toBe("one two - last");
  });

  test("others are appended", async () => {
    expect(await merged(`steps:\n${step("x")}  - noop: {}\n${step("y")}`)).toBe(`${ALL} x - y`);
  });

  test("or placed, and keep their order; the keys that place them are gone", async () => {
    const { data } = await extended(
      `steps:\n${step("x", "    after: one\n")}${step("y", "    after: one\n")}${step("v", "    before: one\n")}${step("w", "    before: one\n")}`,
    );
    expect(ids(data["steps"])).toBe(ALL.replace("one", "v w one x y"));
    expect(JSON.stringify(data)).not.toMatch(/"(after|before)"/);
  });

  test("inside a block, and beside each other", async () => {
    expect(
      await merged(
        `steps:\n${step("x", "    after: inner\n")}${step("y", "    before: x\n")}${step("z", "    after: saved\n")}`,
      ),
    ).toBe(ALL.replace("inner", "inner y x").replace("saved", "saved z"));
  });

  test("an entry that exists and is placed moves", async () => {
    expect(await merged(`steps:\n${step("one", "    after: last\n")}`)).toBe(
      `${ALL.replace("one ", "")} one`,
    );
  });

  test("drop removes, also inside a block; a dropped id is free", async () => {
    expect(await merged("drop: [one, inner, closing]\n")).toBe(
      "two[block: other; rescue: saved; always: ; undo: undone] - last",
    );
    expect(await merged(`drop: [one]\nsteps:\n${step("one")}`)).toBe(
      `${ALL.replace("one ", "")} one`,
    );
  });

  test("unknown ids are errors with position and the nearest id, all at once", async () => {
    const { places, list } = await faults(
      `drop:\n  - lst\n  - 5\nsteps:\n${step("x", "    after: innr\n")}${step("y", "    before: [one]\n")}`,
    );
    expect(places).toEqual([
      "3:5 unknown-id",
      "4:5 drop-not-ids",
      "8:12 unknown-id",
      "11:13 unknown-id",
    ]);
    expect(list[0]).toMatchObject({
      message: 'there is no step "lst" in the document it extends',
      hint: 'Did you mean "last"?',
    });
    expect(list[2]!.hint).toBe('Did you mean "inner"?');
    expect((await faults("drop: [zzzzzz]\n")).list[0]!.hint).toContain(
      "one, two, inner, other, saved, closing, undone, last",
    );
    expect((await faults("drop: one\n")).places).toEqual(["2:7 drop-not-ids"]);
    expect((await faults(`steps:\n${step("one", "    after: one\n")}`)).places).toEqual([
      "5:12 unknown-id",
    ]);
  });

  test("two entries of one id, and two places for one entry, are errors", async () => {
    expect((await faults(`steps:\n${step("one")}${step("one")}`)).places).toEqual([
      "5:9 duplicate-id",
    ]);
    expect(
      (await faults(`steps:\n${step("x", "    after: one\n    before: last\n")}`)).places,
    ).toEqual(["6:5 after-and-before"]);
  });

  test("a base without steps gets them", async () => {
    const { data } = await extended(`steps:\n${step("x")}`, "summary: s\n");
    expect(ids(data["steps"])).toBe("x");
  });

  test("the base itself stays as it is", async () => {
    const { load } = library({
      builtin: { "base.yaml": BASE },
      project: { "child.yaml": `extends: base\ndrop: [one, inner]\nsteps:\n${step("last")}` },
    });
    await load("child");
    const { data } = await load("base");
    expect(ids(data["steps"])).toBe(ALL);
    expect(JSON.stringify(data)).not.toContain("mine");
  });

  test("thousands of steps are merged quickly", async () => {
    const list = (more: string) =>
      `steps: [${Array.from({ length: 3000 }, (_, i) => `{id: s${i}${more}}`).join(", ")}]\n`;
    const start = performance.now();
    const { data } = await extended(list(", x: 1"), `summary: s\n${list("")}`);
    expect(performance.now() - start).toBeLessThan(2000);
    expect(data["steps"]).toHaveLength(3000);
    expect(plain(data["steps"])[2999]).toEqual({ id: "s2999", x: 1 });
  });

  test("an id inside a replaced block is gone with it", async () => {
    expect(
      (await faults(`steps:\n${step("two")}${step("x", "    after: inner\n")}`)).places,
    ).toEqual(["7:12 unknown-id"]);
  });

  test("thousands of unknown ids are refused quickly", async () => {
    const base = `summary: s\nsteps: [${Array.from({ length: 2000 }, (_, i) => `{id: base_step_${i}}`).join(", ")}]\n`;
    const start = performance.now();
    const { places } = await faults(
      `steps: [${Array.from({ length: 2000 }, (_, i) => `{id: x${i}, after: bose_stop_${i}}`).join(", ")}]\n`,
      base,
    );
    expect(places).toHaveLength(50);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe("chains", () => {
  test("its own name is the next lower layer's, another name what all layers give", async () => {
    const { load } = library({
      builtin: { "a.yaml": "summary: builtin\nrisk: read\nx: 1\n", "b.yaml": "extends: a\ny: 1\n" },
      user: { "a.yaml": "extends: a\nsummary: user\nx: 2\n" },
      project: { "a.yaml": "extends: a\nsummary: project\n" },
    });
    expect(plain((await load("a")).data)).toEqual({ summary: "project", risk: "read", x: 2 });
    expect(plain((await load("b")).data)).toEqual({ summary: "project", risk: "read", x: 2, y: 1 });
  });

  const chain = (length: number) =>
    library({
      builtin: Object.fromEntries(
        Array.from({ length }, (_, i) => [
          `d${i}.yaml`,
          i === 0 ? "summary: s\nrisk: read\n" : `p${i}: ${i}\nextends: d${i - 1}\n`,
        ]),
      ),
    });

  test("eight deep, no deeper, in whatever order they are loaded", async () => {
    const { load } = chain(10);
    expect(Object.keys((await load("d8")).data)).toHaveLength(10);
    const { places, error } = faultsOf(await rejectionOf(load("d9")));
    expect(places).toEqual(["2:10 extends-too-long"]);
    expect(error.where!.file).toEndWith("/d9.yaml");
  });

  test("circles are refused where they close", async () => {
    const { load } = library({
      builtin: {
        "a.yaml": "summary: s\nextends: b\n",
        "b.yaml": "extends: c\n",
        "c.yaml": "extends: a\n",
      },
      project: { "o.yaml": "extends: p\n", "p.yaml": "summary: p\nextends: o\n" },
    });
    const { places, error } = faultsOf(await rejectionOf(load("a")));
    expect(places).toEqual(["1:10 extends-cycle"]);
    expect(error.where!.file).toEndWith("/c.yaml");
    expect(error.message).toContain("a (builtin) → b (builtin) → c (builtin) → a (builtin)");
    expect(faultsOf(await rejectionOf(load("o"))).places).toEqual(["2:10 extends-cycle"]);
  });

  test("an override that reaches itself through another document is a circle", async () => {
    const { load } = library({
      builtin: { "a.yaml": "summary: s\n", "b.yaml": "extends: a\n" },
      project: { "a.yaml": "extends: b\n" },
    });
    expect(faultsOf(await rejectionOf(load("a"))).places).toEqual(["1:10 extends-cycle"]);
  });

  test.each([
    [
      "a name there is not",
      "extends: helth/check\n",
      "1:10 unknown-extends",
      "Did you mean health/check?",
    ],
    ["a path", "extends: ../x\n", "1:10 unknown-extends", "`pgdba list`"],
    ["no text", "summary: s\nextends: [health/check]\n", "2:10 unknown-extends", "health/check"],
    [
      "its own name with nothing below",
      "extends: mine\n",
      "1:10 unknown-extends",
      "Remove the line",
    ],
  ])("%s is refused", async (_name, text, place, hint) => {
    const { load } = library({
      builtin: { "health/check.yaml": "summary: s\n" },
      project: { "mine.yaml": text },
    });
    const { places, error } = faultsOf(await rejectionOf(load("mine")));
    expect(places).toEqual([place]);
    expect(error.hint).toContain(hint);
  });

  test("a fault of the base is shown in the base", async () => {
    const { error } = await faults("", "summary: s\na: 1\na: 2\n");
    expect(error.where).toMatchObject({ line: 3, column: 1 });
    expect(error.where!.file).toEndWith("/base.yaml");
  });
});

describe("risk", () => {
  const doc = (risk: string) => `summary: s\nrisk: ${risk}\nsteps: []\n`;
  const load = (layers: Parameters<typeof library>[0], name = "a") => library(layers).load(name);
  const lowered = async (layers: Parameters<typeof library>[0], name = "a") =>
    faultsOf(await rejectionOf(load(layers, name)));

  test("an override by name can't lower it", async () => {
    const { places, error } = await lowered({
      builtin: { "a.yaml": doc("disruptive") },
      project: { "a.yaml": doc("change") },
    });
    expect(places).toEqual(["2:7 risk-lowered"]);
    expect(error.message).toBe(
      'the risk "change" is lower than "disruptive" of a in layer builtin',
    );
  });

  test.each(["read", "change", "disruptive", "destructive"])(
    "it may keep or raise it: %s",
    async (risk) => {
      expect(
        (await load({ builtin: { "a.yaml": doc("read") }, project: { "a.yaml": doc(risk) } })).data[
          "risk"
        ],
      ).toBe(risk);
      expect(
        (
          await load({
            builtin: { "a.yaml": doc(risk) },
            project: { "a.yaml": doc("destructive") },
          })
        ).data["risk"],
      ).toBe("destructive");
    },
  );

  test("nor can one that extends it, under its own name or another", async () => {
    const builtin = { "a.yaml": doc("destructive") };
    expect(
      (await lowered({ builtin, user: { "a.yaml": "extends: a\nrisk: read\n" } })).places,
    ).toEqual(["2:7 risk-lowered"]);
    expect(
      (await lowered({ builtin, user: { "b.yaml": "extends: a\nrisk: read\n" } }, "b")).places,
    ).toEqual(["2:7 risk-lowered"]);
    expect((await load({ builtin, user: { "b.yaml": "extends: a\n" } }, "b")).data["risk"]).toBe(
      "destructive",
    );
  });

  test("nor can a middle layer's raise be undone by a higher one", async () => {
    const { places, error } = await lowered({
      builtin: { "a.yaml": doc("read") },
      user: { "a.yaml": doc("disruptive") },
      project: { "a.yaml": doc("change") },
    });
    expect(places).toEqual(["2:7 risk-lowered"]);
    expect(error.message).toContain("layer user");
  });

  test("nor can the name be taken by a document that extends a harmless one", async () => {
    const { places, error } = await lowered({
      builtin: { "a.yaml": doc("destructive"), "calm.yaml": doc("read") },
      project: { "a.yaml": "summary: s\nextends: calm\n" },
    });
    expect(places).toEqual(["2:10 risk-lowered"]);
    expect(error.where!.file).toEndWith("/a.yaml");
  });

  test("nor by way of a lowered document that another one extends", async () => {
    const { places, error } = await lowered(
      {
        builtin: { "a.yaml": doc("destructive") },
        user: { "a.yaml": doc("read") },
        project: { "b.yaml": "extends: a\n" },
      },
      "b",
    );
    expect(places).toEqual(["2:7 risk-lowered"]);
    expect(error.where!.file).toEndWith("/a.yaml");
  });

  test("a document that replaces one which extends it back is no endless loop", async () => {
    const layers = {
      builtin: {
        "a.yaml": "summary: s\nextends: b\n",
        "b.yaml": "extends: c\n",
        "c.yaml": doc("read"),
      },
      project: { "c.yaml": "risk: read\nextends: a\n" },
    };
    expect((await lowered(layers, "c")).places).toEqual(["1:10 extends-cycle"]);
    const replaced = {
      builtin: { "a.yaml": "extends: b\n", "b.yaml": "extends: a\n" },
      project: { "a.yaml": doc("read") },
    };
    expect((await load(replaced, "a")).data["risk"]).toBe("read");
    expect((await load(replaced, "b")).data["risk"]).toBe("read");
  });
});

describe("digest", () => {
  const digest = async (layers: Parameters<typeof library>[0], name = "child") =>
    (await library(layers).load(name)).digest;
  const CHILD = { "child.yaml": "extends: base\n" };

  test("is the SHA-256 of the text where nothing is extended", async () => {
    const text = "summary: s\n";
    expect(await digest({ builtin: { "child.yaml": text } })).toBe(
      new Bun.CryptoHasher("sha256").update(text).digest("hex"),
    );
  });

  test("changes with the document, its base and the base of its base, and with nothing else", async () => {
    const builtin = {
      "root.yaml": "summary: s\n",
      "base.yaml": "extends: root\n",
      "other.yaml": "summary: o\n",
    };
    const first = await digest({ builtin, project: CHILD });
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(await digest({ builtin, project: CHILD })).toBe(first);
    expect(
      await digest({ builtin: { ...builtin, "other.yaml": "summary: p\n" }, project: CHILD }),
    ).toBe(first);
    const changed = [
      await digest({ builtin, project: { "child.yaml": "extends: base\nx: 1\n" } }),
      await digest({
        builtin: { ...builtin, "base.yaml": "extends: root\nx: 1\n" },
        project: CHILD,
      }),
      await digest({ builtin: { ...builtin, "root.yaml": "summary: s\nx: 1\n" }, project: CHILD }),
    ];
    expect(new Set([first, ...changed]).size).toBe(4);
  });
});
