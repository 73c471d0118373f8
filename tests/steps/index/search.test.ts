import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import suggest from "../../../steps/index/suggest.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

interface Advice {
  suggestions: {
    name: string;
    definition: string;
    bytes: number;
    statements: string[];
    notes: string[];
  }[];
  queries: { sql: string; calls: number }[];
  cost: { before: number; after: number; saved_percent: number };
  curve: {
    index: string | null;
    indexes: number;
    cost: number;
    bytes: number;
    suggested: boolean;
  }[];
  workload: { statements: number };
  nothing_to_advise: { sql: string; reason: string }[];
  unproven: unknown[];
  search: { complete: boolean; not_tried: number; statements: string[] };
}

let on: Bench;

beforeAll(async () => {
  on = await bench({ autovacuum: "off" });
  await on.client
    .query(`CREATE TABLE tickets (id int PRIMARY KEY, kind int, state text, made timestamptz, gone timestamptz, pair int, lean int, note text);
    INSERT INTO tickets SELECT i, i % 20, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END, timestamptz '2024-01-01' + (i::bigint * 7919 % 40000) * interval '7 minutes',
      CASE WHEN i % 40 <> 0 THEN now() END, i / 10, CASE WHEN i % 10 = 0 THEN i END, 'note ' || i FROM generate_series(1, 40000) i;
    CREATE TABLE fresh AS SELECT i AS id, i % 900 AS k, 'n ' || i AS name FROM generate_series(1, 40000) i`);
  await on.client.query("CHECKPOINT");
  await on.client.query("VACUUM ANALYZE tickets");
});

afterAll(() => on?.stop());

async function advise(statements: readonly string[], more: object = {}): Promise<Advice> {
  const workload = statements.map((sql) => ({ sql }));
  return (await suggest.run(on.context(), { workload, ...more })) as unknown as Advice;
}

const definitions = ({ suggestions }: Advice) =>
  suggestions.map(({ definition }) => definition.replace("ON public.", ""));

describe("a partial index is for what lasts", () => {
  const ofKind = (kind: number) =>
    `SELECT * FROM tickets WHERE kind = ${kind} ORDER BY made DESC LIMIT 10`;

  test("twenty values get one index, which serves the twenty-first", async () => {
    const advice = await advise(Array.from({ length: 20 }, (_, kind) => ofKind(kind)));
    expect(definitions(advice)).toEqual(["tickets USING btree (kind, made)"]);
  });

  test("two values too, and one value beside a parameter", async () => {
    for (const more of [ofKind(4), "SELECT id FROM tickets WHERE kind = $1"])
      expect(definitions(await advise([ofKind(3), more])).join()).not.toContain("WHERE");
  });

  test("NULL and a state that all statements of the shape agree on", async () => {
    const advice = await advise(
      ["SELECT * FROM tickets WHERE gone IS NULL ORDER BY made DESC LIMIT 10"],
      { min_improvement: 0 },
    );
    const found = definitions(advice).join("\n");
    expect(found).toContain("WHERE gone IS NULL");
    const open = await advise([
      "SELECT id, made FROM tickets WHERE state = 'open' ORDER BY made LIMIT 3",
    ]);
    expect(definitions(open).join()).toContain("WHERE (state = 'open')");
  });

  test("a constant that was asked for once, beside others, makes none; and where all together come to less than a row, that is said to be doubtful", async () => {
    await on.client.query(
      `CREATE TABLE places AS SELECT t % 4 AS country, t % 16 AS state, t AS city, t AS zip, g AS id FROM (SELECT g, g * 7919 % 80 AS t FROM generate_series(1, 60000) g) x`,
    );
    await on.client.query("VACUUM ANALYZE places");
    const sql = "SELECT id FROM places WHERE country = 2 AND state = 2 AND city = 66 AND zip = 66";
    const once = await advise([sql]);
    expect(definitions(once)).not.toEqual([]);
    expect(definitions(once).join()).not.toContain("WHERE");
    const notes = once.suggestions.flatMap((one) => one.notes).join();
    expect(notes).toContain("pgdba statistics create public.places --columns");
    const unique = await advise(["SELECT * FROM tickets WHERE pair = 7 AND kind = 3"]);
    expect(unique.suggestions.flatMap((one) => one.notes)).toEqual([]);
  });
});

