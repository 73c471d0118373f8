import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import suggest from "../../../steps/index/suggest.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";
import { binariesOf, debianWithHypopg } from "../../support/debian.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

const found = debianWithHypopg();
const why = typeof found === "string" ? ` (skipped: ${found})` : "";

describe.skipIf(typeof found === "string")(
  `index advice proved by hypopg on the server${why}`,
  () => {
    let on: Bench;

    beforeAll(async () => {
      if (typeof found === "string") return;
      on = await bench({}, { version: found.version, binaries: binariesOf(found) });
      await on.client.query(
        `CREATE TABLE events (id int PRIMARY KEY, kind int NOT NULL, at timestamptz NOT NULL, note text NOT NULL);
       INSERT INTO events SELECT i, i % 700, timestamptz '2025-01-01' + i * interval '1 minute', 'n' FROM generate_series(1, 60000) i;
       CREATE INDEX events_note ON events (note); CREATE INDEX events_note_at ON events (note, at)`,
      );
      await on.client.query("VACUUM ANALYZE events");
    });

    afterAll(() => on?.stop());

    const statements = [
      "SELECT * FROM events WHERE kind = 7 AND at > '2025-01-20'",
      "SELECT * FROM events WHERE id = $1",
      "UPDATE events SET note = 'm' WHERE kind = 9",
    ];
    const workload = statements.map((sql) => ({ sql }));

    test("asked for without the extension, it says how to get it", async () => {
      expect(await codeOf(suggest.run(on.context(), { workload, prove: "hypopg" }))).toBe(
        "unsupported",
      );
    });

    test("suggests what the server then uses, and predicts its cost", async () => {
      await on.client.query("CREATE EXTENSION hypopg");
      const advice = (await suggest.run(on.context(), {
        workload,
        prove: "hypopg",
      })) as unknown as {
        suggestions: { statements: string[]; name: string }[];
        removable: { index: string }[];
        limits: { object: string }[];
        cost: { before: number; after: number };
        unproven: unknown[];
      };
      expect(advice.unproven).toEqual([]);
      expect(advice.suggestions).toHaveLength(1);
      const version = await on.client.query(
        "SELECT extversion FROM pg_extension WHERE extname = 'hypopg'",
      );
      // Only from 1.4 on it can hide the index that another one makes superfluous.
      if (Number(version.rows[0].extversion.split(".")[1]) >= 4)
        expect(advice.removable.map(({ index }) => index)).toEqual(["public.events_note"]);
      else expect(advice.limits.map(({ object }) => object)).toContain("removable indexes");
      for (const sql of advice.suggestions.flatMap((one) => one.statements))
        await on.client.query(sql);
      expect(
        JSON.stringify((await on.client.query(`EXPLAIN (FORMAT JSON) ${statements[0]}`)).rows),
      ).toContain(advice.suggestions[0]!.name);
      const real = (await Promise.all([on.cost(statements[0]!), on.cost(statements[2]!)])).reduce(
        (sum, one) => sum + one,
        8.31,
      );
      expect(advice.cost.after / real).toBeWithin(0.8, 1.25);
    });
  },
);
