import type { Node } from "libpg-query";
import type { Catalogue, IndexDef, IndexKey } from "../../../providers/planner/twin/twin.ts";
import { fixedWidth } from "../../../providers/planner/twin/index-size.ts";
import { columnStatistics } from "../../../providers/planner/twin/separators.ts";
import { textOf } from "./deparse.ts";
import { parseStatement, partsOf } from "./tree.ts";

/** The largest entry of a B-tree, a third of a page (BTMaxItemSize); what it has before the columns is at most 16 bytes. */
const ENTRY = 2704 - 16;
/** Bytes of a character in UTF-8, and the header of a value. */
const CHARACTER = 4;
const HEADER = 4;
/** A column whose type does not bound it is a key only when its values are known to be far below the limit. */
const NARROW = { average: 128, longest: 1000 };
/** The bytes that a bounded column may take beside such a key. */
const BESIDE = 512;

/** Tells whether an index could refuse a row that its table takes. */
export interface Verdict {
  safe: boolean;
  /** Remarks on a safe index that a person has to read all the same. */
  notes: string[];
}

/** The width that a key can reach: at most `most`, or `seen` where no limit is known. */
interface Width {
  most: number | null;
  /** The longest value known; null when nothing is. */
  seen: number | null;
  average: number;
  what: string;
}

const UNKNOWN = { most: null, seen: null, average: Number.POSITIVE_INFINITY };

/**
 * Judges indexes by the width of what they hold: PostgreSQL refuses to write a row for which an entry would be larger than a third of a
 * page. What is only carried along must be proven to fit, by its type or by a constraint; a key may also be of a type without a bound,
 * when its values are known to be short, and then that is said.
 */
