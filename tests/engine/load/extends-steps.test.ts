import { describe, expect, test } from "bun:test";
import { cpuMs } from "../../support/cpu-time.ts";
import { ALL, BASE, extending, ids, plain } from "./extending.ts";
import { workspace } from "./layers.ts";

const { library } = workspace();
const { extended, faults } = extending(library);

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
    const computed = cpuMs();
    const { data } = await extended(list(", x: 1"), `summary: s\n${list("")}`);
    expect(cpuMs() - computed).toBeLessThan(2000);
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
    const computed = cpuMs();
    const { places } = await faults(
      `steps: [${Array.from({ length: 2000 }, (_, i) => `{id: x${i}, after: bose_stop_${i}}`).join(", ")}]\n`,
      base,
    );
    expect(places).toHaveLength(50);
    expect(cpuMs() - computed).toBeLessThan(2000);
  });
});
