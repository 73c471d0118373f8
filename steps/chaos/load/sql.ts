/** The tables of the load. They are the drill's own, in a schema that bears our mark. */
import type { PgSession } from "../../../providers/postgres/session.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { assertUnpublished, createSchema, notOurs, ownerOf } from "../drills/own-schema.ts";
import type { Reign } from "../history/lines.ts";

const SCHEMA = "pgdba_chaos";
const OWN = { name: SCHEMA, mark: "pgdba: the load of a drill; removed at its end" };

/** Which server answers, on which timeline; 0 for a standby. */
const REIGN = `CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END AS timeline,
  coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local') AS server`;

/** No key on the set: what is there twice must be seen. The mode is set by the transaction itself, so that it holds behind a pooler as well. */
const WRITE = `WITH mode AS MATERIALIZED (SELECT set_config('synchronous_commit', $1, true)),
  one AS (INSERT INTO ${SCHEMA}.writes (id) SELECT $2::bigint FROM mode)
UPDATE ${SCHEMA}.lists SET items = items || $2::bigint WHERE key = $3
RETURNING ${REIGN}, (pg_current_wal_insert_lsn() - '0/0')::text AS lsn`;

const PROBE = `WITH mode AS MATERIALIZED (SELECT set_config('synchronous_commit', $1, true))
INSERT INTO ${SCHEMA}.probes (node) SELECT $2::text FROM mode`;

/** How long a write waits for the row of its list, which another one holds that waits for its COMMIT, ms. */
const LOCK_MS = 1_000;

/** Makes the tables anew; those of a drill that did not end are replaced. @throws PgdbaError step_refused for a schema that is not ours */
export async function makeTables(pg: PgSession, lists: number): Promise<void> {
  const whose = await ownerOf(pg, OWN);
  if (whose === "other") throw notOurs(OWN);
  await assertUnpublished(pg);
  await pg.transaction({ readOnly: false, timeoutMs: 60_000 }, async (run) => {
    if (whose === "ours") await run(`DROP SCHEMA ${SCHEMA} CASCADE`);
    await createSchema(run, OWN);
    await run(`CREATE TABLE ${SCHEMA}.writes (id bigint NOT NULL)`);
    await run(
      `CREATE TABLE ${SCHEMA}.lists (key int PRIMARY KEY, items bigint[] NOT NULL DEFAULT '{}') WITH (fillfactor = 50)`,
    );
    await run(`CREATE TABLE ${SCHEMA}.probes (node text NOT NULL)`);
    await run(`INSERT INTO ${SCHEMA}.lists (key) SELECT n FROM generate_series(0, $1::int - 1) n`, [
      lists,
    ]);
  });
}

/** Removes them, where they are ours. @returns whether there was something to remove */
export async function dropTables(pg: PgSession): Promise<boolean> {
  if ((await ownerOf(pg, OWN)) !== "ours") return false;
  await pg.transaction({ readOnly: false, timeoutMs: 60_000 }, (run) =>
    run(`DROP SCHEMA ${SCHEMA} CASCADE`),
  );
  return true;
}

export interface Answer {
  reign: Reign;
  lsn: number;
}

/** One operation: its id into the set and at the end of its list. Nothing limits its COMMIT: who cancels one that waits for a standby makes it a loss. */
export async function write(
  pg: PgSession,
  { id, mode, lists }: { id: number; mode: string; lists: number },
): Promise<Answer> {
  const { rows } = await pg.transaction(
    { readOnly: false, lockTimeoutMs: LOCK_MS },
    async (run) => {
      const answer = await run(WRITE, [mode, id, id % lists]);
      if (answer.rows.length === 0)
        throw new PgdbaError("step_failed", `The list ${id % lists} is gone`, {
          hint: `Somebody else has changed the tables of ${SCHEMA}; run the drill again.`,
        });
      return answer;
    },
  );
  const row = rows[0]!;
  return { reign: reignOf(row), lsn: Number(row["lsn"]) };
}

/** A write that says of a node that it takes writes. */
export async function probe(pg: PgSession, node: string, mode: string): Promise<void> {
  await pg.transaction({ readOnly: false, lockTimeoutMs: LOCK_MS }, (run) =>
    run(PROBE, [mode, node]),
  );
}

/** The ids from `from` on, and one list, as a client reads them. */
export async function read(
  pg: PgSession,
  from: number,
  key: number,
): Promise<{ reign: Reign; ids: number[]; list: number[] }> {
  const { rows } = await pg.query(
    `SELECT (SELECT string_agg(id::text, ' ') FROM ${SCHEMA}.writes WHERE id >= $1) AS ids,
  (SELECT array_to_string(items, ' ') FROM ${SCHEMA}.lists WHERE key = $2) AS list, ${REIGN}`,
    [from, key],
    { timeoutMs: 5_000 },
  );
  const row = rows[0]!;
  return { reign: reignOf(row), ids: numbers(row["ids"]), list: numbers(row["list"]) };
}

/** Ids come together, so that many of them are few rows. */
const PART = 65_536;
const MOST = { maxRows: 1_000_000, maxBytes: 512 * 1024 * 1024, timeoutMs: 300_000 };

/** All that is there. A table that is not there holds nothing. */
export async function readAll(
  pg: PgSession,
  take: { id(id: number): void; list(key: number, ids: number[]): void },
): Promise<void> {
  if ((await ownerOf(pg, OWN)) === "nobody") return;
  const set = await pg.query(
    `SELECT string_agg(id::text, ' ') AS ids FROM ${SCHEMA}.writes GROUP BY id / ${PART}`,
    [],
    MOST,
  );
  for (const row of set.rows) for (const id of numbers(row["ids"])) take.id(id);
  const lists = await pg.query(
    `SELECT key, array_to_string(items, ' ') AS ids FROM ${SCHEMA}.lists`,
    [],
    MOST,
  );
  for (const row of lists.rows) take.list(Number(row["key"]), numbers(row["ids"]));
}

/** One text for all that a node holds: equal texts are equal data, in whatever order the rows lie. */
export async function digestOf(pg: PgSession): Promise<string> {
  if ((await ownerOf(pg, OWN)) === "nobody") return "nothing";
  const { rows } = await pg.query(
    `SELECT concat_ws('/', (SELECT count(*) FROM ${SCHEMA}.writes),
  (SELECT sum(hashtextextended(id::text, 0)) FROM ${SCHEMA}.writes),
  (SELECT md5(string_agg(key || ':' || array_to_string(items, ' '), ';' ORDER BY key)) FROM ${SCHEMA}.lists)) AS all`,
    [],
    { timeoutMs: MOST.timeoutMs },
  );
  return String(rows[0]?.["all"]);
}

function numbers(text: unknown): number[] {
  return typeof text !== "string" || text === "" ? [] : text.split(" ").map(Number);
}

function reignOf(row: Record<string, unknown>): Reign {
  return { timeline: Number(row["timeline"]), server: String(row["server"]) };
}
