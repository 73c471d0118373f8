import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import suggest from "../../../steps/index/suggest.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

const ROWS = 8000;

/** A table `@`, a statement on it, the index it gets, and whether the index leaves something to be known. */
interface Case {
  name: string;
  columns: string;
  values: string;
  sql: string;
  index: string | null;
  noted: boolean;
  /** A row with values as long as the columns allow. */
  long: string;
  analysed?: false;
}

/** Text that can't be compressed. */
const LONG = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 400))";

const CASES: Case[] = [
  {
    name: "a body is not carried along",
    columns: "book_id int, body text",
    values: "i % 2000, repeat('word ', 4)",
    sql: "SELECT body FROM @ WHERE book_id = $1",
    index: "btree (book_id)",
    noted: false,
    long: `1, ${LONG}`,
  },
  {
    name: "nor is jsonb, an array, bytea or a number without bounds",
    columns: "k int, j jsonb, a text[], b bytea, n numeric",
    values: `i % 2000, '{"a": 1}', ARRAY['x'], '\\x01', 1`,
    sql: "SELECT j, a, b, n FROM @ WHERE k = $1",
    index: "btree (k)",
    noted: false,
    long: `1, to_jsonb(${LONG}), ARRAY[${LONG}], ${LONG}::bytea, (repeat('9', 8000))::numeric`,
  },
  {
    name: "a code with a length is",
    columns: "k int, code varchar(20), pad char(200)",
    values: "i % 300, 'c' || i, 'x'",
    sql: "SELECT code FROM @ WHERE k = $1",
    index: "btree (k) INCLUDE (code)",
    noted: false,
    long: `1, repeat('ü', 20), ''`,
  },
  {
    name: "so is a text with a CHECK on its length",
    columns: "k int, code text CHECK (code IS NULL OR length(code) <= 30), pad char(200)",
    values: "i % 300, 'c' || i, 'x'",
    sql: "SELECT code FROM @ WHERE k = $1",
    index: "btree (k) INCLUDE (code)",
    noted: false,
    long: `1, repeat('ü', 30), ''`,
  },
  {
    name: "a domain that bounds its text",
    columns: "k int, code short_code, pad char(200)",
    values: "i % 300, 'c' || i, 'x'",
    sql: "SELECT code FROM @ WHERE k = $1",
    index: "btree (k) INCLUDE (code)",
    noted: false,
    long: `1, repeat('ü', 12), ''`,
  },
  {
    name: "columns that are bounded, but too wide together, are not carried along",
    columns: "k int, a varchar(255), b varchar(255), c varchar(255)",
    values: "i % 300, 'a' || i, 'b' || i, 'c' || i",
    sql: "SELECT a, b, c FROM @ WHERE k = $1",
    index: "btree (k)",
    noted: false,
    long: `1, substr(${LONG}, 1, 255), substr(${LONG}, 1, 255), substr(${LONG}, 1, 255)`,
  },
  {
    name: "a short text that is looked up is a key, and that is said",
    columns: "id int, email text",
    values: "i, 'user' || i || '@example.org'",
    sql: "SELECT * FROM @ WHERE email = $1",
    index: "btree (email)",
    noted: true,
    long: `1, ${LONG}`,
  },
  {
    name: "a lowered one too",
    columns: "id int, email text",
    values: "i, 'user' || i || '@example.org'",
    sql: "SELECT * FROM @ WHERE lower(email) = $1",
    index: "btree (lower(email))",
    noted: true,
    long: `1, ${LONG}`,
  },
  {
    name: "a bounded one has just to be analysed",
    columns: "id int, email varchar(120)",
    values: "i, 'user' || i || '@example.org'",
    sql: "SELECT * FROM @ WHERE lower(email) = $1",
    index: "btree (lower(email))",
    noted: true,
    long: `1, substr(${LONG}, 1, 120)`,
  },
  {
    name: "a long one is looked up by its hash",
    columns: "id int, url text",
    values: "i, 'https://example.org/' || repeat(md5(i::text), 6)",
    sql: "SELECT * FROM @ WHERE url = $1",
    index: "hash (url)",
    noted: true,
    long: `1, ${LONG}`,
  },
  {
    name: "so is one whose values are out of the line, and look short to the statistics",
    columns: "id int, body text",
    values: "i, (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 80) n)",
    sql: "SELECT * FROM @ WHERE body = $1",
    index: "hash (body)",
    noted: true,
    long: `1, ${LONG}`,
  },
  {
    name: "and one of which nothing is known",
    columns: "id int, email text",
    values: "i, 'user' || i || '@example.org'",
    sql: "SELECT * FROM @ WHERE email = $1",
    index: "hash (email)",
    noted: true,
    long: `1, ${LONG}`,
    analysed: false,
  },
  {
    name: "a key in a document",
    columns: "id int, data jsonb",
    values: "i, jsonb_build_object('email', 'user' || i)",
    sql: "SELECT * FROM @ WHERE data->>'email' = $1",
    index: "hash (((data ->> 'email')))",
    noted: true,
    long: `1, jsonb_build_object('email', ${LONG})`,
  },
  {
    name: "a number in a document",
    columns: "id int, data jsonb",
    values: "i, jsonb_build_object('age', i)",
    sql: "SELECT * FROM @ WHERE (data->>'age')::int = $1",
    index: "btree ((CAST((data ->> 'age') AS pg_catalog.int4)))",
    noted: true,
    long: `1, jsonb_build_object('age', 7, 'x', ${LONG})`,
  },
  {
    name: "a range of a long text gets none",
    columns: "id int, url text",
    values: "i, 'https://example.org/' || repeat(md5(i::text), 6)",
    sql: "SELECT * FROM @ WHERE url > $1 ORDER BY url LIMIT 5",
    index: null,
    noted: false,
    long: `1, ${LONG}`,
  },
  {
    name: "the beginning of a text",
    columns: "id int, url text",
    values: "i, md5(i::text) || repeat('x', 300)",
    sql: "SELECT * FROM @ WHERE left(url, 20) = $1",
    index: `btree ("left"(url, 20))`,
    noted: true,
    long: `1, ${LONG}`,
  },
  {
    name: "texts in an array",
    columns: "id int, tags text[]",
    values: "i, ARRAY['t' || i % 700, 'u' || i % 900]",
    sql: "SELECT * FROM @ WHERE tags @> ARRAY['t7']",
    index: "gin (tags)",
    noted: true,
    long: `1, ARRAY[${LONG}]`,
  },
  {
    name: "a document",
    columns: "id int, data jsonb",
    values: "i, jsonb_build_object('k', i % 2000, 'v', 'x')",
    sql: `SELECT * FROM @ WHERE data @> '{"k": 7}'`,
    index: "gin (data jsonb_path_ops)",
    noted: true,
    long: `1, jsonb_build_object('v', ${LONG})`,
  },
  {
    name: "several short texts together",
    columns: "id int, a text, b text",
    values: "i, 'a' || i % 90, 'b' || i % 89",
    sql: "SELECT * FROM @ WHERE a = $1 AND b = $2",
    index: "btree (b, a)",
    noted: true,
    long: `1, ${LONG}, ${LONG}`,
  },
];

