import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import facts from "../sql/table.sql" with { type: "text" };

/** Of a table on one server; names are quoted. */
export interface TableFacts {
  oid: number;
  name: string;
  kind: string;
  persistence: string;
  file: string;
  bytes: number;
  index: { oid: number; name: string; keys: string; file: string; bytes: number } | null;
  /** The schema of amcheck; null where it is not installed. */
  amcheck: string | null;
  heapcheck: boolean;
  checksums: boolean;
  block_size: number;
  segment_blocks: number;
  standby: boolean;
}

/** By one way of reading. `error`: the server says that data are damaged. */
export interface Read {
  rows: number | null;
  digest: string | null;
  error: string | null;
}

/** How people call a means of finding damage. */
export type Means =
  | "seqscan"
  | "index read"
  | "checksum"
  | "verify_heapam"
  | "bt_index_check"
  | "comparison"
  | "size";

export interface Finding {
  by: Means;
  said: string;
}

/** data_corrupted, index_corrupted; a file that ends too early is the first, too. */
const CORRUPTED: ReadonlySet<string | undefined> = new Set(["XX001", "XX002"]);
const NONE = { rows: null, digest: null };

/** @throws PgdbaError step_refused: there is no such table */
export async function tableOf(
  pg: PgSession,
  table: string,
  signal: AbortSignal,
): Promise<TableFacts> {
  const { rows } = await pg.query(facts, [table], { readOnly: true, signal });
  const [found] = rows;
  if (found !== undefined) return found as unknown as TableFacts;
  throw new PgdbaError("step_refused", `There is no table ${table} in ${pg.info.database}`, {
    hint: "Give its schema as well, such as public.orders, and another --database if it is in none of this one.",
    nothingDone: true,
  });
}

/** What is damaged is told; anything else is an error. */
async function seeing<T>(work: Promise<T>): Promise<{ value: T } | { error: string }> {
  try {
    return { value: await work };
  } catch (error) {
    if (!CORRUPTED.has(sqlstateOf(error))) throw error;
    return { error: toPgdbaError(error).message };
  }
}

/** Every row, read by one way alone. */
export async function readTable(
  pg: PgSession,
  { name, kind, index }: TableFacts,
  by: "seqscan" | "index read",
  signal: AbortSignal,
): Promise<Read> {
  const bySeqscan = by === "seqscan";
  // What inherits from it has files of its own.
  const from = kind === "p" ? name : `ONLY ${name}`;
  const source = bySeqscan
    ? `${from} AS pgdba_row`
    : `(SELECT pgdba_row FROM ${from} AS pgdba_row ORDER BY ${index!.keys}) AS pgdba_rows`;
  const text = `SELECT count(*)::int8 AS rows, coalesce(sum(hashtextextended(pgdba_row::text, 0)), 0)::text AS digest FROM ${source}`;
  const seen = await seeing(
    pg.transaction({ readOnly: true, signal }, async (run) => {
      await only(run, bySeqscan);
      return (await run(text)).rows[0]!;
    }),
  );
  if ("error" in seen) return { ...NONE, error: seen.error };
  return { rows: Number(seen.value["rows"]), digest: String(seen.value["digest"]), error: null };
}

async function only(run: Run, seqscan: boolean): Promise<void> {
  const off = seqscan ? ["enable_indexscan", "enable_indexonlyscan"] : ["enable_seqscan"];
  for (const name of [...off, "enable_bitmapscan", "enable_sort"])
    await run("SELECT set_config($1, 'off', true)", [name]);
  await run("SELECT set_config('max_parallel_workers_per_gather', '0', true)");
}

/** What the checks that are installed say. */
export async function check(
  pg: PgSession,
  { oid, index, amcheck, heapcheck }: TableFacts,
  signal: AbortSignal,
): Promise<Finding[]> {
  const found: Finding[] = [];
  const options = { readOnly: true, signal } as const;
  if (amcheck !== null && heapcheck) {
    const text = `SELECT blkno, msg FROM ${amcheck}.verify_heapam($1::oid::regclass)`;
    const seen = await seeing(pg.query(text, [oid], { ...options, maxRows: 3, drain: true }));
    if ("error" in seen) found.push({ by: "verify_heapam", said: seen.error });
    else
      for (const { blkno, msg } of seen.value.rows)
        found.push({ by: "verify_heapam", said: `block ${String(blkno)}: ${String(msg)}` });
  }
  if (amcheck !== null && index !== null) {
    const text = `SELECT ${amcheck}.bt_index_check($1::oid::regclass, true)::text`;
    const seen = await seeing(pg.query(text, [index.oid], options));
    if ("error" in seen) found.push({ by: "bt_index_check", said: seen.error });
  }
  return found;
}

/** How often a page of this database has failed its checksum; it is counted for good. */
export async function failures(pg: PgSession, signal: AbortSignal): Promise<number> {
  const { rows } = await pg.ask(
    "SELECT checksum_failures::int8 AS times FROM pg_stat_database WHERE datname = current_database()",
    [],
    { signal },
  );
  return Number(rows[0]?.["times"] ?? 0);
}
