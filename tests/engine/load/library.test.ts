import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import { cpuMs } from "../../support/cpu-time.ts";
import { workspace } from "./layers.ts";
import { faultsOf, rejectionOf, thrownBy } from "./refused.ts";

const { folder, library } = workspace();

const RUNBOOK = "summary: s\nrisk: read\nsteps: []\n";

describe("names", () => {
  test("documents are named by their path; others are left out", () => {
    const { entries } = library({
      project: {
        "failover/trigger.yaml": RUNBOOK,
        "a/b-2/c.yaml": RUNBOOK,
        "top.yaml": RUNBOOK,
        "_part.yaml": RUNBOOK,
        "_dir/x.yaml": RUNBOOK,
        ".hidden/x.yaml": RUNBOOK,
        ".x.yaml": RUNBOOK,
        "notes.txt": "x",
        "schema.json": "{}",
        "top.test.yaml": RUNBOOK,
        "Upper.yaml": RUNBOOK,
        "2nd.yaml": RUNBOOK,
        "other.yml": RUNBOOK,
      },
    });
    expect(entries().map((entry) => entry.name)).toEqual(["a/b-2/c", "failover/trigger", "top"]);
  });

  test.each([
    "../secret",
    "a/../b",
    "/etc/passwd",
    "a//b",
    "a/",
    "",
    ".",
    "a\0b",
    "a\\b",
    "a.yaml",
    "-a",
    "a b",
    "a".repeat(300),
  ])("%p can't be asked for", async (name) => {
    const { find, load } = library({ project: { "a.yaml": RUNBOOK } });
    for (const error of [thrownBy(() => find(name)), await rejectionOf(load(name))]) {
      expect(error).toBeInstanceOf(PgdbaError);
      expect(error).toMatchObject({ code: "unknown_runbook" });
      expect((error as PgdbaError).hint).toContain("pgdba list");
    }
  });

  test("an unknown name is undefined to find, and an error with the nearest name to load", async () => {
    const { find, load } = library({ builtin: { "failover/trigger.yaml": RUNBOOK } });
    expect(find("failover/triger")).toBeUndefined();
    expect(await rejectionOf(load("failover/triger"))).toMatchObject({
      code: "unknown_runbook",
      hint: "Did you mean failover/trigger? `pgdba list` shows all of them.",
    });
    expect(await rejectionOf(load("zzz"))).toMatchObject({
      hint: "`pgdba list` shows all of them.",
    });
    expect(thrownBy(() => find("Failover/Trigger.yaml"))).toMatchObject({
      hint: "Did you mean failover/trigger? `pgdba list` shows all of them.",
    });
  });

  test("a file that is nearly a document is explained to who asks for it", async () => {
    const { find, load } = library({ project: { "other.yml": RUNBOOK, "Upper.yaml": RUNBOOK } });
    expect(((await rejectionOf(load("other"))) as PgdbaError).hint).toContain("rename it to .yaml");
    expect((thrownBy(() => find("Upper")) as PgdbaError).hint).toContain("lower-case");
  });
});

describe("layers", () => {
  const layers = {
    builtin: { "a.yaml": RUNBOOK, "b.yaml": RUNBOOK },
    system: { "a.yaml": RUNBOOK, "c.yaml": RUNBOOK },
    user: {},
    project: { "a.yaml": RUNBOOK, "b.yaml": RUNBOOK },
    extra: { "a.yaml": RUNBOOK },
  };

  test("the later wins by name; what it overrides is listed nearest first", () => {
    const { entries, find, dirs } = library(layers);
    expect(entries().map(({ name, layer }) => `${name} ${layer}`)).toEqual([
      "a extra",
      "b project",
      "c system",
    ]);
    expect(find("a")).toEqual({
      name: "a",
      kind: "runbook",
      layer: "extra",
      file: join(dirs["extra"]!, "a.yaml"),
      overrides: [
        { layer: "project", file: join(dirs["project"]!, "a.yaml") },
        { layer: "system", file: join(dirs["system"]!, "a.yaml") },
        { layer: "builtin", file: join(dirs["builtin"]!, "a.yaml") },
      ],
    });
    expect(find("c")!.overrides).toEqual([]);
  });

  test("load gives the winner", async () => {
    const { load, dirs } = library(layers);
    expect(await load("b")).toMatchObject({
      name: "b",
      kind: "runbook",
      layer: "project",
      file: join(dirs["project"]!, "b.yaml"),
    });
  });

  test("a folder that is not there is an empty layer, unless it was named by the caller", () => {
    const dir = join(folder({}), "none");
    expect(openLibrary([{ name: "project", dir }]).entries()).toEqual([]);
    expect(thrownBy(() => openLibrary([{ name: "extra", dir }]).entries())).toMatchObject({
      code: "invalid_config",
    });
    const file = join(folder({ "a.yaml": RUNBOOK }), "a.yaml");
    expect(thrownBy(() => openLibrary([{ name: "project", dir: file }]).entries())).toMatchObject({
      code: "io_failed",
    });
  });

  test("nothing is read before it is asked for, and a layer only once", async () => {
    const dir = folder({ "a.yaml": RUNBOOK });
    const { find, load } = openLibrary([{ name: "project", dir }]);
    writeFileSync(join(dir, "b.yaml"), RUNBOOK);
    expect(find("b")).toBeDefined();
    writeFileSync(join(dir, "c.yaml"), RUNBOOK);
    expect(find("c")).toBeUndefined();
    const doc = await load("a");
    appendFileSync(join(dir, "a.yaml"), "x: 1\n");
    expect(await load("a")).toBe(doc);
  });
});

