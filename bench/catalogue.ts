/** A PostgreSQL 18 with a large catalogue: 10,000 tables, 30,000 indexes and 5,000 statements in pg_stat_statements. A minute or two. */
import { clientOf, startServer, type TestServer } from "../tests/support/postgres.ts";

const TABLES = 10_000;
const STATEMENTS = 5000;
const BATCH = 500;

export async function largeCatalogue(): Promise<TestServer> {
  const server = await startServer({
    settings: {
      shared_preload_libraries: "pg_stat_statements",
      "pg_stat_statements.max": 20_000,
      shared_buffers: "256MB",
      max_locks_per_transaction: 20_000,
      max_wal_size: "4GB",
      autovacuum: false,
    },
  });
  try {
    await build(server);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Three indexes a table, some foreign keys, and a few rows here and there, so that statistics and checks have something to look at. */
async function build(to: TestServer): Promise<void> {
  const client = await clientOf(to);
  try {
    await client.query("create extension pg_stat_statements");
    for (let n = 0; n < TABLES; n += BATCH) {
      await client.query(`create schema s${n}; set search_path = s${n}; do $$ begin
        for i in ${n}..${n + BATCH - 1} loop
          execute format('create unlogged table t%s (id bigint primary key, ref bigint, name text, at timestamptz default now())', i);
          execute format('create index on t%s (ref); create index on t%s (name, at)', i, i);
          if i % 50 = 0 then execute format('insert into t%s select n, n, n::text from generate_series(1, 200) n; analyze t%s', i, i); end if;
        end loop; end $$`);
    }
    for (let n = 0; n < STATEMENTS; n += BATCH) {
      const texts = Array.from(
        { length: BATCH },
        (_, i) =>
          `select * from s${n}.t${n + i} where id = ${i} and name = 'some text of a statement'`,
      );
      await client.query(texts.join(";"));
    }
  } finally {
    await client.end();
  }
}

/** What is in it, in words. */
export async function counted(from: TestServer): Promise<string> {
  const client = await clientOf(from);
  try {
    const { rows } =
      await client.query(`select (select count(*) from pg_class where relkind = 'r' and relnamespace::regnamespace::text ~ '^s\\d') as tables,
      (select count(*) from pg_class where relkind = 'i' and relnamespace::regnamespace::text ~ '^s\\d') as indexes,
      (select count(*) from pg_stat_statements) as statements`);
    const { tables, indexes, statements } = rows[0] as Record<string, string>;
    return `${tables} tables, ${indexes} indexes, ${statements} statements`;
  } finally {
    await client.end();
  }
}
