import { amount } from "../../../engine/shared/amount.ts";
import type { StepContext } from "../../../engine/types.ts";
import { MARK } from "../../../providers/postgres/own.ts";
import { readTexts, type Texts, UNREAD } from "../../../providers/postgres/recorded-texts.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import { maskQuery } from "../../mask.ts";
import { another } from "../../sql/session.ts";

/** Statements looked at beyond those that are wanted, for the sake of our own among them. */
export const SPARE = 1000;

/** The texts of recorded statements by `database/queryid`. */
export function textsOf(
  ctx: StepContext,
  pg: PgSession,
  schema: string,
  ids: readonly string[],
): Promise<Texts> {
  return pg.transaction({ readOnly: true, signal: ctx.signal }, async (run) => {
    await run("SET /* pgdba */ LOCAL search_path = pg_catalog, pg_temp");
    return readTexts(run, (database) => another(ctx, database), quoteIdent(schema), ids);
  });
}

/** The first of the statements with their texts, and the time of our own, which are nobody's; says which have no text. */
export async function withTexts<T extends { id: string; total_ms: number }>(
  ctx: StepContext,
  {
    pg,
    schema,
    statements,
    limit,
  }: { pg: PgSession; schema: string; statements: readonly T[]; limit: number },
): Promise<{ listed: (T & { query: string; database: string | null })[]; own_ms: number }> {
  const { found, trouble } = await textsOf(
    ctx,
    pg,
    schema,
    statements.map(({ id }) => id),
  );
  const names = trouble === null ? new Map<string, string>() : await databases(pg);
  const isOwn = ({ id }: T): boolean => found.get(id)?.query.includes(MARK) === true;
  const own_ms = statements.filter(isOwn).reduce((sum, { total_ms }) => sum + total_ms, 0);
  const listed = statements
    .filter((one) => !isOwn(one))
    .slice(0, limit)
    .map((one) => {
      const { query, database = names.get(one.id.split("/")[0] ?? "") ?? null } =
        found.get(one.id) ?? {};
      const missing = trouble === null ? "<dropped while it was read>" : UNREAD;
      return { ...one, query: query === undefined ? missing : maskQuery(query), database };
    });
  const unread = listed.filter(({ query }) => query === UNREAD).length;
  if (trouble !== null && unread > 0)
    ctx.warn(
      `${unread === 1 ? "The text" : "The texts"} of ${amount(unread, "statement is", "statements are")} not shown: ${trouble.message}. ${trouble.hint}`,
    );
  return { listed, own_ms };
}

async function databases(pg: PgSession): Promise<Map<string, string>> {
  const { rows } = await pg.ask("SELECT oid::text AS oid, datname AS name FROM pg_database");
  return new Map(rows.map(({ oid, name }) => [String(oid), String(name)]));
}
