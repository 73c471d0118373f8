import { expect, test } from "bun:test";
import type { Catalogue } from "../../../providers/planner/twin/twin.ts";
import type { Prover } from "../../../steps/index/advise/prover.ts";
import { findRemovable } from "../../../steps/index/advise/removable.ts";

type Index = Catalogue["indexes"][number];

const index = (oid: number, name: string, columns: number[], more: Partial<Index> = {}): Index => ({
  oid,
  relid: 1,
  schema: "s",
  name,
  definition: "",
  method: "btree",
  columns,
  key_columns: columns.length,
  classes: [...columns.map(() => 1978), ...columns.map(() => 0), ...columns.map(() => 0)].join(" "),
  plain: true,
  predicate: null,
  expressions: null,
  unique: false,
  primary: false,
  valid: true,
  replica_identity: false,
  parent: 0,
  reltuples: 1,
  relpages: 1,
  bytes: oid,
  partitioned: false,
  ...more,
});

/** Names of what is removable when plans need `needed`. */
async function removable(
  indexes: Index[],
  options: { scans?: number; days?: number; needed?: string[]; foreignKey?: number[] } = {},
): Promise<string[]> {
  const { scans = 0, days = 30, needed = [], foreignKey } = options;
  const catalogue = {
    indexes,
    relations: [{ oid: 1, schema: "s", name: "t" }],
    columns: [1, 2, 3].map((num) => ({ relid: 1, num, name: `c${num}` })),
    constraints:
      foreignKey === undefined ? [] : [{ type: "f", relid: 1, columns: foreignKey, index: 99 }],
  } as unknown as Catalogue;
  const prover = {
    hides: true,
    total: async (_: unknown, without: string[] = []) =>
      without.some((name) => needed.includes(name)) ? 200 : 100,
  } as unknown as Prover;
  const activity = {
    tables: new Map(),
    scans: new Map(indexes.map(({ oid }) => [oid, scans])),
    days,
  };
  return (await findRemovable(prover, catalogue, [], { activity })).map((one) => one.index);
}

test("one that is never scanned, if no plan needs it", async () => {
  expect(await removable([index(5, "a", [1])])).toEqual(["s.a"]);
  expect(await removable([index(5, "a", [1])], { needed: ["s.a"] })).toEqual([]);
  expect(await removable([index(5, "a", [1])], { scans: 51 })).toEqual([]);
});

test("not when the counters are young", async () => {
  expect(await removable([index(5, "a", [1])], { days: 6 })).toEqual([]);
});

test("a prefix of another one, however often it is scanned; not the other one", async () => {
  expect(await removable([index(5, "a", [1]), index(6, "ab", [1, 2])], { scans: 1000 })).toEqual([
    "s.a",
  ]);
  expect(await removable([index(5, "b", [2]), index(6, "ab", [1, 2])], { scans: 1000 })).toEqual(
    [],
  );
});

test("of two that are equal one only", async () => {
  expect(await removable([index(5, "a", [1]), index(6, "a2", [1])], { scans: 1000 })).toEqual([
    "s.a2",
  ]);
});

test("another order, another class, a predicate: no prefix", async () => {
  const other = { scans: 1000 };
  expect(
    await removable(
      [index(5, "a", [1]), index(6, "ab", [1, 2], { classes: "1978 1978 0 0 3 0" })],
      other,
    ),
  ).toEqual([]);
  expect(
    await removable(
      [index(5, "a", [1]), index(6, "ab", [1, 2], { classes: "4217 1978 0 0 0 0" })],
      other,
    ),
  ).toEqual([]);
  expect(
    await removable([index(5, "a", [1]), index(6, "ab", [1, 2], { predicate: "c1 > 5" })], other),
  ).toEqual([]);
  expect(
    await removable([index(5, "a", [1]), index(6, "ab", [1, 2], { valid: false })], other),
  ).toEqual([]);
});

test("never what keeps keys unique, identifies rows for replicas, or serves a foreign key", async () => {
  expect(await removable([index(5, "a", [1], { unique: true })])).toEqual([]);
  expect(await removable([index(5, "a", [1], { replica_identity: true })])).toEqual([]);
  expect(await removable([index(5, "a", [1])], { foreignKey: [1] })).toEqual([]);
  expect(await removable([index(99, "a", [1])], { foreignKey: [2] })).toEqual([]);
});
