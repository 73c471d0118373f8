import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FIRST_RUNBOOK } from "../../../engine/view/authoring-help.ts";
import { inProcess } from "../../support/in-process.ts";

setDefaultTimeout(300_000);
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "pgdba-commands-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

const data = async (...argv: string[]): Promise<any> => {
  const { exit, envelope } = await inProcess(argv, { PGDBA_HOME: home });
  expect([argv, exit, envelope.error]).toEqual([argv, 0, null]);
  return envelope.data;
};

test("list gives groups, summaries of one, what words speak of, and all", async () => {
  const { count, groups } = await data("list");
  expect(groups.locks.read).toEqual(["tree"]);
  expect(JSON.stringify((await data("list", "slot")).runbooks)).toContain("slot/drop");
  const { envelope } = await inProcess(["list", "who", "blocks", "whom"], { PGDBA_HOME: home });
  expect(envelope).toMatchObject({ command: "list", error: null });
  expect(envelope.data.found[0].name).toBe("locks/tree");
  expect((await data("list", "--full")).runbooks.length).toBeGreaterThan(count);
});

test("show and help tell of one runbook, of a step type and of all", async () => {
  expect((await data("show", "slot/drop")).name).toBe("slot/drop");
  expect(JSON.stringify(await data("help", "slot/drop"))).toContain("--confirmed");
  expect(JSON.stringify(await data("help", "sql.query"))).toContain("sql.query");
  expect(JSON.stringify(await data("help", "list"))).toContain("list");
  expect((await data("help", "steps", "--full")).steps.length).toBeGreaterThan(100);
});

test("show tells an output by names and types, and all of its schema when asked", async () => {
  const short = (await data("show", "query/slow-log")).output;
  const whole = (await data("show", "query/slow-log", "--full")).output;
  expect(JSON.stringify(short).length).toBeLessThan(JSON.stringify(whole).length / 2);
  expect(Object.keys(short.properties)).toEqual(
    Object.keys(whole.properties).filter((name) => name !== "run"),
  );
  expect(short.properties.statements).toMatchObject({
    type: "array",
    items: { properties: { queryid: { type: ["string", "null"] }, rows: { type: "integer" } } },
  });
  expect(whole.required).toContain("run");
  expect((await data("show", "query/slow-log", "--select", "output")).output).toEqual(whole);
  const hidden = (await data("show", "query/slow-log", "--select", "output.properties.hidden"))
    .output;
  expect(hidden.properties.hidden).toEqual(whole.properties.hidden);
});

test("step types are listed by group within 8 kB, a line each of a group, and found by words", async () => {
  const all = await data("help", "steps");
  expect(JSON.stringify(all).length).toBeLessThan(8_000);
  expect(all.groups.sql).toContain("sql.query");
  expect(all.groups.core).toContain("assert");
  expect(await data("help", "step", "types")).toEqual(all);
  const { steps } = await data("help", "steps", "sql");
  expect(steps.map(({ type }: { type: string }) => type)).toEqual(all.groups.sql);
  expect(steps[0].summary).toBeString();
  const found = await data("help", "step", "types", "wait", "condition");
  const types = found.steps.map(({ type }: { type: string }) => type);
  expect(types.slice(0, 3)).toContain("wait");
  expect(types.length).toBeLessThan(all.count);
  const queries = (await data("help", "steps", "read-only", "query")).steps.slice(0, 3);
  expect(queries.map(({ type }: { type: string }) => type)).toContain("sql.query");
  expect(await data("help", "steps", "zebra")).toMatchObject({ steps: [] });
});

test("help on what has none says how to look for it", async () => {
  const { exit, envelope } = await inProcess(["help", "zebra", "crossing"], { PGDBA_HOME: home });
  expect(exit).toBe(2);
  expect(envelope.error?.hint).toContain("`pgdba list zebra crossing`");
  expect(envelope.error?.hint).toContain("`pgdba help steps zebra crossing`");
});

test("a search shows the first eight, and counts the rest", async () => {
  const words = ["who", "can", "read", "this", "table"];
  const { found, further } = await data("list", ...words);
  expect(found.length).toBe(8);
  expect((await data("list", ...words, "--full")).found.length).toBe(8 + further);
});

test("help tells whoever wants to write a runbook where it goes, one to begin with, and where the rest stands", async () => {
  const root = join(import.meta.dir, "../../..");
  for (const words of [["runbook"], ["authoring"], ["writing", "runbooks"]]) {
    const { help } = await data("help", ...words);
    for (const told of ["pgdba lint ", "pgdba test ", "pgdba help steps", "pgdba schema --out"])
      expect([words, told, help.includes(told)]).toEqual([words, told, true]);
    const docs: string[] = help.match(/docs\/[a-z]+\.md/g);
    expect(docs).toContain("docs/authoring.md");
    expect(docs.filter((file) => !existsSync(join(root, file)))).toEqual([]);
    expect(help).toContain(FIRST_RUNBOOK.trimEnd());
  }
  expect((await data("help")).help).toContain("pgdba help authoring");
  await Bun.write(join(home, "own/team/big-tables.yaml"), FIRST_RUNBOOK);
  const linted = await data("lint", "team/big-tables", "--runbooks", join(home, "own"));
  expect(linted).toMatchObject({ checked: 1, errors: 0, warnings: 0 });
  const { envelope } = await inProcess(["help", "authorng"], { PGDBA_HOME: home });
  expect(envelope.error?.hint).toBe("Did you mean `pgdba help authoring`?");
});

test("lint, test and runs work on what is built in", async () => {
  await data("lint", "slot/drop", "locks/tree");
  expect((await data("test", "locks/tree")).failed).toBe(0);
  expect((await data("runs")).runs).toEqual([]);
});
