import { beforeAll, expect, test } from "bun:test";
import type { Finding } from "../../../steps/health/findings/findings.ts";
import { examine, type Place } from "../../runbooks/health/support.ts";
import { createDatabase, sharedServer } from "../../support/postgres.ts";
import { document, libraryOf } from "./support.ts";

let place: Place;

beforeAll(async () => {
  const server = await sharedServer(18);
  place = { ...server, database: await createDatabase(server) };
});

/** `check object`, with what it leads to. */
type Tree = (string | [string, Tree])[];
function tree(findings: readonly Finding[]): Tree {
  return findings.map(({ check, severity, object, consequences }) => {
    const line = `${severity} ${check} ${object}`;
    return consequences.length === 0 ? line : [line, tree(consequences)];
  });
}

const rows = (...values: string[]): string =>
  `select * from (values ${values.join(", ")}) v (name, n)`;
const NAMED = 'object: "{{row.name}}"\nremedy: {text: do it, sql: "do {{row.name}};"}\n';
const above = (limit: number, text: string): string =>
  text.replace('warning: "true"', `warning: row.n > ${limit}`);

test("a consequence stands below its cause, which is as bad as it, and has no remedy of its own", async () => {
  const library = await libraryOf({
    root: above(
      5,
      document(
        rows("('r1', 9)", "('r2', 9)"),
        `${NAMED}explains: {middle: effect.name.startsWith(row.name)}\n`,
      ),
    ),
    middle: document(
      rows("('r1/a', 1)", "('r3/b', 1)"),
      `${NAMED}explains: {leaf: effect.name.startsWith(row.name)}\n`,
    ),
    leaf: document(rows("('r1/a/x', 1)", "('q', 1)"), NAMED).replace("warning:", "critical:"),
  });
  const report = await examine(place, {}, library);
  expect(tree(report.findings)).toEqual([
    ["critical root r1", [["critical middle r1/a", ["critical leaf r1/a/x"]]]],
    "critical leaf q",
    "warning middle r3/b",
    "warning root r2",
  ]);
  expect(report.summary).toMatchObject({ critical: 2, warning: 2, consequences: 2, ok: 0 });
  const [cause] = report.findings;
  expect(cause).toMatchObject({ caused_by: [], remedy: { sql: "do r1;" } });
  expect(cause?.consequences[0]).toMatchObject({
    caused_by: [{ check: "root", object: "r1" }],
    remedy: { sql: null, command: null, text: expect.stringContaining("root, r1") },
  });
});

test("what is nothing by itself is found when it is a cause, and so is what nobody asked for", async () => {
  const library = await libraryOf({
    quiet: above(
      100,
      document(rows("('a', 1)", "('b', 1)"), `${NAMED}explains: {loud: effect.name == row.name}\n`),
    ),
    loud: document(rows("('a', 1)"), NAMED),
    other: document(rows("('a', 1)"), NAMED),
  });
  const expected = [["warning quiet a", ["warning loud a"]]] as Tree;
  expect(tree((await examine(place, { only: ["quiet", "loud"] }, library)).findings)).toEqual(
    expected,
  );
  const report = await examine(place, { only: ["loud"] }, library);
  expect(tree(report.findings)).toEqual(expected);
  expect(report.summary.checks).toBe(1);
  const skipped = await examine(place, { only: ["loud"], skip: ["quiet"] }, library);
  expect(tree(skipped.findings)).toEqual(["warning loud a"]);
  expect((await examine(place, { only: ["quiet"] }, library)).passed).toEqual(["quiet"]);
});

test("two that explain each other do not hide each other, and all causes are named", async () => {
  const library = await libraryOf({
    one: document(rows("('a', 1)"), `${NAMED}explains: {two: "true", leaf: "true"}\n`),
    two: document(rows("('a', 1)"), `${NAMED}explains: {one: "true", leaf: "true"}\n`),
    leaf: document(rows("('a', 1)"), NAMED),
  });
  const { findings, summary } = await examine(place, {}, library);
  expect(findings).toHaveLength(1);
  expect(summary.consequences).toBe(2);
  const leaf = JSON.stringify(findings).match(/"check":"leaf".*?"caused_by":(\[[^\]]*\])/)?.[1];
  expect(JSON.parse(leaf ?? "")).toHaveLength(2);
});

test("what is alike is one finding, the worst shown and the others named; under each cause by itself", async () => {
  const sessions = Array.from({ length: 17 }, (_, n) => `('pid ${n}', ${n === 9 ? 7 : 1})`);
  const library = await libraryOf({
    session: document(
      rows(...sessions, "('other', 1)"),
      `${NAMED}critical: row.n > 5\nmerge: "{{row.app}}"\n`,
    ).replace("v (name, n)", "v (name, n), lateral (select left(name, 3) as app) x"),
    cause: document(
      rows("('pid 3', 1)", "('pid 4', 1)"),
      `${NAMED}explains: {victim: effect.root == row.name}\nmerge: all\n`,
    ),
    victim: document(
      "select * from (values ('v1', 'pid 3'), ('v2', 'pid 4'), ('v3', 'pid 9')) v (name, root)",
      `${NAMED}merge: app\n`,
    ),
  });
  const { findings } = await examine(place, {}, library);
  expect(tree(findings)).toEqual([
    "critical session pid 9",
    ["warning cause pid 3", ["warning victim v1"]],
    "warning session other",
    "warning victim v3",
  ]);
  const [worst, cause] = findings;
  expect(worst).toMatchObject({ count: 17, message: expect.stringContaining("17 alike") });
  expect(worst?.alike.map(({ object }) => object)).toContain("pid 16");
  expect(worst?.remedy.sql?.split("\n")).toHaveLength(17);
  expect(cause).toMatchObject({ count: 2, consequences: [{ count: 2 }] });
});