test("an index must save its percentage of what the workload costs without it", async () => {
  const sql = "SELECT count(*) FROM tickets WHERE made < '2024-02-01'";
  const { saved_percent: saved } = (await advise([sql], { min_improvement: 0 })).cost;
  expect(saved).toBeWithin(5, 80);
  expect((await advise([sql], { min_improvement: saved + 1 })).suggestions).toEqual([]);
  expect((await advise([sql], { min_improvement: saved - 1 })).suggestions).toHaveLength(1);
});

test("the curve falls with each index, and ends with what is suggested", async () => {
  const advice = await advise([
    "SELECT * FROM tickets WHERE pair = 7",
    "SELECT * FROM tickets WHERE note = 'note 7'",
    "SELECT * FROM tickets WHERE lean = 70",
  ]);
  const { curve, cost, suggestions } = advice;
  expect(curve[0]).toMatchObject({ index: null, indexes: 0, cost: cost.before, bytes: 0 });
  for (const [at, { cost: now, indexes }] of curve.entries()) {
    expect(indexes).toBe(at);
    if (at > 0) expect(now).toBeLessThan(curve[at - 1]!.cost);
  }
  const taken = curve.filter(({ suggested }) => suggested);
  expect(taken.at(-1)).toMatchObject({ indexes: suggestions.length });
  expect(taken.at(-1)!.cost / cost.after).toBeWithin(0.99, 1.01);
});

describe("the time it may take", () => {
  const many = Array.from(
    { length: 300 },
    (_, at) => `SELECT * FROM tickets WHERE pair = ${at} AND kind = 3`,
  );

  test("statements that differ in their constants are looked at by a sample that counts for all", async () => {
    const { queries, workload, search, suggestions } = await advise(many);
    expect(suggestions.map(({ definition }) => definition).join()).toContain("(pair");
    expect(queries.length).toBeLessThan(10);
    expect(queries.reduce((sum, { calls }) => sum + calls, 0)).toBeCloseTo(300, 6);
    expect(workload.statements).toBe(300);
    expect(search).toMatchObject({ complete: true, not_tried: 0, statements: [] });
  });

  test("when it is over, what was not looked at is named", async () => {
    const ctx = on.context();
    const statements = [
      "SELECT * FROM tickets WHERE pair = 7",
      "SELECT id FROM tickets WHERE note = 'x'",
    ];
    const workload = statements.map((sql) => ({ sql }));
    const advice = (await suggest.run(ctx, { workload, time_budget: "1ms" })) as unknown as Advice;
    expect(advice.suggestions).toEqual([]);
    expect(advice.search).toMatchObject({ complete: false, not_tried: 2, statements });
    expect(JSON.stringify(ctx.recorded.warnings)).toContain("2 of 2 statements were not examined");
  });
});

test("statements without tables of their own are no error, alone neither", async () => {
  const advice = await advise(["SELECT 1", "SELECT relname FROM pg_class", "VACUUM tickets"]);
  expect(advice.suggestions).toEqual([]);
  expect(advice.unproven).toEqual([]);
  expect(advice.nothing_to_advise).toEqual([
    { sql: "SELECT 1", reason: "it reads no table" },
    { sql: "VACUUM tickets", reason: "a command that has no plan" },
    { sql: "SELECT relname FROM pg_class", reason: "it reads the system's own tables only" },
  ]);
});

test("sizes are those that the indexes come to", async () => {
  const statements = [
    "SELECT * FROM tickets WHERE pair = 7",
    "SELECT * FROM tickets WHERE lean = 70",
    "SELECT * FROM tickets WHERE kind = 3 ORDER BY made DESC LIMIT 10",
    "SELECT * FROM tickets WHERE lower(note) = 'note 7'",
    "SELECT * FROM fresh WHERE k = 7",
  ];
  const { suggestions } = await advise(statements, { min_improvement: 0 });
  expect(suggestions).toHaveLength(5);
  for (const { name, bytes, statements: build, notes } of suggestions) {
    for (const sql of build) await on.client.query(sql);
    const { rows } = await on.client.query(
      "SELECT pg_relation_size($1::regclass)::float8 AS bytes",
      [name],
    );
    await on.client.query(`DROP INDEX ${name}`);
    const isGuessed = name.startsWith("fresh");
    // Nobody has counted how often a value repeats where nothing was analysed.
    const [least, most] = isGuessed ? [0.5, 2] : [0.8, 1.25];
    expect(bytes / rows[0].bytes, name).toBeWithin(least, most);
    expect(
      notes.some((note) => note.includes("was never analysed")),
      name,
    ).toBe(isGuessed);
  }
});
