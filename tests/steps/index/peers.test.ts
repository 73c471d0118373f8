import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import suggest from "../../../steps/index/suggest.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

/** What the tests of dexter, index_advisor, postgres-mcp and HypoPG ask for, each on tables of its own, and what we say to it. */
interface Case {
  name: string;
  /** `@` stands for a name of its own. */
  setup: string;
  sql: string;
  /** Behind the table in the definitions of the indexes that its plan then uses. */
  expected: string[];
}

const ROWS = 10_000;
const posts = `CREATE TABLE @ (id int, blog_id int, user_id int, json json, jsonb jsonb, indexed int);
  INSERT INTO @ (id, blog_id, user_id, indexed) SELECT n, n % 1000, n % 100, n FROM generate_series(1, ${ROWS}) n; CREATE INDEX ON @ (indexed)`;
const wide = `CREATE TABLE @ (id int PRIMARY KEY, small int, medium varchar(100), large varchar(10000), huge text, at timestamp, status varchar(20));
  INSERT INTO @ SELECT i, i % 1000, 'medium-' || i % 500, 'large-' || repeat('x', 200 + i % 500), CASE WHEN i % 100 = 0 THEN repeat('y', 3000) END,
  timestamp '2024-01-01' + i % 365 * interval '1 day', (ARRAY['active', 'pending', 'completed', 'archived'])[1 + i % 4] FROM generate_series(1, ${ROWS}) i`;
const cards = `CREATE TABLE @ (id int PRIMARY KEY, high1 int, high2 varchar(100), high3 int, medium1 int, medium2 varchar(50), low varchar(10));
  INSERT INTO @ SELECT i, i, 'value-' || i, (i * 37) % 9000, i % 100, 'category-' || i % 50, (ARRAY['A', 'B', 'C'])[1 + i % 3] FROM generate_series(1, ${ROWS}) i`;
const lines = `CREATE TABLE @ (id int, val text); INSERT INTO @ SELECT i, 'line ' || i FROM generate_series(1, ${ROWS}) i`;
const sales = `CREATE TABLE @ (id int PRIMARY KEY, customer_id int, product_id int, sale_date date, quantity int, total numeric(12,2), method varchar(20), status varchar(20));
  INSERT INTO @ SELECT i, 1 + i % 2000, 1 + (i::bigint * 7919) % 700, date '2024-01-01' + i % 365, 1 + i % 5, i % 900, CASE WHEN i % 50 < 25 THEN 'Credit' WHEN i % 50 < 48 THEN 'Debit' ELSE 'Cash' END,
  CASE WHEN i % 50 < 25 THEN 'Completed' WHEN i % 50 < 49 THEN 'Pending' ELSE 'Canceled' END FROM generate_series(1, ${ROWS}) i`;