describe("index", () => {
  test("replaces scanning and reading", () => {
    const { entries, find } = openLibrary([
      {
        name: "builtin",
        dir: "/nowhere",
        index: { documents: { "a/b": { kind: "check", file: "a/b.yaml" } } },
      },
    ]);
    const expected = {
      name: "a/b",
      kind: "check",
      layer: "builtin" as const,
      file: "/nowhere/a/b.yaml",
      overrides: [],
    };
    expect(entries()).toEqual([expected]);
    expect(find("a/b")).toEqual(expected);
  });

  test("tells of a runbook what it is, unless a nearer layer has another one of its name", () => {
    const runbook = { risk: "change", needs: ["primary"], gives: ["verified_backup"] };
    const documents = {
      "a/b": {
        kind: "runbook",
        file: "a/b.yaml",
        runbook: { ...runbook, specs: { sure: { confirms: true } } },
      },
    };
    const builtin = { name: "builtin" as const, dir: "/nowhere", index: { documents } };
    const outline = { ...runbook, confirms: true };
    expect(openLibrary([builtin]).find("a/b")).toMatchObject({ outline });
    const nearer = { name: "project" as const, dir: folder({ "a/b.yaml": RUNBOOK }) };
    expect(openLibrary([builtin, nearer]).find("a/b")?.outline).toBeUndefined();
  });

  test("what it names is loaded from the layer's folder, and the kind is inherited from it", async () => {
    const dir = folder({ "x/real.yaml": "kind: check\nsummary: s\n", "unlisted.yaml": RUNBOOK });
    const { entries, load } = openLibrary([
      {
        name: "builtin",
        dir,
        index: { documents: { real: { kind: "check", file: "x/real.yaml" } } },
      },
      { name: "project", dir: folder({ "mine.yaml": "extends: real\n" }) },
    ]);
    expect(entries().map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      "mine check",
      "real check",
    ]);
    expect((await load("real")).data["summary"]).toBe("s");
  });

  test("a file it names that is gone is an error that says so", async () => {
    const { load } = openLibrary([
      {
        name: "builtin",
        dir: "/nowhere",
        index: { documents: { a: { kind: "runbook", file: "a.yaml" } } },
      },
    ]);
    expect(await rejectionOf(load("a"))).toMatchObject({
      code: "io_failed",
      message: "/nowhere/a.yaml does not exist",
    });
  });
});

describe("kind", () => {
  test("is seen in the first 4 KiB or inherited", () => {
    const { entries } = library({
      builtin: {
        "plain.yaml": RUNBOOK,
        "check.yaml": "# note\nname: check\nkind: 'check'  # a check\nsummary: s\n",
        "nested.yaml": "steps:\n  - kind: check\n",
        "same.yaml": "kind: other\n",
        "crlf.yaml": "summary: s\r\nkind: check\r\n",
        "bom.yaml": "\ufeffkind: check\n",
      },
      project: {
        "same.yaml": "extends: same\n",
        "from.yaml": 'extends: "check"\n',
        "far.yaml": "extends: from\n",
        "loop.yaml": "extends: loop2\n",
        "loop2.yaml": "extends: loop\n",
        "lost.yaml": "extends: nothing\n",
        "broken.yaml": "a: [\nkind: check\n",
      },
    });
    expect(Object.fromEntries(entries().map(({ name, kind }) => [name, kind]))).toEqual({
      plain: "runbook",
      check: "check",
      nested: "runbook",
      same: "other",
      crlf: "check",
      bom: "check",
      from: "check",
      far: "check",
      loop: "runbook",
      loop2: "runbook",
      lost: "runbook",
      broken: "check",
    });
    expect(entries("check").map(({ name }) => name)).toEqual([
      "bom",
      "broken",
      "check",
      "crlf",
      "far",
      "from",
    ]);
  });
});

