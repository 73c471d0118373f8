/** The statements whose plans are captured: for each finding one that shows it, and one that must not be flagged. */

export interface Case {
  sql: string;
  version?: 13 | 18;
  settings?: Record<string, string>;
  /** Statements to run once before, each on its own. */
  before?: string[];
  /** Without ANALYZE. */
  estimate?: boolean;
  /** Needs a server that was built with LLVM. */
  jit?: boolean;
}

/** Each text in a session of its own: a session reports what it changed to the statistics at its end. */
export const SCHEMA = [
  `
CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, name varchar(40) NOT NULL);
INSERT INTO customers SELECT i, 'user' || i || '@example.com', 'name ' || i FROM generate_series(1, 150000) i;
CREATE INDEX customers_email ON customers (email);
CREATE INDEX customers_name ON customers (name);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, total numeric NOT NULL, placed date NOT NULL, note text);
INSERT INTO orders SELECT i, 1 + (i * 7919::bigint) % 150000, CASE WHEN i % 1000 = 0 THEN 'open' ELSE 'done' END, i % 977,
  DATE '2024-01-01' + i % 700, 'note ' || i FROM generate_series(1, 200000) i;
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_placed ON orders (placed);
CREATE INDEX orders_status ON orders (status);
CREATE TABLE places (id int PRIMARY KEY, country int, city int);
INSERT INTO places SELECT i, i % 100, i % 100 FROM generate_series(1, 200000) i;
CREATE TABLE little (id int PRIMARY KEY, name text);
INSERT INTO little SELECT i, 'n' || i FROM generate_series(1, 20000) i;
CREATE TABLE bands (low int, high int);
INSERT INTO bands SELECT i * 10, i * 10 + 9 FROM generate_series(0, 499) i;
CREATE TABLE parents (id int PRIMARY KEY);
CREATE TABLE children (id int PRIMARY KEY, parent_id int CONSTRAINT children_parent REFERENCES parents);
INSERT INTO parents SELECT generate_series(1, 2000);
INSERT INTO children SELECT i, 1001 + i % 1000 FROM generate_series(1, 40000) i;
CREATE TABLE grandchildren (id int PRIMARY KEY, child_id int CONSTRAINT grandchildren_child REFERENCES children);
CREATE INDEX ON grandchildren (child_id);
INSERT INTO grandchildren SELECT i, i FROM generate_series(1, 20000) i;
CREATE TABLE grown (id int, v int);
INSERT INTO grown SELECT i, i % 10 FROM generate_series(1, 20000) i;
CREATE TABLE dirty (id int PRIMARY KEY, v int) WITH (fillfactor = 50);
INSERT INTO dirty SELECT i, i FROM generate_series(1, 50000) i;
CREATE TABLE visits (id int PRIMARY KEY, kind int NOT NULL, customer int NOT NULL, page text NOT NULL);
INSERT INTO visits SELECT i, CASE WHEN i <= 5000 THEN 7 ELSE i % 5 END, 1 + (i * 7919::bigint) % 150000, 'page ' || i % 1000 FROM generate_series(1, 200000) i;
CREATE TABLE pings (id int NOT NULL, at date NOT NULL, host int NOT NULL, note text NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
${[1, 2, 3, 4, 5, 6].map((month) => `CREATE TABLE pings_${month} PARTITION OF pings FOR VALUES FROM ('2024-0${month}-01') TO ('2024-0${month + 1}-01');`).join(" ")}
INSERT INTO pings SELECT i, DATE '2024-01-01' + i % 180, i % 300, 'note ' || i FROM generate_series(1, 120000) i;`,
  // A page is marked visible to all only when the commits on it are on disk; 13 collects its counters half a second late.
  "CHECKPOINT; SELECT pg_sleep(0.6)",
  "VACUUM ANALYZE",
  "INSERT INTO grown SELECT i, i % 10 FROM generate_series(20001, 40000) i",
  "CREATE TABLE fresh AS SELECT i AS id, i % 10 AS v FROM generate_series(1, 20000) i; SELECT pg_sleep(0.6)",
];

const serial = { max_parallel_workers_per_gather: "0" };
const parallel = {
  max_parallel_workers_per_gather: "2",
  parallel_setup_cost: "0",
  parallel_tuple_cost: "0",
  min_parallel_table_scan_size: "0",
};

