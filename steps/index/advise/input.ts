import { resolve } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { readBytes } from "../../../engine/shared/read-file.ts";
import { relationName } from "../../../providers/postgres/relation-name.ts";
import type { TableName } from "../../../providers/planner/twin/twin.ts";
import type { Statement } from "../workload/workload.ts";

/** The input that `WORKLOAD_INPUT` in suggest-schema.ts describes. */
export interface WorkloadInput {
  workload?: { sql: string; calls?: number }[] | null;
  workload_file?: string | null;
  queryid?: string | null;
  tables?: string[] | null;
  statements?: number | null;
}

/** Tells which workload is meant. */
export interface Asked {
  workload: Statement[] | undefined;
  workloadFile: string | undefined;
  queryid: string | undefined;
  tables: readonly TableName[];
  /** Statements read from pg_stat_statements. */
  limit: number;
}

const STATEMENTS = 200;
const MAX_BYTES = 16 * 1024 * 1024;

/** The input as the study takes it, and whether a table is among those it is narrowed to. @throws PgdbaError invalid_param */
export function readInput(input: WorkloadInput): {
  asked: Asked;
  isWanted(table: { schema: string; table: string }): boolean;
} {
  const tables = (input.tables ?? []).map((table) => relationName(table, "table"));
  const asked = {
    workload: input.workload?.map(({ sql, calls }) => ({
      sql,
      calls: calls ?? 1,
      rows: null,
      queryid: null,
    })),
    workloadFile: input.workload_file ?? undefined,
    queryid: input.queryid ?? undefined,
    tables,
    limit: input.statements ?? STATEMENTS,
  };
  const isWanted = ({ schema, table }: { schema: string; table: string }): boolean =>
    tables.length === 0 ||
    tables.some(
      (wanted) => wanted.name === table && (wanted.schema === null || wanted.schema === schema),
    );
  return { asked, isWanted };
}

/** The statements of a file, each run once. @throws PgdbaError io_failed | query_failed */
export async function readStatements(file: string, cwd: string): Promise<Statement[]> {
  const text = readBytes(resolve(cwd, file), {
    maxBytes: MAX_BYTES,
    hint: "Give a file of SQL statements, at most 16 MB.",
  }).toString("utf8");
  const { parse } = await import("libpg-query");
  const bytes = Buffer.from(text);
  let statements;
  try {
    statements = (await parse(text)).stmts ?? [];
  } catch (cause) {
    throw new PgdbaError("query_failed", `${file}: ${(cause as Error).message}`, {
      hint: "Every statement must be one that PostgreSQL takes, with ; behind it.",
      cause,
    });
  }
  return statements.map(({ stmt_location = 0, stmt_len }) => ({
    sql: bytes
      .subarray(stmt_location, stmt_len === undefined ? undefined : stmt_location + stmt_len)
      .toString()
      .trim(),
    calls: 1,
    rows: null,
    queryid: null,
  }));
}