export class Widths {
  readonly #catalogue: Catalogue;
  readonly #columns = new Map<string, Promise<Width>>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /** @param types of the index's columns, where they are known */
  async judge(def: IndexDef, types: readonly string[] = []): Promise<Verdict> {
    if (def.method === "gin") return this.#elements(def);
    if (def.method !== "btree") return { safe: true, notes: [] };
    const keys = await Promise.all(def.keys.map((key, at) => this.#key(def, key, types[at])));
    const included = await Promise.all(def.include.map((name) => this.#column(def, name)));
    if (included.some(({ most }) => most === null)) return { safe: false, notes: [] };
    const bound = (list: readonly Width[]): number =>
      list.reduce((sum, { most }) => sum + (most ?? 0), 0);
    const all = [...keys, ...included];
    if (all.every(({ most }) => most !== null) && bound(all) <= ENTRY)
      return { safe: true, notes: [] };
    const open = keys.filter(({ most }) => most === null || most > ENTRY / keys.length);
    const isNarrow = open.every(
      ({ seen, average }) => seen !== null && seen <= NARROW.longest && average <= NARROW.average,
    );
    const seen = keys.reduce((sum, key) => sum + (key.seen ?? key.most ?? 0), 0);
    if (!isNarrow || bound(included) > BESIDE || seen > NARROW.longest)
      return { safe: false, notes: [] };
    return { safe: true, notes: [noteOf(open)] };
  }

  /** GIN has the same limit, for each element: texts in an array. Documents and trigrams are hashed or short. */
  async #elements(def: IndexDef): Promise<Verdict> {
    const notes: string[] = [];
    for (const { column } of def.keys) {
      const type = column === null ? undefined : this.#typeOf(def, column);
      const element = type?.endsWith("[]") === true ? type.slice(0, -2) : undefined;
      if (column === null || element === undefined || boundOf(element) !== null) continue;
      const row = columnStatistics(
        this.#catalogue,
        { schema: def.schema, name: def.table },
        column,
      );
      const seen = longest(row?.["most_common_elems"]);
      if (seen === null || seen > NARROW.longest) return { safe: false, notes: [] };
      notes.push(noteOf([{ most: null, seen, average: 0, what: `an element of ${column}` }]));
    }
    return { safe: true, notes };
  }

  #typeOf(def: IndexDef, name: string): string | undefined {
    const { relations, columns } = this.#catalogue;
    const table = relations.find((one) => one.schema === def.schema && one.name === def.table);
    return columns.find((column) => column.relid === table?.oid && column.name === name)?.type;
  }

  async #key(def: IndexDef, key: IndexKey, type: string | undefined): Promise<Width> {
    if (key.column !== null) return this.#column(def, key.column);
    const most = type === undefined ? null : boundOf(type);
    if (most !== null) return { ...UNKNOWN, most, what: key.sql };
    const statement = await parseStatement(`SELECT ${key.sql}`).catch(() => null);
    const target =
      statement !== null && "SelectStmt" in statement
        ? statement.SelectStmt.targetList?.[0]
        : undefined;
    const node = target !== undefined && "ResTarget" in target ? target.ResTarget.val : undefined;
    return node === undefined
      ? { ...UNKNOWN, what: key.sql }
      : { ...(await this.#expression(def, node)), what: key.sql };
  }

  async #expression(def: IndexDef, node: Node): Promise<Width> {
    const columns = [...new Set(partsOf(node).columns.map(({ fields }) => textOf(fields?.at(-1))))];
    const [only, ...more] = columns;
    const unknown = { ...UNKNOWN, what: "" };
    if ("ColumnRef" in node && only !== undefined) return this.#column(def, only);
    if ("A_Const" in node) return { most: 64, seen: 64, average: 8, what: "" };
    if ("TypeCast" in node) {
      const name = textOf(node.TypeCast.typeName?.names?.at(-1));
      const most = boundOf(CASTS[name] ?? name);
      if (most !== null) return { ...unknown, most };
      return TEXTS.has(name) && node.TypeCast.arg !== undefined
        ? this.#expression(def, node.TypeCast.arg)
        : unknown;
    }
    if ("A_Expr" in node && /^[-+*/%]$/.test(textOf(node.A_Expr.name?.at(-1))))
      return { ...unknown, most: 64 };
    if ("CoalesceExpr" in node && more.length === 0 && only !== undefined)
      return this.#column(def, only);
    if (!("FuncCall" in node)) return unknown;
    const name = textOf(node.FuncCall.funcname?.at(-1));
    const args = node.FuncCall.args ?? [];
    const [first] = args;
    if (SHORT.has(name)) return { ...unknown, most: 64 };
    const count = PARTS[name] === undefined ? undefined : integer(args[PARTS[name]]);
    if (count !== undefined) return { ...unknown, most: HEADER + CHARACTER * count };
    return SAME.has(name) && first !== undefined ? this.#expression(def, first) : unknown;
  }

  #column(def: IndexDef, name: string): Promise<Width> {
    const key = JSON.stringify([def.schema, def.table, name]);
    const known = this.#columns.get(key) ?? this.#read(def, name);
    this.#columns.set(key, known);
    return known;
  }

  async #read(def: IndexDef, name: string): Promise<Width> {
    const { relations, statistics } = this.#catalogue;
    const table = relations.find((one) => one.schema === def.schema && one.name === def.table);
    const type = this.#typeOf(def, name) ?? "";
    const row = table === undefined ? undefined : columnStatistics(this.#catalogue, table, name);
    const most = least([
      this.#boundOfType(type),
      ...(await Promise.all(this.#checks(table?.oid).map((text) => limitIn(text, name)))),
      ...(await Promise.all(this.#domainChecks(type).map((text) => limitIn(text, "value")))),
    ]);
    // Values of more than 1 kB are left out of the lists: where there is none, that is what they all are (analyze.c, WIDTH_THRESHOLD).
    const lists = [row?.["most_common_vals"], row?.["histogram_bounds"]].map(longest);
    const seen = Math.max(...lists.map((one) => one ?? -1));
    const empty = row !== undefined && row.null_frac === 1;
    return {
      most,
      seen: empty ? 0 : seen < 0 ? null : seen,
      average:
        row?.avg_width ?? (statistics.length === 0 ? NARROW.average + 1 : Number.POSITIVE_INFINITY),
      what: name,
    };
  }

  #boundOfType(type: string): number | null {
    const own = boundOf(type);
    if (own !== null) return own;
    const found = this.#catalogue.types.find(
      ({ schema, name }) => name === unquoted(type) || `${schema}.${name}` === unquoted(type),
    );
    if (found?.kind === "enum") return 4;
    return found?.kind === "domain" && found.base !== null ? this.#boundOfType(found.base) : null;
  }

  #checks(relid: number | undefined): string[] {
    return this.#catalogue.constraints
      .filter((one) => one.relid === relid && one.type === "c" && one.valid)
      .map(({ definition }) => definition);
  }

  #domainChecks(type: string): string[] {
    const domain = this.#catalogue.types.find(
      ({ kind, schema, name }) =>
        kind === "domain" && (name === unquoted(type) || `${schema}.${name}` === unquoted(type)),
    );
    return domain === undefined
      ? []
      : [...(domain.checks ?? []), ...this.#domainChecks(domain.base ?? "")];
  }
}

function noteOf(open: readonly Width[]): string {
  const [first] = open;
  const names = open.map(({ what }) => what).join(", ");
  const longestOf = Math.max(...open.map(({ seen }) => seen ?? 0));
  return `Nothing bounds ${names}: a row is refused when ${open.length > 1 ? "together they need" : `${first?.what} needs`} more than about ${ENTRY} bytes in the index (the longest known ${open.length > 1 ? "one" : "value"} has ${longestOf}). A type with a length or a CHECK on it rules that out.`;
}

/** Types whose values are no longer than this, by name and modifier. */
function boundOf(type: string): number | null {
  const fixed = fixedWidth(type);
  if (fixed !== undefined) return fixed;
  const [, name = "", modifier] = /^([a-z ]+?)(?:\((\d+)(?:,-?\d+)?\))?$/.exec(type) ?? [];
  if (OTHERS[name] !== undefined) return OTHERS[name];
  if (modifier === undefined) return name === "character" ? HEADER + CHARACTER : null;
  if (name === "character varying" || name === "character")
    return HEADER + CHARACTER * Number(modifier);
  if (name === "bit" || name === "bit varying") return 8 + Math.ceil(Number(modifier) / 8);
  return name === "numeric" ? 8 + Math.ceil(Number(modifier) / 4) * 2 + 2 : null;
}

const OTHERS: Record<string, number> = {
  inet: 22,
  cidr: 22,
  point: 16,
  box: 32,
  lseg: 32,
  circle: 24,
  line: 24,
  pg_lsn: 8,
  xid8: 8,
  tid: 6,
};
for (const name of ["int4range", "int8range", "daterange", "tsrange", "tstzrange"])
  OTHERS[name] = 32;

/** Names of types in the grammar, as `format_type` gives them. */
const CASTS: Record<string, string> = {
  int2: "smallint",
  int4: "integer",
  int8: "bigint",
  float4: "real",
  float8: "double precision",
  bool: "boolean",
  timestamptz: "timestamp with time zone",
  timetz: "time with time zone",
};
const TEXTS = new Set(["text", "varchar", "bpchar", "citext", "name"]);
/** Functions that give as much as they are given, and those that give numbers, times and the like. */
const SAME = new Set([
  "lower",
  "upper",
  "btrim",
  "ltrim",
  "rtrim",
  "trim",
  "initcap",
  "reverse",
  "nullif",
  "coalesce",
]);
const SHORT = new Set([
  "md5",
  "date_trunc",
  "date_part",
  "extract",
  "date",
  "abs",
  "floor",
  "ceil",
  "length",
  "char_length",
  "octet_length",
  "mod",
  "hashtext",
  "to_date",
  "to_timestamp",
  "timezone",
]);
/** Functions of which an argument (counted from 0) says how many characters they give. */
const PARTS: Record<string, number> = { left: 1, right: 1, substr: 2, substring: 2 };

function integer(node: Node | undefined): number | undefined {
  const value = node !== undefined && "A_Const" in node ? node.A_Const.ival : undefined;
  return value === undefined ? undefined : (value.ival ?? 0);
}

function unquoted(type: string): string {
  return type.replaceAll('"', "");
}

function least(bounds: readonly (number | null)[]): number | null {
  const known = bounds.filter((bound) => bound !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Bytes of the longest value in an array as pg_stats has it; null without one. */
function longest(array: unknown): number | null {
  if (typeof array !== "string" || !array.startsWith("{")) return null;
  const values = [...array.matchAll(/"((?:[^"\\]|\\.)*)"|[^,{}"]+/g)].map(
    ([whole, quoted]) => quoted?.replaceAll(/\\(.)/g, "$1") ?? whole,
  );
  return values.reduce((most, value) => Math.max(most, Buffer.byteLength(value)), 0);
}