/** Each partition is read by one process alone. */
const apart = { ...parallel, enable_indexonlyscan: "off", enable_partitionwise_aggregate: "on" };
const notIn = (list: string) =>
  `SELECT count(*) FROM little WHERE id <= 1100 AND id NOT IN (${list})`;
const someCustomers = "SELECT customer_id FROM orders WHERE id <= 10000";
const newest = "SELECT * FROM visits WHERE kind = 7 ORDER BY id DESC LIMIT 10";

const spilling: Record<string, string> = { ...serial, work_mem: "512kB", hash_mem_multiplier: "1" };
const roomy: Record<string, string> = { ...serial, work_mem: "64MB" };
const lookups = { ...serial, enable_seqscan: "off" };
const bySort = "SELECT * FROM orders ORDER BY note";
const byHash =
  "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email <> ''";
const byGroup = "SELECT note, count(*) FROM orders GROUP BY note";
const hashing = { enable_sort: "off", enable_mergejoin: "off", enable_nestloop: "off" };
const onPlaces = "SELECT count(*) FROM orders WHERE placed < DATE '2025-03-01'";
const bitmaps = {
  ...serial,
  enable_seqscan: "off",
  enable_indexscan: "off",
  enable_indexonlyscan: "off",
};
const indexOnly = { ...serial, enable_seqscan: "off", enable_bitmapscan: "off" };
const inBands =
  "SELECT count(*) FROM little l LEFT JOIN bands b ON l.id BETWEEN b.low AND b.high WHERE l.id <= 2000";
const loopsOnly = { ...serial, enable_mergejoin: "off", enable_hashjoin: "off" };
const compiled = {
  ...serial,
  jit: "on",
  jit_above_cost: "0",
  jit_inline_above_cost: "0",
  jit_optimize_above_cost: "0",
};

