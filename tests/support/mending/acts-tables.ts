/** Runbooks that mend tables, indexes and what stands in them, with what each is to mend. */
import type { Scene } from "./scene.ts";
import type { Act } from "./trial.ts";

/** A table on which a build takes long enough to be met at it. */
const LARGE = `CREATE FUNCTION slow(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT md5(repeat(t, 60)) $$;
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT i, md5(i::text) FROM generate_series(1, 20000) i;
  CREATE INDEX notes ON orders (slow(note));
  DELETE FROM orders WHERE id % 3 = 0;
`;

const KEYS = `CREATE TABLE orders (id serial PRIMARY KEY, note text);
  INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 4000) i;
  CREATE TABLE lines (id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, n int);
  INSERT INTO lines SELECT i, i, i FROM generate_series(1, 4000) i;
  CREATE INDEX by_order ON lines (order_id);
  GRANT SELECT ON orders TO PUBLIC;
`;

/** An index that a build was broken off of. */
const invalid = (scene: Scene) =>
  scene
    .sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'notes'::regclass")
    .then(() => {});

async function sees(scene: Scene, counter: string): Promise<string[]> {
  const [row] = await scene.sql(
    `SELECT ${counter} AS n FROM pg_stat_all_tables WHERE relname = 'orders'`,
  );
  return Number(row.n) > 0 ? [] : [`${counter} is ${row.n}`];
}

export const TABLES: Record<string, Act> = {
  "maintenance/vacuum": { template: LARGE, words: ["maintenance", "vacuum", "orders"] },
  "maintenance/freeze": {
    template: LARGE,
    words: ["maintenance", "freeze", "orders"],
    judge: async (scene) => {
      const [row] = await scene.sql(
        "SELECT age(relfrozenxid) AS n FROM pg_class WHERE relname = 'orders'",
      );
      return row.n < 40 ? [] : [`its age is ${row.n}`];
    },
  },
  "maintenance/analyze": {
    template: `${LARGE}  CREATE TABLE lines (n int);`,
    words: ["maintenance", "analyze", "orders,lines"],
    judge: async (scene) => {
      const rows = await scene.sql(
        "SELECT count(*)::int AS n FROM pg_stats WHERE tablename = 'orders'",
      );
      return rows[0].n > 1 ? [] : ["it is not analysed"];
    },
  },
  "maintenance/vacuum-full": { template: LARGE, words: ["maintenance", "vacuum-full", "orders"] },
  "maintenance/checkpoint": { words: ["maintenance", "checkpoint"] },
  "maintenance/reindex": {
    template: LARGE,
    plant: invalid,
    words: ["maintenance", "reindex", "--table", "orders"],
  },
  "maintenance/collation": {
    template: `CREATE TABLE people (id int PRIMARY KEY, town text COLLATE "de-x-icu", EXCLUDE (town WITH =));
      INSERT INTO people SELECT i, i::text FROM generate_series(1, 100) i;
      CREATE INDEX by_town ON people (town);
      UPDATE pg_collation SET collversion = '1' WHERE collname = 'de-x-icu';`,
    words: ["maintenance", "collation"],
    judge: async (scene) => {
      const [row] = await scene.sql(
        "SELECT collversion AS v FROM pg_collation WHERE collname = 'de-x-icu'",
      );
      return row.v === "1" ? ["the version is the old one"] : [];
    },
  },
  "maintenance/repack": {
    on: "debian",
    template: `CREATE EXTENSION pg_repack;
      ${LARGE}`,
    words: ["maintenance", "repack", "orders"],
  },
  "index/create": {
    template: LARGE,
    words: ["index", "create", "CREATE INDEX more ON public.orders (slow(note || 'x'))"],
  },
  "index/drop": { template: LARGE, words: ["index", "drop", "notes", "--confirmed", "notes"] },
  "constraint/validate": {
    template: `${LARGE}  ALTER TABLE orders ADD CONSTRAINT long CHECK (length(slow(note)) > 3) NOT VALID;
      ALTER TABLE orders ADD CONSTRAINT there CHECK (id IS NOT NULL) NOT VALID;`,
    words: ["constraint", "validate"],
  },
  "partition/add": {
    template: `CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
      CREATE INDEX by_n ON events (n);
      CREATE TABLE rest PARTITION OF events DEFAULT;
      INSERT INTO rest SELECT '2020-01-01', i FROM generate_series(1, 20000) i;`,
    plant: (scene) =>
      scene.sql("CREATE ROLE shop;\nALTER TABLE events OWNER TO shop").then(() => {}),
    words: ["partition", "add", "events", "y2030", "--from", "2030-01-01", "--to", "2031-01-01"],
  },
  "sequence/widen": { template: KEYS, words: ["sequence", "widen", "orders_id_seq"] },
  "sequence/widen --method batches": {
    template: KEYS,
    words: ["sequence", "widen", "orders_id_seq", "--method", "batches"],
  },
  "sequence/catch-up": {
    template: `${KEYS}  CREATE TABLE more (id serial);
      INSERT INTO more VALUES (70);
      ALTER SEQUENCE orders_id_seq RESTART 3;`,
    words: ["sequence", "catch-up"],
  },
  "table/set": {
    template: LARGE,
    words: [
      "table",
      "set",
      "orders",
      "--settings",
      '{"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.02}',
    ],
  },
  "table/logged": {
    template: `CREATE UNLOGGED TABLE orders (id serial PRIMARY KEY, note text);
      INSERT INTO orders (note) SELECT md5(i::text) FROM generate_series(1, 50000) i;`,
    words: ["table", "logged", "orders"],
  },
  "table/replica-identity": {
    template: `CREATE TABLE orders (id int NOT NULL, UNIQUE (id));`,
    words: ["table", "replica-identity", "orders", "--index", "orders_id_key"],
  },
  "table/trigger-enable": {
    template: `${KEYS}  ALTER TABLE lines DISABLE TRIGGER ALL;`,
    words: ["table", "trigger-enable", "lines", "lines_order_id_fkey"],
  },
  "view/refresh": {
    template: `${LARGE}  CREATE MATERIALIZED VIEW totals AS SELECT id, slow(note) FROM orders;
      CREATE UNIQUE INDEX ON totals (id);
      DELETE FROM orders WHERE id < 100;`,
    words: ["view", "refresh", "totals"],
  },
  "view/refresh --exclusive": {
    template: `${LARGE}  CREATE MATERIALIZED VIEW totals AS SELECT id, slow(note) FROM orders;
      DELETE FROM orders WHERE id < 100;`,
    words: ["view", "refresh", "totals", "--exclusive"],
  },
};

TABLES["maintenance/vacuum"]!.judge = (scene) => sees(scene, "vacuum_count");
