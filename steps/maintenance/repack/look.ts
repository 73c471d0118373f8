import { PgdbaError } from "../../../engine/errors.ts";
import { formatBytes } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import { roomOf } from "../../../providers/backup/space.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { ADVISORY } from "./leftovers.ts";

/** A table as pg_repack finds it. */
export interface Table {
  /** As SQL writes it, schema included. */
  name: string;
  oid: number;
  /** The number of its file: another one once it was rewritten. */
  filenode: number;
  /** With its indexes and its TOAST table: as much room again is needed while it is rewritten. */
  bytes: number;
  /** What a repack that was broken off has left: its trigger, its log, its copy. */
  leftovers: boolean;
}

const TABLE = `SELECT c.oid::int8::float8 AS oid, c.relkind AS kind, c.relpersistence AS persistence, pg_relation_filenode(c.oid)::int8::float8 AS filenode,
  n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname ~ '^pg_toast' AS catalog, pg_total_relation_size(c.oid)::float8 AS bytes,
  c.reltablespace <> 0 AS elsewhere,
  -- As pg_repack's view primary_keys has it.
  EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND 0 <> ALL (i.indkey)
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)) AS keyed,
  (SELECT min(i.indexrelid::regclass::text) FROM pg_index i WHERE i.indrelid = c.oid AND NOT i.indisvalid) AS invalid,
  to_regclass('repack.log_' || c.oid) IS NOT NULL OR to_regclass('repack.table_' || c.oid) IS NOT NULL OR to_regtype('repack.pk_' || c.oid) IS NOT NULL
    OR EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'repack_trigger') AS leftovers,
  (SELECT l.pid FROM pg_locks l WHERE ${ADVISORY("c.oid")} AND l.granted LIMIT 1) AS holder
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`;

const TIMEOUT_MS = 30_000;

/** @throws PgdbaError step_refused when there is none that pg_repack could rewrite | timeout */
export async function tableOf(
  pg: PgSession,
  schema: string,
  table: string,
  lockTimeoutMs: number | undefined,
): Promise<Table & { elsewhere: boolean }> {
  const name = quoteName(schema, table);
  const limits = { timeoutMs: TIMEOUT_MS, lockTimeoutMs };
  const [row] = (await pg.query(TABLE, [schema, table], limits)).rows;
  if (row === undefined)
    throw new PgdbaError("step_refused", `There is no table ${name} in this database`, {
      hint: "Check the name, and the database (--database): `pgdba maintenance tables` lists them.",
    });
  const refused = refusalOf(row, name);
  if (refused !== null) throw refused;
  return {
    name,
    oid: Number(row["oid"]),
    filenode: Number(row["filenode"]),
    bytes: Number(row["bytes"]),
    leftovers: row["leftovers"] === true,
    elsewhere: row["elsewhere"] === true,
  };
}

function refusalOf(row: Record<string, unknown>, name: string): PgdbaError | null {
  const refuse = (message: string, hint: string, retryable = false): PgdbaError =>
    new PgdbaError("step_refused", message, { hint, retryable });
  if (row["kind"] === "p")
    return refuse(
      `${name} is a partitioned table, and has nothing in it itself`,
      `Its partitions are taken by: pgdba maintenance repack '${name}'`,
    );
  if (row["kind"] !== "r" || row["persistence"] !== "p" || row["catalog"] === true)
    return refuse(
      `pg_repack rewrites ordinary tables alone, and ${name} is none`,
      `In a maintenance window, for it locks out everyone: VACUUM (FULL, ANALYZE) ${name};`,
    );
  if (row["holder"] != null)
    return refuse(
      `Process ${String(row["holder"])} of the server repacks ${name} now`,
      "Wait for it to end, then run again.",
      true,
    );
  if (row["keyed"] !== true)
    return refuse(
      `${name} has neither a primary key nor a unique index on columns that are NOT NULL: pg_repack needs one to carry over what is written meanwhile`,
      `Give it one, or in a maintenance window, for it locks out everyone: VACUUM (FULL, ANALYZE) ${name};`,
    );
  if (row["invalid"] != null)
    return refuse(
      `${name} has the invalid index ${String(row["invalid"])}, which pg_repack would leave behind broken`,
      `Rebuild or drop it first: pgdba maintenance reindex '${String(row["invalid"])}'`,
    );
  return null;
}

/**
 * Whether the disk of the server has room for a second copy. A warning where it can't be seen.
 * @returns the free bytes; null where they can't be seen
 * @throws PgdbaError step_refused
 */
export async function assertRoomFor(
  ctx: StepContext,
  { name, bytes, elsewhere }: Pick<Table, "name" | "bytes"> & { elsewhere: boolean },
): Promise<number | null> {
  const disk = elsewhere ? null : await diskOf(ctx);
  if (disk === null) {
    ctx.warn(
      `The free room on the disk of ${name} can't be seen from here: rewriting it takes up to ${formatBytes(bytes)}, and WAL beside it`,
    );
    return null;
  }
  const { freeBytes, reserve } = roomOf(disk);
  if (freeBytes - reserve >= bytes) return freeBytes;
  throw new PgdbaError(
    "step_refused",
    `${disk.path} has ${formatBytes(freeBytes)} free, and a second copy of ${name} takes up to ${formatBytes(bytes)} beside ${formatBytes(reserve)} that stay free`,
    {
      hint: "Make room first: `pgdba disk usage` shows what takes it.",
      data: { free_bytes: freeBytes, needed_bytes: bytes, reserve_bytes: reserve },
    },
  );
}

/** Null where no provider reaches the server's node. */
async function diskOf(ctx: StepContext) {
  const { facts, capabilities } = await ctx.target.facts();
  const member = facts["member"];
  if (typeof member !== "string" || !capabilities.includes("nodes")) return null;
  const { disks } = await (await ctx.use("nodes")).facts(member);
  return disks.find(({ of }) => of === "data") ?? null;
}