export const CASES: Record<string, Case> = {
  misestimate: { sql: "SELECT * FROM places WHERE country = 7 AND city = 7", settings: serial },
  "misestimate-13": {
    sql: "SELECT * FROM places WHERE country = 7 AND city = 7",
    settings: serial,
    version: 13,
  },
  "misestimate-above": {
    sql: "SELECT count(*) FROM places p JOIN orders o ON o.customer_id = p.id WHERE p.country = 7 AND p.city = 7",
    settings: serial,
  },
  "misestimate-not": { sql: "SELECT * FROM places WHERE country = 7", settings: serial },
  "misestimate-not-limit": { sql: "SELECT * FROM orders ORDER BY id LIMIT 10", settings: serial },
  "misestimate-not-exists": {
    sql: "SELECT EXISTS (SELECT FROM orders WHERE status = 'done'), (SELECT count(*) FROM little)",
    settings: serial,
  },
  "misestimate-not-update-13": {
    sql: "UPDATE little SET name = 'x'",
    settings: serial,
    version: 13,
  },
  "filter-discards": { sql: "SELECT * FROM orders WHERE note = 'note 77'", settings: serial },
  "filter-discards-parallel": {
    sql: "SELECT * FROM orders WHERE note = 'note 77'",
    settings: parallel,
  },
  "filter-discards-13": {
    sql: "SELECT * FROM orders WHERE note = 'note 77'",
    settings: serial,
    version: 13,
  },
  "filter-discards-estimate": {
    sql: "SELECT * FROM orders WHERE note = 'note 77'",
    settings: serial,
    estimate: true,
  },
  "filter-discards-not-limit": {
    sql: "SELECT * FROM orders WHERE total = 77 LIMIT 1",
    settings: serial,
    estimate: true,
  },
  "filter-discards-not": {
    sql: "SELECT count(*) FROM orders WHERE status = 'done'",
    settings: serial,
  },
  "filter-discards-not-small": { sql: "SELECT * FROM little WHERE name = 'n77'", settings: serial },
  "sort-spill": { sql: bySort, settings: spilling },
  "sort-spill-13": { sql: bySort, settings: { ...serial, work_mem: "512kB" }, version: 13 },
  "sort-spill-parallel": { sql: bySort, settings: { ...parallel, work_mem: "512kB" } },
  "sort-spill-not": { sql: bySort, settings: roomy },
  "sort-spill-incremental": {
    sql: "SELECT * FROM orders ORDER BY status, note",
    settings: { ...spilling, enable_sort: "off", enable_seqscan: "off" },
  },
  "hash-spill": { sql: byHash, settings: { ...spilling, ...hashing } },
  "hash-spill-not": { sql: byHash, settings: { ...roomy, ...hashing } },
  "aggregate-spill": { sql: byGroup, settings: { ...spilling, ...hashing } },
  "aggregate-spill-13": { sql: byGroup, settings: { ...spilling, ...hashing }, version: 13 },
  "aggregate-spill-not": { sql: byGroup, settings: { ...roomy, ...hashing } },
  "nested-loop-scan": { sql: inBands, settings: { ...loopsOnly, enable_material: "off" } },
  "nested-loop-scan-material": { sql: inBands, settings: loopsOnly },
  "nested-loop-scan-keyed": {
    sql: "SELECT count(o.id) FROM little l LEFT JOIN orders o ON o.placed = DATE '2024-01-05' AND o.customer_id % 20000 = l.id WHERE l.id <= 4000",
    settings: { ...loopsOnly, enable_material: "off" },
  },
  "nested-loop-scan-not-keyed": {
    sql: "SELECT count(o.id) FROM little l LEFT JOIN orders o ON o.customer_id = l.id",
    settings: { ...loopsOnly, enable_memoize: "off" },
  },
  "nested-loop-scan-not": {
    sql: "SELECT count(*) FROM little l JOIN customers c ON c.id = l.id WHERE l.id <= 5000",
    settings: { ...loopsOnly, enable_memoize: "off" },
  },
  "nested-loop-scan-not-tiny": {
    sql: "SELECT count(*) FROM little l JOIN (VALUES (1), (2), (3)) v (n) ON l.id % 4 < v.n",
    settings: loopsOnly,
  },
  "nested-loop-index": {
    sql: "SELECT sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id",
    settings: { ...loopsOnly, enable_memoize: "off" },
  },
  "nested-loop-index-misestimate": {
    sql: "SELECT count(c.email) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.note || '' <> 'x' AND o.total + 0 >= 0 AND length(o.note) = length(o.note) + 0",
    settings: { ...serial, enable_memoize: "off" },
  },
  "nested-loop-index-not": {
    sql: "SELECT count(*) FROM little l JOIN customers c ON c.id = l.id WHERE l.id <= 5000",
    settings: { ...loopsOnly, enable_memoize: "off" },
  },
  "sub-plan-loops": {
    sql: "SELECT c.id, (SELECT sum(o.total) FROM orders o WHERE o.customer_id = c.id) FROM customers c",
    settings: serial,
  },
  "sub-plan-loops-seq": {
    sql: "SELECT l.id, (SELECT max(b.low) FROM bands b WHERE b.high > l.id) FROM little l WHERE l.id <= 2000",
    settings: serial,
  },
  "sub-plan-loops-not": {
    sql: "SELECT count(*) FROM orders WHERE customer_id NOT IN (SELECT id FROM little)",
    settings: { ...serial, work_mem: "64MB" },
  },
  "bitmap-lossy": { sql: onPlaces, settings: { ...bitmaps, work_mem: "64kB" } },
  "bitmap-lossy-parallel": {
    sql: onPlaces,
    settings: {
      ...parallel,
      ...bitmaps,
      max_parallel_workers_per_gather: "2",
      work_mem: "64kB",
    },
  },
  "bitmap-lossy-not": { sql: onPlaces, settings: { ...bitmaps, work_mem: "4MB" } },
  "heap-fetches": {
    sql: "SELECT count(id) FROM dirty WHERE id > 100",
    settings: indexOnly,
    before: ["VACUUM dirty", "UPDATE dirty SET v = v + 1 WHERE id % 20 = 0"],
  },
  "heap-fetches-not": {
    sql: "SELECT count(id) FROM dirty WHERE id > 100",
    settings: indexOnly,
    before: ["VACUUM dirty"],
  },
  "cte-filter-late": {
    sql: "WITH everything AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM everything WHERE id = 77",
    settings: { ...serial, work_mem: "64MB" },
  },
  "cte-filter-late-not": {
    sql: "WITH everything AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) FROM everything WHERE id > 77",
    settings: { ...serial, work_mem: "64MB" },
  },
  "filter-discards-index-only": {
    sql: "SELECT count(email) FROM customers WHERE email LIKE '%77@example.com'",
    settings: { ...indexOnly },
    before: ["VACUUM customers"],
  },
  "filter-discards-pattern": {
    sql: "SELECT * FROM customers WHERE email LIKE '%99977@example.com'",
    settings: serial,
  },
  "filter-discards-correlated": {
    sql: "SELECT l.id, (SELECT count(*) FROM orders o WHERE o.total = l.id AND o.note > '') FROM little l WHERE l.id <= 3",
    settings: serial,
  },
  "filter-discards-varchar": {
    sql: "SELECT * FROM customers WHERE name || '' = 'x' AND length(email) = 3",
    settings: serial,
  },
  "filter-discards-index": {
    sql: "SELECT * FROM orders WHERE status = 'done' AND note = 'note 77'",
    settings: { ...serial, enable_seqscan: "off", enable_bitmapscan: "off" },
  },
  "function-on-column": {
    sql: "SELECT * FROM customers WHERE lower(email) = 'user77@example.com'",
    settings: serial,
  },
  "function-on-column-estimate": {
    sql: "SELECT * FROM orders WHERE customer_id + 1 = 78",
    settings: serial,
    estimate: true,
  },
  "function-on-column-not": {
    sql: "SELECT * FROM customers WHERE email = 'user77@example.com'",
    settings: serial,
  },
  "cast-on-column": {
    sql: "SELECT * FROM orders WHERE id::text = '77' AND status = 'done'",
    settings: serial,
  },
  "cast-on-column-numeric": {
    sql: "SELECT * FROM orders WHERE customer_id = 77.0",
    settings: serial,
  },
  "cast-on-column-not": {
    sql: "SELECT * FROM customers WHERE name = 'name 77'",
    settings: { ...serial, enable_indexscan: "off", enable_bitmapscan: "off" },
  },
  "large-offset": {
    sql: "SELECT * FROM orders ORDER BY id OFFSET 50000 LIMIT 10",
    settings: serial,
  },
  "large-offset-estimate": {
    sql: "SELECT * FROM orders ORDER BY id OFFSET 50000 LIMIT 10",
    settings: serial,
    estimate: true,
  },
  "large-offset-not": {
    sql: "SELECT * FROM orders ORDER BY id OFFSET 500 LIMIT 10",
    settings: serial,
  },
  "large-offset-not-estimate": {
    sql: "SELECT * FROM orders ORDER BY note LIMIT 10",
    settings: serial,
    estimate: true,
  },
  "jit-cost": {
    sql: "SELECT count(*), sum(total), avg(total) FROM orders WHERE note LIKE '%7%'",
    settings: compiled,
    jit: true,
  },
  "jit-cost-parallel": {
    sql: "SELECT count(*), sum(total), avg(total) FROM orders WHERE note LIKE '%7%'",
    settings: { ...compiled, ...parallel },
    jit: true,
  },
  "jit-cost-not": {
    sql: "SELECT count(*) FROM orders o, little l WHERE l.id <= 40 AND o.note LIKE '%' || l.name || '%'",
    settings: { ...compiled, jit_inline_above_cost: "-1", jit_optimize_above_cost: "-1" },
    jit: true,
  },
  "workers-not-launched": {
    sql: "SELECT count(*) FROM orders WHERE note LIKE '%7%'",
    settings: { ...parallel, max_parallel_workers: "0" },
  },
  "workers-not-launched-not": {
    sql: "SELECT count(*) FROM orders WHERE note LIKE '%7%'",
    settings: parallel,
  },
  "workers-not-launched-not-13": {
    sql: "SELECT count(*) FROM orders WHERE note LIKE '%7%'",
    settings: parallel,
    version: 13,
  },
  "planning-time": {
    sql: `SELECT * FROM little a ${[..."bcdefghij"].map((t) => `JOIN little ${t} USING (id)`).join(" ")} WHERE a.id = 7`,
    settings: { ...serial, join_collapse_limit: "10" },
  },
  "planning-time-not": { sql: "SELECT * FROM little WHERE id = 7", settings: serial },
  "trigger-time": { sql: "DELETE FROM parents WHERE id <= 200", settings: serial },
  "trigger-time-not": {
    sql: "DELETE FROM children WHERE id BETWEEN 30001 AND 30100",
    settings: serial,
  },
  "statistics-missing": { sql: "SELECT * FROM fresh WHERE v = 1", settings: serial },
  "statistics-stale": { sql: "SELECT * FROM grown WHERE v = 1", settings: serial },
  "statistics-missing-not": { sql: "SELECT * FROM little WHERE id < 100", settings: serial },
  "statistics-stale-not": {
    sql: "SELECT * FROM dirty WHERE id < 100",
    settings: serial,
    before: ["UPDATE dirty SET v = v + 1 WHERE id > 45000", "ANALYZE dirty"],
  },
  "init-plan": {
    sql: "SELECT count(*) FROM little WHERE id > (SELECT avg(total) FROM orders WHERE note LIKE '%7%')",
    settings: serial,
  },
  "init-plan-13": {
    sql: "SELECT count(*) FROM little WHERE id > (SELECT avg(total) FROM orders WHERE note LIKE '%7%')",
    settings: serial,
    version: 13,
  },
  "init-plan-parallel": {
    sql: "SELECT count(*) FROM orders WHERE total > (SELECT avg(total) FROM orders WHERE note LIKE '%7%')",
    settings: parallel,
  },
  "cte-twice": {
    sql: "WITH big AS MATERIALIZED (SELECT customer_id, sum(total) AS total FROM orders GROUP BY 1) SELECT count(*) FROM big a JOIN big b USING (customer_id)",
    settings: { ...serial, work_mem: "64MB" },
  },
  "sub-plan": {
    sql: "SELECT id, (SELECT count(*) FROM orders o WHERE o.customer_id = l.id) FROM little l WHERE l.id <= 3000",
    settings: lookups,
  },
  "cte-writes": {
    sql: "WITH gone AS (DELETE FROM little WHERE id <= 5000 RETURNING id) SELECT count(*) FROM gone",
    settings: serial,
  },
  "early-stop": { sql: newest, settings: serial },
  "early-stop-13": { sql: newest, settings: serial, version: 13 },
  "early-stop-join": {
    sql: "SELECT v.id, c.email FROM visits v JOIN customers c ON c.id = v.customer WHERE v.kind = 7 ORDER BY v.id DESC LIMIT 10",
    settings: serial,
  },
  "early-stop-max": { sql: "SELECT max(id) FROM visits WHERE kind = 7", settings: serial },
  "early-stop-exists": {
    sql: "SELECT EXISTS (SELECT FROM visits WHERE kind = 0 AND page = 'page 1')",
    settings: serial,
  },
  "early-stop-expression": {
    sql: "SELECT * FROM visits WHERE length(page) = 9 ORDER BY id LIMIT 5",
    settings: serial,
  },
  "early-stop-parallel": {
    sql: newest,
    settings: { ...parallel, enable_seqscan: "off", parallel_leader_participation: "off" },
  },
  "early-stop-partitions": {
    sql: "SELECT * FROM pings WHERE length(note) = 3 ORDER BY id DESC LIMIT 10",
    settings: { ...serial, enable_seqscan: "off" },
  },
  "early-stop-estimate": {
    sql: "SELECT * FROM visits WHERE page = 'page 77' ORDER BY id LIMIT 50",
    settings: serial,
    estimate: true,
  },
  "early-stop-not": {
    sql: "SELECT * FROM visits WHERE kind = 3 ORDER BY id DESC LIMIT 10",
    settings: serial,
  },
  "early-stop-not-estimate": { sql: newest, settings: serial, estimate: true },
  "unhashed-sub-plan": {
    sql: notIn(someCustomers),
    settings: { ...serial, work_mem: "64kB" },
  },
  "unhashed-sub-plan-13": {
    sql: notIn(someCustomers),
    settings: { ...serial, work_mem: "64kB" },
    version: 13,
  },
  "unhashed-sub-plan-estimate": {
    sql: notIn(someCustomers),
    settings: { ...serial, work_mem: "64kB" },
    estimate: true,
  },
  "unhashed-sub-plan-or": {
    sql: `SELECT count(*) FROM little WHERE id <= 1100 AND (name = 'n7' OR id IN (${someCustomers}))`,
    settings: { ...serial, work_mem: "64kB" },
  },
  "unhashed-sub-plan-less": {
    sql: "SELECT count(*) FROM little WHERE id <= 1100 AND id < ALL (SELECT low + 2000 FROM bands)",
    settings: serial,
  },
  "unhashed-sub-plan-all": {
    sql: "SELECT count(*) FROM little WHERE id <= 1100 AND id <> ALL (SELECT low FROM bands)",
    settings: serial,
  },
  "unhashed-sub-plan-not": { sql: notIn(someCustomers), settings: roomy },
  "unhashed-sub-plan-not-13": { sql: notIn(someCustomers), settings: roomy, version: 13 },
  "parallel-append": {
    sql: "SELECT count(*) FROM pings WHERE note LIKE '%7%'",
    settings: parallel,
  },
  "parallel-append-13": {
    sql: "SELECT count(*) FROM pings WHERE note LIKE '%7%'",
    settings: parallel,
    version: 13,
  },
  "parallel-append-apart": {
    sql: "SELECT count(*) FROM orders WHERE note LIKE '%7%' UNION ALL SELECT count(*) FROM customers WHERE email LIKE '%7%' UNION ALL SELECT count(*) FROM little",
    settings: apart,
  },
  "parallel-bitmap": {
    sql: onPlaces,
    settings: { ...parallel, ...bitmaps, max_parallel_workers_per_gather: "2" },
  },
  "parallel-no-leader": {
    sql: "SELECT * FROM orders WHERE total = 77",
    settings: { ...parallel, parallel_leader_participation: "off" },
  },
  "parallel-join": {
    sql: "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.email LIKE '%7%' AND o.total > 3",
    settings: { ...parallel, work_mem: "64MB" },
  },
  "parallel-lookups": {
    sql: "SELECT count(c.email) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.total = 77",
    settings: { ...parallel, ...loopsOnly, max_parallel_workers_per_gather: "2" },
  },
  "parallel-gather-merge": {
    sql: "SELECT customer_id, count(*) FROM orders GROUP BY 1 ORDER BY 1",
    settings: {
      ...parallel,
      enable_hashagg: "off",
      enable_indexscan: "off",
      enable_indexonlyscan: "off",
      work_mem: "64MB",
    },
  },
  "partitions-discard": { sql: "SELECT * FROM pings WHERE note = 'note 77'", settings: serial },
  "partitions-discard-13": {
    sql: "SELECT * FROM pings WHERE note = 'note 77'",
    settings: serial,
    version: 13,
  },
  "partitions-discard-parallel": {
    sql: "SELECT * FROM pings WHERE note = 'note 77'",
    settings: parallel,
  },
  "partitions-discard-estimate": {
    sql: "SELECT * FROM pings WHERE note = 'note 77'",
    settings: serial,
    estimate: true,
  },
  "partitions-sort": {
    sql: "SELECT * FROM pings ORDER BY at, note",
    settings: { ...spilling, work_mem: "64kB" },
  },
  "partitions-sort-each": {
    sql: "SELECT a.id FROM pings a JOIN pings b USING (id, at) WHERE a.note > b.note",
    settings: {
      ...spilling,
      work_mem: "64kB",
      enable_partitionwise_join: "on",
      enable_hashjoin: "off",
      enable_nestloop: "off",
      enable_indexscan: "off",
      enable_indexonlyscan: "off",
    },
  },
  "partitions-join": {
    sql: "SELECT count(*) FROM pings a JOIN pings b USING (id, at) WHERE a.note = 'note 77'",
    settings: { ...serial, ...hashing, enable_partitionwise_join: "on" },
  },
  "partitions-update": {
    sql: "UPDATE pings SET host = 1 WHERE note = 'note 77'",
    settings: serial,
  },
  "partitions-update-13": {
    sql: "UPDATE pings SET host = 1 WHERE note = 'note 77'",
    settings: serial,
    version: 13,
  },
  "partitions-pruned": {
    sql: "SELECT * FROM pings WHERE at = (SELECT DATE '2024-03-05') AND note = 'x'",
    settings: serial,
  },
  memoize: {
    sql: "SELECT count(o.note) FROM visits v JOIN orders o ON o.id = v.kind",
    settings: loopsOnly,
  },
  recursive: {
    sql: "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 50000) SELECT sum(n), (SELECT count(*) FROM r WHERE n > 7) FROM r",
    settings: serial,
  },
  "nested-ctes": {
    sql: "WITH a AS MATERIALIZED (SELECT customer_id, sum(total) AS t FROM orders GROUP BY 1), b AS MATERIALIZED (SELECT max(t) AS t FROM a) SELECT count(*) FROM a, b WHERE a.t = b.t AND a.customer_id > (SELECT min(customer_id) FROM a)",
    settings: { ...serial, work_mem: "64MB" },
  },
};
