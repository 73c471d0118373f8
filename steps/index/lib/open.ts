import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import {
  type Catalogue,
  type Read,
  readCatalogue,
  type TableName,
  type Twin,
  twinOf,
} from "../../../providers/twin/twin.ts";
import { session } from "../../sql/session.ts";
import { type Asked, readStatements } from "./input.ts";
import {
  type Activity,
  type Parsed,
  parseWorkload,
  readActivity,
  readWorkload,
  type Workload,
} from "./workload.ts";

/** Rows of the catalogues: a thousand columns of statistics are a few MB. */
const MAX_ROWS = 2_000_000;
const MAX_BYTES = 1024 * 1024 * 1024;
/** No read of the catalogues takes long; one that waits for a lock shall not hold up others. */
const TIMEOUT_MS = 60_000;
const LOCK_TIMEOUT_MS = 2000;

export interface Study {
  twin: Twin;
  workload: Workload;
  parsed: Parsed[];
  refused: { sql: string; reason: string }[];
  activity: Activity;
  /** Statements that were sent to the server. */
  reads: number;
}

/**
 * Reads the workload and clones the tables that it uses, in one READ ONLY transaction that is rolled back; nothing but SELECTs on
 * catalogues and statistics is sent. The twin is the caller's to close.
 * @throws PgdbaError unsupported | no_target | insufficient_privilege | io_failed | step_failed (there is nothing to study)
 */
export async function study(ctx: StepContext, asked: Asked): Promise<Study> {
  const pg = await session(ctx);
  const limits = { timeoutMs: TIMEOUT_MS, lockTimeoutMs: LOCK_TIMEOUT_MS, signal: ctx.signal };
  const read = await pg.transaction({ readOnly: true, ...limits }, (run) =>
    readAll(ctx, asked, run),
  );
  const { catalogue, ...rest } = read;
  const { stateDir } = ctx.run;
  return {
    ...rest,
    twin: await twinOf(catalogue, { stateDir, log: (message) => ctx.log(message) }),
  };
}

async function readAll(
  ctx: StepContext,
  asked: Asked,
  run: Run,
): Promise<Omit<Study, "twin"> & { catalogue: Catalogue }> {
  let reads = 0;
  const read: Read = async (sql, values = []) => {
    reads++;
    return (await run(sql, values, { maxRows: MAX_ROWS, maxBytes: MAX_BYTES })).rows;
  };
  const workload = await workloadOf(ctx, asked, read);
  const { parsed: all, refused } = await parseWorkload(workload.statements);
  const parsed =
    asked.tables.length === 0
      ? all
      : all.filter((statement) => asked.tables.some((table) => mentions(statement.tables, table)));
  const tables = new Map(
    parsed.flatMap((statement) => statement.tables).map((table) => [JSON.stringify(table), table]),
  );
  if (tables.size === 0) {
    throw new PgdbaError(
      "step_failed",
      "No statement of the workload uses a table that could be studied",
      {
        hint: "Let the application work for a while, or give statements that select from tables.",
        data: { statements: workload.statements.length, refused: refused.length },
      },
    );
  }
  ctx.log(`cloning ${tables.size} tables for ${parsed.length} statements`);
  const catalogue = await readCatalogue(read, [...tables.values()]);
  const activity = await readActivity(read, catalogue);
  // What uses the system's own tables only, such as our own reading, is nobody's workload.
  const own = parsed.filter((statement) =>
    catalogue.relations.some((relation) => mentions(statement.tables, relation)),
  );
  return { catalogue, workload, parsed: own, refused, activity, reads };
}

async function workloadOf(ctx: StepContext, asked: Asked, read: Read): Promise<Workload> {
  const given =
    asked.workload ??
    (asked.workloadFile === undefined
      ? undefined
      : await readStatements(asked.workloadFile, ctx.cwd));
  if (given !== undefined) return { source: "given", statements: given, hidden: 0 };
  const workload = await readWorkload(read, { limit: asked.limit, queryid: asked.queryid ?? null });
  if (asked.queryid !== undefined && workload.statements.length === 0) {
    throw new PgdbaError(
      "step_failed",
      `pg_stat_statements has no statement ${asked.queryid} of this database`,
      { hint: "`pgdba query slow-log` lists them with their queryid." },
    );
  }
  return workload;
}

function mentions(tables: readonly TableName[], wanted: TableName): boolean {
  return tables.some(
    (table) =>
      table.name === wanted.name &&
      (table.schema === null || wanted.schema === null || table.schema === wanted.schema),
  );
}
