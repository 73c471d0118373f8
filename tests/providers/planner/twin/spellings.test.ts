import { expect, test } from "bun:test";
import { spellings } from "../../../../providers/planner/twin/plan.ts";

test("typed literals and fields that pg_stat_statements took away are spelt so that they can be planned", () => {
  const cases: [string, string][] = [
    ["now() - interval $1", "now() - CAST($1 AS interval)"],
    ["interval $1 day to second(3) < x", "CAST($1 AS interval) < x"],
    ["d < date $1 and t < timestamp $2", "d < CAST($1 AS date) and t < CAST($2 AS timestamp)"],
    ["timestamp(3) with time zone $1", "CAST($1 AS timestamp(3) with time zone)"],
    ["extract($1 from coalesce(d, f(x))) = $2", 'pg_catalog."extract"($1, coalesce(d, f(x))) = $2'],
  ];
  for (const [recorded, spelt] of cases) expect(spellings(recorded, 18)).toEqual([recorded, spelt]);
  expect(spellings("extract($1 from d)", 13).at(-1)).toBe("pg_catalog.date_part($1, d)");
  expect(spellings("extract($1 from d)")).toHaveLength(3);
  for (const plain of ["select a from t limit $1", "select $1::date, extract(year from d)"])
    expect(spellings(plain)).toEqual([plain]);
});
