/** Schemas, workloads, and the indexes an expert would add, for the figures about index advice. */
import { EXPERT, fill, QUERIES, SCHEMA } from "../tests/steps/index/tpch.ts";

export interface Case {
  name: string;
  setup: string[];
  statements: readonly string[];
  expert: readonly string[];
}

export const CASES: readonly Case[] = [
  {
    name: "TPC-H-like",
    setup: [SCHEMA, ...fill(20).split(";\n")],
    statements: QUERIES,
    expert: EXPERT,
  },
  {
    name: "pgbench-like",
    setup: [
      `CREATE TABLE accounts (aid int, bid int, abalance int, filler char(84)); CREATE TABLE tellers (tid int, bid int, tbalance int); CREATE TABLE history (tid int, bid int, aid int, delta int, mtime timestamp)`,
      `INSERT INTO accounts SELECT i, i % 10, 0 FROM generate_series(1, 200000) i; INSERT INTO tellers SELECT i, i % 10, 0 FROM generate_series(1, 100) i; INSERT INTO history SELECT i % 100, i % 10, i, 1, '2025-01-01' FROM generate_series(1, 50000) i`,
    ],
    statements: [
      "UPDATE accounts SET abalance = abalance + 1 WHERE aid = 77",
      "SELECT abalance FROM accounts WHERE aid = 77",
      "UPDATE tellers SET tbalance = tbalance + 1 WHERE tid = 7",
      "INSERT INTO history VALUES (7, 1, 77, 1, '2025-01-01')",
      "SELECT sum(delta) FROM history WHERE aid = 77",
    ],
    expert: ["CREATE INDEX ON accounts (aid)", "CREATE INDEX ON history (aid)"],
  },
  {
    name: "joins",
    setup: [
      ...["a", "b", "c", "d", "e"].map(
        (name) =>
          `CREATE TABLE j${name} (id int PRIMARY KEY, up int NOT NULL, kind int NOT NULL, note text)`,
      ),
      ...["a", "b", "c", "d", "e"].map(
        (name, at) =>
          `INSERT INTO j${name} SELECT i, 1 + (i::bigint * 7919) % ${2000 * 3 ** Math.max(0, at - 1)}, i % 97, repeat('n', 40) FROM generate_series(1, ${2000 * 3 ** at}) i`,
      ),
    ],
    statements: [
      "SELECT count(*) FROM ja JOIN jb ON jb.up = ja.id JOIN jc ON jc.up = jb.id WHERE ja.kind = 5",
      "SELECT je.* FROM ja JOIN jb ON jb.up = ja.id JOIN jc ON jc.up = jb.id JOIN jd ON jd.up = jc.id JOIN je ON je.up = jd.id WHERE ja.id = 17",
      "SELECT jc.id, (SELECT count(*) FROM jd WHERE jd.up = jc.id) FROM jc WHERE jc.kind = 3 AND jc.up = 99",
      "SELECT * FROM jd WHERE EXISTS (SELECT FROM je WHERE je.up = jd.id AND je.kind = 11) AND jd.kind = 50 ORDER BY jd.id LIMIT 20",
    ],
    expert: ["b", "c", "d", "e"].map((name) => `CREATE INDEX ON j${name} (up)`),
  },
];
