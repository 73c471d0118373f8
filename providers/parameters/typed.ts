import { PgdbaError } from "../../engine/errors.ts";
import { inOrigin } from "./rewrite.ts";
import { isByParameters, Search, sitesOf, type Typed } from "./search.ts";
import { hasParameters, spelt } from "./spelling.ts";

/**
 * Has a statement planned whose parameters may have any types: as it is, then with types that fit where the server can't find them by
 * itself. pg_stat_statements has `$1` where a constant was, and its type is lost with it.
 * @param attempt plans a text; what it throws has positions of that text
 * @throws PgdbaError what the server said first, with the position in `sql`; `data.parameters` holds those whose types it may be about
 */
export async function planTyped<T>(
  sql: string,
  major: number,
  attempt: (typed: Typed) => Promise<T>,
): Promise<{ value: T; typed: Typed }> {
  const base = await spelt(sql, major);
  const typed: Typed = { text: base.text, order: null, assumed: new Map() };
  try {
    return { value: await attempt(typed), typed };
  } catch (error) {
    const first = inOrigin(error, base, sql);
    if (!isByParameters(error) || !hasParameters(sql)) throw first;
    const sites = await sitesOf(base.text);
    if (sites === null || sites.params.size === 0) throw first;
    const search = new Search(sql, attempt, error);
    const found = await search.solve({ base, sites, order: null }, new Map(), error);
    if (found !== null) return found;
    throw unknown(search.furthest, search.suspects);
  }
}

/** The server's error, with what it can't know: which constants stood there. */
function unknown(error: PgdbaError, suspects: readonly number[]): PgdbaError {
  const names = suspects.toSorted((a, b) => a - b).map((number) => `$${number}`);
  if (names.length === 0) return error;
  const { code, message, cause, data } = error;
  return new PgdbaError(code, message, {
    hint: `What stood for ${names.join(", ")} is not known, and no usual type fits. Give the statement with its values.`,
    cause,
    data: { ...(data as object), parameters: names },
  });
}

/** The parameters whose types an error of `planTyped` is about, in words; null when it is about something else. */
export function parametersOf({ data }: PgdbaError): string | null {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return null;
  return Array.isArray(data["parameters"]) ? data["parameters"].join(", ") : null;
}
