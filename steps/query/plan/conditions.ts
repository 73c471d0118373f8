import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";

const COMPARISONS = new Set(["=", "<", ">", "<=", ">="]);
/** LIKE, ILIKE and regular expressions as plans write them. */
const PATTERNS = new Set(["~~", "~~*", "~", "~*"]);

/** One of the conditions that a filter joins by AND, by the kind of index that would serve it. */
export type Condition =
  /** A column with a value; `equal` goes first in an index. */
  | { kind: "plain"; column: string; equal: boolean }
  /** A pattern; `anchored` when it begins with letters. */
  | { kind: "pattern"; column: string; anchored: boolean }
  | { kind: "cast"; column: string; type: string }
  /** The column is inside a function or an operator. */
  | { kind: "expression"; column: string }
  /** `<>`, OR, comparisons of columns with each other, … */
  | { kind: "other" };

/** By the columns of the table that the plan calls `alias`: those of others, in a correlated sub-query, are values to it. */
export function conditionsOf(expression: JsonObject, alias: string): Condition[] {
  const bool = expression.BoolExpr;
  if (isMapping(bool) && bool.boolop === "AND_EXPR" && Array.isArray(bool.args))
    return bool.args.filter(isMapping).flatMap((part) => conditionsOf(part, alias));
  const test = expression.NullTest;
  if (isMapping(test) && isMapping(test.arg) && test.arg.ColumnRef !== undefined)
    return [plain(test.arg, alias)];
  if (expression.ColumnRef !== undefined) return [plain(expression, alias)];
  return [compared(expression.A_Expr, alias)];
}

function compared(expression: Json | undefined, alias: string): Condition {
  if (!isMapping(expression)) return { kind: "other" };
  const operator = nameOf(expression.name);
  const { lexpr, rexpr } = expression;
  const sides = [lexpr, rexpr].filter(isMapping);
  const columns = sides.map((side) => columnsIn(side, alias));
  const side = columns.findIndex((names) => names.length === 1);
  const [wrapper, column] = [sides[side], columns[side]?.[0]];
  if (sides.length !== 2 || columns[1 - side]?.length !== 0) return { kind: "other" };
  if (wrapper === undefined || column === undefined) return { kind: "other" };
  if (PATTERNS.has(operator))
    return {
      kind: "pattern",
      column,
      anchored: operator === "~~" && beginsPlainly(sides[1 - side]),
    };
  if (!COMPARISONS.has(operator)) return { kind: "other" };
  if (wrapper.ColumnRef !== undefined) return { kind: "plain", column, equal: operator === "=" };
  const type = castOf(wrapper);
  return type === null ? { kind: "expression", column } : { kind: "cast", column, type };
}

function plain(reference: JsonObject, alias: string): Condition {
  const [column] = columnsIn(reference, alias);
  return column === undefined ? { kind: "other" } : { kind: "plain", column, equal: true };
}

/** True for a constant that begins with neither `%` nor `_`. */
function beginsPlainly(value: Json | undefined): boolean {
  if (!isMapping(value)) return false;
  const cast = value.TypeCast;
  if (isMapping(cast)) return beginsPlainly(cast.arg);
  const text = isMapping(value.A_Const) ? value.A_Const.sval : undefined;
  return isMapping(text) && typeof text.sval === "string" && /^[^%_]/.test(text.sval);
}

/** The type, when a column is only cast. */
export function castOf(expression: JsonObject): string | null {
  const cast = expression.TypeCast;
  if (!isMapping(cast) || !isMapping(cast.arg) || cast.arg.ColumnRef === undefined) return null;
  return isMapping(cast.typeName) ? nameOf(cast.typeName.names) : null;
}

/** Names of the columns in an expression; with `alias` only those of that table. */
export function columnsIn(value: Json, alias?: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => columnsIn(item, alias));
  if (!isMapping(value)) return [];
  return Object.entries(value).flatMap(([key, child]) => {
    if (key !== "ColumnRef" || !isMapping(child)) return columnsIn(child, alias);
    const parts = Array.isArray(child.fields) ? child.fields : [];
    const foreign = alias !== undefined && parts.length > 1 && nameOf(parts.slice(0, -1)) !== alias;
    return foreign ? [] : [nameOf(parts)];
  });
}

/** The last part of a qualified name. */
export function nameOf(parts: Json | undefined): string {
  const last = Array.isArray(parts) ? parts.at(-1) : undefined;
  const word = isMapping(last) ? last.String : undefined;
  return isMapping(word) && typeof word.sval === "string" ? word.sval : "";
}

/** Types with the same bytes: the planner looks through a cast from one to the other (pg_cast, castmethod `b`). */
const RELABELLED = new Set(["character varying", "text", "name", "varchar"]);

export function isRelabelling(from: string, to: string): boolean {
  const bare = from.replace(/\(\d+\)$/, "");
  return RELABELLED.has(bare) && RELABELLED.has(to);
}
