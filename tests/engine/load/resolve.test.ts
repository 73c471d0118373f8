import { describe, expect, test } from "bun:test";
import { extending, plain } from "./extending.ts";
import { workspace } from "./layers.ts";
import { faultsOf, rejectionOf } from "./refused.ts";

const { library } = workspace();
const { faults } = extending(library);

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

  test("the lineage is all that a document extends or replaces, and what those extend or replace", async () => {
    const { load } = library({
      builtin: {
        "chaos/kill.yaml": "summary: s\nrisk: change\n",
        "b.yaml": "extends: chaos/kill\n",
      },
      user: {
        "a.yaml": "extends: b\n",
        "c.yaml": "summary: s\nrisk: change\n",
        "d.yaml": "extends: other/one\n",
        "other/one.yaml": "extends: a\n",
      },
      project: {
        // Each replaces what extended something, and does not say so.
        "b.yaml": "summary: s\nrisk: change\n",
        "d.yaml": "extends: c\n",
        "other/one.yaml": "summary: s\nrisk: change\n",
      },
    });
    const lineage = async (name: string) => (await load(name)).lineage;
    expect(await lineage("chaos/kill")).toEqual(["chaos/kill"]);
    expect(await lineage("a")).toEqual(["a", "b", "chaos/kill"]);
    expect(await lineage("b")).toEqual(["b", "chaos/kill"]);
    expect(await lineage("c")).toEqual(["c"]);
    expect(await lineage("d")).toEqual(["d", "c", "other/one", "a", "b", "chaos/kill"]);
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