const CASES: Case[] = [
  { name: "equality", setup: posts, sql: "SELECT * FROM @ WHERE id = 1", expected: ["(id)"] },
  { name: "a parameter", setup: posts, sql: "SELECT * FROM @ WHERE id = $1", expected: ["(id)"] },
  { name: "all rows", setup: posts, sql: "SELECT * FROM @", expected: [] },
  { name: "indexed already", setup: posts, sql: "SELECT * FROM @ WHERE indexed = 1", expected: [] },
  {
    name: "equality, then the order",
    setup: posts,
    sql: "SELECT * FROM @ WHERE user_id = 1 ORDER BY blog_id LIMIT 20",
    expected: ["(user_id, blog_id)"],
  },
  {
    name: "an update by another column",
    setup: posts,
    sql: "UPDATE @ SET user_id = 2 WHERE blog_id = 1",
    expected: ["(blog_id)"],
  },
  {
    name: "a delete",
    setup: posts,
    sql: "DELETE FROM @ WHERE user_id = 1",
    expected: ["(user_id)"],
  },
  {
    name: "a view",
    setup: `${posts}; CREATE VIEW @_view AS SELECT id AS view_id FROM @`,
    sql: "SELECT * FROM @_view WHERE view_id = 1",
    expected: ["(id)"],
  },
  {
    name: "a materialized view",
    setup: `${posts}; CREATE MATERIALIZED VIEW @_kept AS SELECT * FROM @`,
    sql: "SELECT * FROM @_kept WHERE id = 1",
    expected: ["(id)"],
  },
  {
    name: "inside of a CTE",
    setup: posts,
    sql: "WITH cte AS (SELECT * FROM @ WHERE id = 1) SELECT * FROM cte",
    expected: ["(id)"],
  },
  {
    name: "outside of a CTE that can be inlined",
    setup: posts,
    sql: "WITH cte AS (SELECT * FROM @) SELECT * FROM cte WHERE id = 1",
    expected: ["(id)"],
  },
  {
    name: "outside of one that is not",
    setup: posts,
    sql: "WITH cte AS MATERIALIZED (SELECT * FROM @) SELECT * FROM cte WHERE id = 1",
    expected: [],
  },
  {
    name: "outside of one that is inlined by its words",
    setup: posts,
    sql: "WITH cte AS NOT MATERIALIZED (SELECT * FROM @) SELECT * FROM cte WHERE id = 1",
    expected: ["(id)"],
  },
  {
    name: "the last ones",
    setup: posts,
    sql: "SELECT * FROM @ ORDER BY user_id DESC LIMIT 10",
    expected: ["(user_id)"],
  },
  {
    name: "an order of two columns",
    setup: posts,
    sql: "SELECT * FROM @ ORDER BY user_id, blog_id LIMIT 10",
    expected: ["(user_id, blog_id)"],
  },
  {
    name: "an order in two directions",
    setup: posts,
    sql: "SELECT * FROM @ ORDER BY user_id DESC, blog_id LIMIT 10",
    expected: ["(user_id DESC, blog_id)"],
  },
  {
    name: "names with capitals, in a schema",
    setup: `CREATE SCHEMA "@Bar"; CREATE TABLE "@Bar"."Foo" ("Id" int); INSERT INTO "@Bar"."Foo" SELECT generate_series(1, ${ROWS}); ANALYZE "@Bar"."Foo"`,
    sql: `SELECT * FROM "@Bar"."Foo" WHERE "Id" = 77`,
    expected: [`("Id")`],
  },
  {
    name: "a table with json",
    setup:
      "CREATE TABLE @ (id int, meta json); INSERT INTO @ SELECT i, '{}' FROM generate_series(1, 10000) i",
    sql: "SELECT * FROM @ WHERE id = $1",
    expected: ["(id)"],
  },
  {
    name: "comments with a semicolon",
    setup: lines,
    sql: "/* a; b */ SELECT * FROM @ -- and; so on\n WHERE id = $1 /* end */",
    expected: ["(id)"],
  },
  {
    name: "tables that are joined, none of them ever analysed",
    setup: `CREATE TABLE @_author (id int PRIMARY KEY, name text NOT NULL); CREATE TABLE @_publisher (id int PRIMARY KEY, name text NOT NULL);
      CREATE TABLE @_book (id int PRIMARY KEY, author_id int NOT NULL REFERENCES @_author, publisher_id int NOT NULL REFERENCES @_publisher, title text);
      CREATE TABLE @_review (id int PRIMARY KEY, book_id int REFERENCES @_book, body text NOT NULL)`,
    sql: `SELECT b.id, b.title, p.name, a.name, r.body FROM @_book b JOIN @_publisher p ON b.publisher_id = p.id JOIN @_author a ON b.author_id = a.id
      JOIN @_review r ON b.id = r.book_id WHERE a.id = $1 AND p.id = $2`,
    expected: ["(book_id)", "(publisher_id, author_id)"],
  },
  {
    name: "the small column, not the large one",
    setup: wide,
    sql: "SELECT * FROM @ WHERE small = 42 ORDER BY at DESC LIMIT 100",
    expected: ["(small)"],
  },
  {
    name: "a bounded text",
    setup: wide,
    sql: "SELECT * FROM @ WHERE medium = 'medium-123' ORDER BY at DESC LIMIT 100",
    expected: ["(medium)"],
  },
  {
    name: "a pattern on a wide text",
    setup: wide,
    sql: "SELECT * FROM @ WHERE large LIKE 'large-xxy%'",
    expected: [],
  },
  {
    name: "a text that is seldom there",
    setup: wide,
    sql: "SELECT id FROM @ WHERE huge IS NOT NULL",
    expected: ["(id) WHERE huge IS NOT NULL"],
  },
  {
    name: "high cardinality",
    setup: cards,
    sql: "SELECT * FROM @ WHERE high1 = 1234",
    expected: ["(high1)"],
  },
  {
    name: "a text of high cardinality",
    setup: cards,
    sql: "SELECT * FROM @ WHERE high2 = 'value-987'",
    expected: ["(high2)"],
  },
  {
    name: "a narrow range",
    setup: cards,
    sql: "SELECT * FROM @ WHERE high3 BETWEEN 5000 AND 5020",
    expected: ["(high3)"],
  },
  {
    name: "medium cardinality",
    setup: cards,
    sql: "SELECT * FROM @ WHERE medium1 = 42",
    expected: ["(medium1)"],
  },
  {
    name: "two columns for equality",
    setup: sales,
    sql: "SELECT * FROM @ WHERE customer_id = 100 AND product_id = 42",
    expected: ["(product_id, customer_id)"],
  },
  {
    name: "equality, then a range",
    setup: sales,
    sql: "SELECT * FROM @ WHERE product_id = 42 AND sale_date > '2024-12-01'",
    expected: ["(product_id, sale_date)"],
  },
  {
    name: "a range wide enough for the whole table",
    setup: sales,
    sql: "SELECT * FROM @ WHERE quantity > 1",
    expected: [],
  },
  {
    name: "a state that is rare",
    setup: sales,
    sql: "SELECT * FROM @ WHERE status = 'Canceled' ORDER BY sale_date LIMIT 3",
    expected: ["(sale_date) WHERE (status = 'Canceled')"],
  },
  {
    name: "in order, whole",
    setup: lines,
    sql: "SELECT * FROM @ ORDER BY id LIMIT 5",
    expected: ["(id)"],
  },
  {
    name: "less than a constant",
    setup: lines,
    sql: "SELECT * FROM @ WHERE id < 5",
    expected: ["(id)"],
  },
  {
    name: "an expression",
    setup: lines,
    sql: "SELECT * FROM @ WHERE md5(val) = md5('line 1')",
    expected: ["(md5(val))"],
  },
  {
    name: "a partitioned table",
    setup: `CREATE TABLE @ (id int, val text) PARTITION BY RANGE (id); CREATE TABLE @_1 PARTITION OF @ FOR VALUES FROM (0) TO (5001); CREATE TABLE @_2 PARTITION OF @ FOR VALUES FROM (5001) TO (20000);
      INSERT INTO @ SELECT i, 'line ' || i FROM generate_series(1, ${ROWS}) i`,
    sql: "SELECT * FROM @ WHERE val = 'line 77'",
    expected: ["(val)"],
  },
  { name: "no table", setup: "", sql: "SELECT 1", expected: [] },
  {
    name: "the system's tables",
    setup: "",
    sql: "SELECT concat(schemaname, $1, tablename) FROM pg_policies",
    expected: [],
  },
  {
    name: "a function alone",
    setup: "CREATE FUNCTION @_info(x int) RETURNS text LANGUAGE sql AS $$ SELECT 'foo' $$",
    sql: "WITH s AS (SELECT $1::json AS j) SELECT @_info((SELECT (j->>'x')::int FROM s)) LIMIT $2",
    expected: [],
  },
];

