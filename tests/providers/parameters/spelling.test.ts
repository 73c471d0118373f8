import { expect, test } from "bun:test";
import { spelt } from "../../../providers/parameters/spelling.ts";

const textOf = async (sql: string, major = 18) => (await spelt(sql, major)).text;

test("typed literals and fields that pg_stat_statements took away are spelt so that they can be planned", async () => {
  const cases: [string, string][] = [
    ["now() - interval $1", "now() - CAST($1 AS interval)"],
    ["interval $1 day to second(3) < x", "CAST($1 AS interval) < x"],
    ["interval(3) $1 < x", "CAST($1 AS interval(3)) < x"],
    ["d < date $1 and t < timestamp $2", "d < CAST($1 AS date) and t < CAST($2 AS timestamp)"],
    ["timestamp(3) with time zone $1", "CAST($1 AS timestamp(3) with time zone)"],
    ["extract($1 from coalesce(d, f(x))) = $2", 'pg_catalog."extract"($1, coalesce(d, f(x))) = $2'],
    ["extract($1 from date $2)", 'pg_catalog."extract"($1, CAST($2 AS date))'],
    [
      'mood $1, a."Mood" $2, int4range $3',
      'CAST($1 AS mood), CAST($2 AS a."Mood"), CAST($3 AS int4range)',
    ],
    [
      "decimal(5,2) $1, double precision $2",
      "CAST($1 AS decimal(5,2)), CAST($2 AS double precision)",
    ],
    ["national character varying $1", "CAST($1 AS national character varying)"],
    ["'é', 'date $1' /* date $2 */, money $3", "'é', 'date $1' /* date $2 */, CAST($3 AS money)"],
  ];
  for (const [recorded, text] of cases) expect(await textOf(recorded)).toBe(text);
  expect(await textOf("extract($1 from d)", 13)).toBe("pg_catalog.date_part($1, d)");
});

test("what may stand before a parameter is left as it is", async () => {
  for (const plain of [
    "select a from t limit $1 offset $2",
    "select $1::date, extract(year from ts) = $2 from t fetch first $3 rows only",
    "select ts at time zone $1, a like $2 escape $3 from t where a in ($4 /*, ... */) and not b between $5 and $6",
    "select sum(a) over (order by b rows between $1 preceding and $2 following), f(a) || $3, case a when $4 then $5 else $6 end",
    "select 'date $1, never closed",
  ])
    expect(await textOf(plain)).toBe(plain);
});

test("a place in what was spelt is found in what was recorded", async () => {
  const sql = "select interval $1, 'é', date $2 + nothing";
  const { text, origin } = await spelt(sql, 18);
  expect(sql.slice(origin(text.indexOf("nothing")))).toBe("nothing");
  expect(sql.slice(origin(text.indexOf("CAST($2")))).toStartWith("date $2");
  expect(sql.slice(origin(text.indexOf("'é'")))).toStartWith("'é'");
});