interface Suggestion {
  table: string;
  definition: string;
  notes: string[];
  statements: string[];
}

let on: Bench;
let suggestions: Suggestion[];

beforeAll(async () => {
  on = await bench({ autovacuum: "off" });
  await on.client.query("CREATE DOMAIN short_code AS text CHECK (length(VALUE) BETWEEN 1 AND 12)");
  for (const [at, { columns, values }] of CASES.entries()) {
    await on.client.query(`CREATE TABLE w${at} (${columns})`);
    await on.client.query(`INSERT INTO w${at} SELECT ${values} FROM generate_series(1, ${ROWS}) i`);
  }
  // A page is marked visible to all, for scans of an index alone, only when the commits on it are on disk.
  await on.client.query("CHECKPOINT");
  for (const [at, { analysed }] of CASES.entries())
    if (analysed !== false) await on.client.query(`VACUUM ANALYZE w${at}`);
  const workload = CASES.map(({ sql }, at) => ({ sql: sql.replaceAll(/(FROM )@/g, `$1w${at}`) }));
  const advice = await suggest.run(on.context(), {
    workload,
    min_improvement: 0,
    time_budget: "100s",
  });
  ({ suggestions } = advice as unknown as { suggestions: Suggestion[] });
  for (const { statements } of suggestions)
    for (const sql of statements) await on.client.query(sql);
});

afterAll(() => on?.stop());

describe("what is suggested takes every row that its table takes, or says which it does not", () => {
  test.each(CASES.map((one, at) => [one.name, at] as const))("%s", async (_, at) => {
    const { index, noted, long } = CASES[at]!;
    const found = suggestions.filter(({ table }) => table === `public.w${at}`);
    expect(found.map(({ definition }) => / USING (.*)$/s.exec(definition)?.[1] ?? null)).toEqual(
      index === null ? [] : [index],
    );
    const notes = found.flatMap((one) => one.notes);
    expect(notes.length > 0).toBe(noted);
    const error = await on.client
      .query(`INSERT INTO w${at} SELECT ${long}`)
      .then(() => null)
      .catch((thrown: { code: string }) => thrown.code);
    // program_limit_exceeded: the row would not fit into the index.
    const isOpen = notes.some((note) => note.startsWith("Nothing bounds"));
    expect(error).toBe(isOpen ? "54000" : null);
  });
});

test("a note says what is not bounded, how long it is, and what to do", () => {
  const at = CASES.findIndex(({ index }) => index === "btree (email)");
  const [found] = suggestions.filter(({ table }) => table === `public.w${at}`);
  expect(found?.notes).toEqual([
    expect.stringMatching(
      /^Nothing bounds email: a row is refused when email needs more than about 2688 bytes .* has 20\)\. A type with a length or a CHECK on it rules that out\.$/,
    ),
  ]);
});