describe("bounds", () => {
  test("a link that leaves the layer is not followed, one inside is", async () => {
    const outside = folder({ "secret.yaml": RUNBOOK, "sub/x.yaml": RUNBOOK });
    const dir = folder({ "real/a.yaml": RUNBOOK });
    symlinkSync(join(outside, "secret.yaml"), join(dir, "leak.yaml"));
    symlinkSync(outside, join(dir, "leaks"));
    symlinkSync(`${dir}-twin`, join(dir, "twin"));
    mkdirSync(`${dir}-twin`);
    writeFileSync(`${dir}-twin/t.yaml`, RUNBOOK);
    symlinkSync("../..", join(dir, "real/up"));
    symlinkSync("nowhere.yaml", join(dir, "dangling.yaml"));
    symlinkSync("self.yaml", join(dir, "self.yaml"));
    symlinkSync("/dev/zero", join(dir, "zero.yaml"));
    symlinkSync("real/a.yaml", join(dir, "link.yaml"));
    const { entries, find, load } = openLibrary([{ name: "project", dir }]);
    expect(entries().map(({ name }) => name)).toEqual(["link", "real/a"]);
    expect((await load("link")).data["risk"]).toBe("read");
    expect(find("leak")).toBeUndefined();
    expect(((await rejectionOf(load("leak"))) as PgdbaError).hint).toContain(
      "leads out of its layer",
    );
  });

  test("a layer folder may itself be a link", () => {
    const dir = folder({});
    symlinkSync(folder({ "a.yaml": RUNBOOK }), join(dir, "layer"));
    expect(openLibrary([{ name: "user", dir: join(dir, "layer") }]).find("a")).toBeDefined();
  });

  test("a link back up the tree does not multiply names", () => {
    const dir = folder({ "a/x.yaml": RUNBOOK });
    symlinkSync("..", join(dir, "a/loop"));
    expect(
      openLibrary([{ name: "project", dir }])
        .entries()
        .map(({ name }) => name),
    ).toEqual(["a/x"]);
  });

  test("eight folders deep, no further", async () => {
    const { entries, load } = library({
      project: { "a/b/c/d/e/f/g/h.yaml": RUNBOOK, "a/b/c/d/e/f/g/h/i.yaml": RUNBOOK },
    });
    expect(entries().map(({ name }) => name)).toEqual(["a/b/c/d/e/f/g/h"]);
    expect(await rejectionOf(load("a/b/c/d/e/f/g/h/i"))).toMatchObject({ code: "unknown_runbook" });
  });

  test("five thousand files, no more", () => {
    const dir = folder({ "a0.yaml": RUNBOOK });
    for (let i = 1; i < 5000; i++) linkSync(join(dir, "a0.yaml"), join(dir, `a${i}.yaml`));
    expect(openLibrary([{ name: "extra", dir }]).find("a4999")).toBeDefined();
    linkSync(join(dir, "a0.yaml"), join(dir, "b.txt"));
    expect(thrownBy(() => openLibrary([{ name: "extra", dir }]).entries())).toMatchObject({
      code: "limit_exceeded",
    });
  });

  test("a file too large is refused by its size, unread", async () => {
    const { load, dirs } = library({ project: { "a.yaml": RUNBOOK } });
    const file = join(dirs["project"]!, "a.yaml");
    // Sparse: reading it would need more memory than there may be.
    truncateSync(file, 8 * 1024 ** 4);
    const computed = cpuMs();
    const { places, error } = faultsOf(await rejectionOf(load("a")));
    expect(cpuMs() - computed).toBeLessThan(1000);
    expect(places).toEqual(["1:1 too-large"]);
    expect(error.where!.file).toBe(file);
  });

  test("what is not UTF-8 or not a map is refused", async () => {
    const { load } = library({
      project: {
        "a.yaml": new Uint8Array([0x61, 0x3a, 0xff]),
        "list.yaml": "- a\n",
        "none.yaml": "",
      },
    });
    expect(faultsOf(await rejectionOf(load("a"))).places).toEqual(["1:1 not-utf8"]);
    expect(faultsOf(await rejectionOf(load("list"))).places).toEqual(["1:1 not-a-map"]);
    expect(faultsOf(await rejectionOf(load("none"))).places).toEqual(["1:1 not-a-map"]);
  });

  test("bad syntax names its file", async () => {
    const { load, dirs } = library({ project: { "a.yaml": "summary: x: y\n" } });
    const { error } = faultsOf(await rejectionOf(load("a")));
    expect(error.where).toEqual({ file: join(dirs["project"]!, "a.yaml"), line: 1, column: 10 });
  });
});

test("listing does not load the YAML parser", async () => {
  const dir = folder({ "a.yaml": RUNBOOK });
  const script = `
    const { openLibrary } = await import(${JSON.stringify(join(import.meta.dir, "../../../engine/load/library.ts"))});
    const library = openLibrary([{ name: "project", dir: ${JSON.stringify(dir)} }]);
    library.entries();
    const loaded = () => Object.keys(require.cache).some((file) => file.includes("/node_modules/yaml/"));
    const before = loaded();
    await library.load("a");
    process.stdout.write(JSON.stringify([before, loaded()]));`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  expect(await new Response(child.stdout).json()).toEqual([false, true]);
});
