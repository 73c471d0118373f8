import { expect, test } from "bun:test";
import { select } from "../../../../engine/cli/answer/select.ts";

const DATA = {
  rows: [
    { name: "a", size: 1, more: { x: 1 } },
    { name: "b", size: 2 },
    { name: "c", size: 3, kind: "index" },
  ],
  settings: { "pg_stat_statements.max": { value: "5000" }, port: { value: "5432" } },
  lists: [
    [1, 2],
    [3, 4],
  ],
  run: { id: "r1", steps: [] },
};

test.each<[string[], object]>([
  [["rows.2.kind.2-3"], { rows: [{ kind: "de" }] }],
  [["rows.2.kind.2-99"], { rows: [{ kind: "dex" }] }],
  [["run.id"], { run: { id: "r1" } }],
  [["rows.name"], { rows: [{ name: "a" }, { name: "b" }, { name: "c" }] }],
  [
    ["rows.name", "rows.size"],
    {
      rows: [
        { name: "a", size: 1 },
        { name: "b", size: 2 },
        { name: "c", size: 3 },
      ],
    },
  ],
  // Entries are those of their places, whatever other paths pick.
  [["rows.2.name", "rows.0.name"], { rows: [{ name: "a" }, { name: "c" }] }],
  [["rows.name", "rows.1"], { rows: [{ name: "a" }, { name: "b", size: 2 }, { name: "c" }] }],
  [["rows.1", "rows.0-1.name"], { rows: [{ name: "a" }, { name: "b", size: 2 }] }],
  [["rows.1"], { rows: [{ name: "b", size: 2 }] }],
  [["rows.1-9.name"], { rows: [{ name: "b" }, { name: "c" }] }],
  // What lacks a key keeps its place, in either order of the paths.
  [["rows.more.x"], { rows: [{ more: { x: 1 } }, {}, {}] }],
  ...["", "rows.more.x"].map((last): [string[], object] => [
    [...(last ? [] : ["rows.more.x"]), "rows.name", "rows.kind", ...(last ? [last] : [])],
    {
      rows: [{ name: "a", more: { x: 1 } }, { name: "b" }, { name: "c", kind: "index" }],
    },
  ]),
  [
    ["settings.pg_stat_statements.max.value"],
    { settings: { "pg_stat_statements.max": { value: "5000" } } },
  ],
  [["lists.1.0"], { lists: [[3]] }],
  [["run.steps"], { run: { steps: [] } }],
])("%p", (paths, expected) => expect(select(DATA, paths)).toEqual(expected as never));

test("a path that leads nowhere is told beside the keys that there are, and no failure", () => {
  expect(select(DATA, ["row", "run.id"])).toEqual({
    run: { id: "r1" },
    not_there: ["row"],
    there_are: ["rows", "settings", "lists", "run"],
  });
  expect(select(null, ["a"])).toEqual({ not_there: ["a"], there_are: [] });
  expect(select({ constructor_: 1 }, ["constructor"])).toMatchObject({
    not_there: ["constructor"],
  });
});
