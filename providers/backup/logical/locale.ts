/** The locale of a database, as a database for its dump is made. */
import type { DatabaseLocale } from "../record.ts";

/** Columns of `pg_database d`, whatever its version. */
export const LOCALE_COLUMNS = `pg_encoding_to_char(encoding) AS encoding,
  datcollate AS collate, datctype AS ctype, to_jsonb(d) ->> 'datlocprovider' AS provider,
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale`;

export function localeFrom(row: Record<string, unknown>): DatabaseLocale {
  const { encoding, collate, ctype, provider, locale } = row;
  return {
    encoding: String(encoding),
    collate: String(collate),
    ctype: String(ctype),
    ...(typeof provider === "string" ? { provider } : {}),
    ...(typeof locale === "string" ? { locale } : {}),
  };
}