const LENGTHS: Record<string, number> = {
  length: CHARACTER,
  char_length: CHARACTER,
  character_length: CHARACTER,
  octet_length: 1,
};

/** Bytes that a CHECK allows a column, or the value of a domain, to have at most; null when it says nothing of it. */
async function limitIn(definition: string, column: string): Promise<number | null> {
  const condition = /^CHECK \((.*)\)/s.exec(definition)?.[1];
  const statement =
    condition === undefined
      ? null
      : await parseStatement(`SELECT WHERE ${condition}`).catch(() => null);
  const where =
    statement !== null && "SelectStmt" in statement ? statement.SelectStmt.whereClause : undefined;
  return where === undefined ? null : limitOf(where, column);
}

function limitOf(node: Node, column: string): number | null {
  if ("BoolExpr" in node && node.BoolExpr.boolop === "AND_EXPR")
    return least((node.BoolExpr.args ?? []).map((arg) => limitOf(arg, column)));
  if ("BoolExpr" in node && node.BoolExpr.boolop === "OR_EXPR") {
    // `x IS NULL OR length(x) < 100` bounds x as well.
    const limits = (node.BoolExpr.args ?? [])
      .filter((arg) => !("NullTest" in arg))
      .map((arg) => limitOf(arg, column));
    return limits.length === 0 || limits.includes(null) ? null : Math.max(...(limits as number[]));
  }
  if (!("A_Expr" in node)) return null;
  const { lexpr, rexpr, name, kind } = node.A_Expr;
  if (lexpr === undefined || !("FuncCall" in lexpr)) return null;
  const bytes = LENGTHS[textOf(lexpr.FuncCall.funcname?.at(-1))];
  const named = partsOf(lexpr).columns.map(({ fields }) => textOf(fields?.at(-1)));
  if (bytes === undefined || named.length !== 1) return null;
  if (named[0] !== column) return null;
  const list = rexpr !== undefined && "List" in rexpr ? (rexpr.List.items ?? []) : [rexpr];
  const most = integer(kind === "AEXPR_BETWEEN" ? list[1] : list[0]);
  const operator = textOf(name?.at(-1));
  const bounds = kind === "AEXPR_BETWEEN" || ["<", "<=", "="].includes(operator);
  return bounds && most !== undefined ? HEADER + bytes * most : null;
}
