import { quoteIdent, quoteName } from "./names.ts";

/** One key of an index. */
export interface IndexKey {
  /** The column, or null for an expression. */
  column: string | null;
  /** SQL of the key: the quoted column, or the expression in parentheses. */
  sql: string;
  /** Operator class and order, as they follow the key: `gin_trgm_ops`, `DESC`. */
  suffix?: string;
}

/** An index that may be made. */
export interface IndexDef {
  schema: string;
  table: string;
  /** Access method: btree, gin, gist, brin, hash. */
  method: string;
  keys: readonly IndexKey[];
  include: readonly string[];
  /** SQL of the predicate, for a partial index. */
  where: string | null;
}

const texts = new WeakMap<IndexDef, string>();

/** The definition behind `CREATE INDEX name `: equal for equal indexes. */
export function indexSql(def: IndexDef): string {
  let text = texts.get(def);
  if (text === undefined) {
    text = write(def);
    texts.set(def, text);
  }
  return text;
}

function write(def: IndexDef): string {
  const keys = def.keys
    .map((key) => (key.suffix === undefined ? key.sql : `${key.sql} ${key.suffix}`))
    .join(", ");
  const include =
    def.include.length === 0 ? "" : ` INCLUDE (${def.include.map(quoteIdent).join(", ")})`;
  const where = def.where === null ? "" : ` WHERE ${def.where}`;
  return `ON ${quoteName(def.schema, def.table)} USING ${quoteIdent(def.method)} (${keys})${include}${where}`;
}
