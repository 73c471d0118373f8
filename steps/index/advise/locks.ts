import type { StepContext } from "../../../engine/types.ts";
import type { Locked } from "../../../providers/planner/twin/locked.ts";
import type { TableName } from "../../../providers/planner/twin/twin.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { Parsed, Refused } from "../workload/workload.ts";

const LOCK_NOT_AVAILABLE = "55P03";
/** Times that work begins anew for a lock. */
const MOST_LOCKED = 2;
export const OVER = "Run again when that is over";

/** A table that is locked while it is being looked at is left out when all begins anew. */
export async function aroundLocks<T>(ctx: StepContext, work: () => Promise<T>): Promise<T> {
  for (let left = MOST_LOCKED; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0 || sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      ctx.log("a table was locked meanwhile; beginning anew without it");
    }
  }
}

/** The tables that statements name, each once. */
export function tablesOf(parsed: readonly Parsed[]): Map<string, TableName> {
  return new Map(
    parsed.flatMap(({ tables }) => tables).map((table) => [JSON.stringify(table), table]),
  );
}

/** Statements on tables that would have to be waited for are left alone. */
export function withoutLocked(
  parsed: readonly Parsed[],
  locked: readonly Locked[],
): { free: Parsed[]; blocked: Refused[] } {
  const reasons = new Map(
    locked.map(({ asked, table, pids }) => {
      const by = pids.map((pid) => (pid === null ? "a prepared transaction" : `process ${pid}`));
      const reason = `${table} is locked by ${by.join(", ")} (ACCESS EXCLUSIVE)`;
      return [JSON.stringify(asked), reason] as const;
    }),
  );
  const free: Parsed[] = [];
  const blocked: Refused[] = [];
  for (const statement of parsed) {
    const reason = statement.tables
      .map((table) => reasons.get(JSON.stringify(table)))
      .find((one) => one !== undefined);
    if (reason === undefined) free.push(statement);
    else blocked.push({ sql: statement.sql, reason, hint: `${OVER}.` });
  }
  return { free, blocked };
}