let on: Bench;
let advice: {
  suggestions: { table: string; definition: string; used_by: string[]; statements: string[] }[];
  unproven: { sql: string; reason: string }[];
  nothing_to_advise: { sql: string; reason: string }[];
};

const named = (text: string, at: number) => text.replaceAll("@", `c${at}`);

beforeAll(async () => {
  on = await bench({ autovacuum: "off" });
  for (const [at, { setup }] of CASES.entries())
    for (const sql of setup.split(/; */))
      if (sql.trim() !== "") await on.client.query(named(sql, at));
  const analysed = CASES.flatMap(({ name, setup }, at) =>
    name.includes("never analysed") || !setup.includes("INSERT INTO @")
      ? []
      : [...setup.matchAll(/CREATE (?:TABLE|MATERIALIZED VIEW) (@\w*)/g)].map((match) =>
          named(match[1]!, at),
        ),
  );
  for (const table of analysed) await on.client.query(`VACUUM ANALYZE ${table}`);
  advice = (await suggest.run(on.context(), {
    workload: CASES.map(({ sql }, at) => ({ sql: named(sql, at) })),
    min_improvement: 0,
    time_budget: "100s",
  })) as unknown as typeof advice;
});

afterAll(() => on?.stop());

test.each(CASES.map((one, at) => [one.name, at] as const))("%s", async (_, at) => {
  const { sql, expected } = CASES[at]!;
  const text = named(sql, at);
  const found = advice.suggestions.filter(({ used_by }) => used_by.includes(text));
  const behind = found.map(({ definition }) => /USING \w+ (.*)$/s.exec(definition)?.[1]).toSorted();
  expect(behind).toEqual(expected.toSorted());
  // Nothing is built on its tables that it does not use.
  const own = new RegExp(`\\bc${at}(_|\\b|B)`);
  expect(advice.suggestions.filter(({ table }) => own.test(table))).toEqual(found);
});

test("what can't be helped is named, and is no error", () => {
  expect(advice.unproven).toEqual([]);
  expect(advice.nothing_to_advise).toEqual([
    { sql: "SELECT 1", reason: "it reads no table" },
    expect.objectContaining({ reason: "it reads no table" }),
    expect.objectContaining({ reason: "it reads the system's own tables only" }),
  ]);
});
