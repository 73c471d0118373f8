import type { A_Const, A_Expr, FuncCall, Node, TypeName } from "libpg-query";
import { quoteIdent, quoteLiteral } from "../../../providers/planner/twin/names.ts";

/** Operators as PostgreSQL's lexer takes them; anything else is no operator. */
const OPERATOR = /^[-+*/<>=~!@#%^&|`?]+$/;

/** The text of a String node. */
export function textOf(node: Node | undefined): string {
  return node !== undefined && "String" in node ? (node.String.sval ?? "") : "";
}

/**
 * An expression as SQL, its columns without their table, every name quoted and every constant a literal; null for what an index
 * could not hold anyway (parameters, sub-selects, aggregates) and for rarer syntax.
 */
export function deparse(node: Node | undefined): string | null {
  if (node === undefined) return null;
  if ("ColumnRef" in node) {
    const last = node.ColumnRef.fields?.at(-1);
    return last !== undefined && "String" in last ? quoteIdent(textOf(last)) : null;
  }
  if ("A_Const" in node) return constant(node.A_Const);
  if ("TypeCast" in node)
    return joined(
      [deparse(node.TypeCast.arg), typeName(node.TypeCast.typeName)],
      ([arg, type]) => `CAST(${arg} AS ${type})`,
    );
  if ("FuncCall" in node) return call(node.FuncCall);
  if ("A_Expr" in node) return operation(node.A_Expr);
  if ("CoalesceExpr" in node)
    return joined(
      (node.CoalesceExpr.args ?? []).map(deparse),
      (args) => `COALESCE(${args.join(", ")})`,
    );
  if ("NullTest" in node) {
    const { arg, nulltesttype } = node.NullTest;
    return joined(
      [deparse(arg)],
      ([text]) => `${text} IS ${nulltesttype === "IS_NOT_NULL" ? "NOT NULL" : "NULL"}`,
    );
  }
  if ("BoolExpr" in node) {
    const { boolop, args = [] } = node.BoolExpr;
    return joined(args.map(deparse), (parts) =>
      boolop === "NOT_EXPR"
        ? `(NOT ${parts[0]})`
        : `(${parts.join(boolop === "OR_EXPR" ? " OR " : " AND ")})`,
    );
  }
  if ("A_ArrayExpr" in node)
    return joined(
      (node.A_ArrayExpr.elements ?? []).map(deparse),
      (items) => `ARRAY[${items.join(", ")}]`,
    );
  return null;
}

function joined(parts: (string | null)[], write: (parts: string[]) => string): string | null {
  return parts.includes(null) ? null : write(parts as string[]);
}

function constant(value: A_Const): string {
  if (value.isnull === true) return "NULL";
  if (value.ival !== undefined) return String(value.ival.ival ?? 0);
  if (value.fval !== undefined)
    return String(Number(value.fval.fval)) === value.fval.fval
      ? value.fval.fval
      : `${quoteLiteral(value.fval.fval ?? "0")}::numeric`;
  if (value.boolval !== undefined) return value.boolval.boolval === true ? "true" : "false";
  if (value.bsval !== undefined)
    return `${quoteLiteral((value.bsval.bsval ?? "b").slice(1))}::varbit`;
  return quoteLiteral(value.sval?.sval ?? "");
}

/** A type by its name; with pg_catalog in front the grammar has translated it (`int` is `pg_catalog.int4`). */
function typeName(type: TypeName | undefined): string | null {
  if (type?.names === undefined || type.setof === true || type.pct_type === true) return null;
  const name = type.names.map((part) => quoteIdent(textOf(part))).join(".");
  const modifiers = (type.typmods ?? []).map(deparse);
  if (textOf(type.names.at(-1)) === "interval" && modifiers.length > 0) return null;
  return joined(
    modifiers,
    (list) =>
      `${name}${list.length > 0 ? `(${list.join(", ")})` : ""}${"[]".repeat(type.arrayBounds?.length ?? 0)}`,
  );
}

function call(node: FuncCall): string | null {
  if (
    node.over !== undefined ||
    node.agg_star === true ||
    node.agg_distinct === true ||
    node.agg_filter !== undefined ||
    node.agg_order !== undefined
  )
    return null;
  const name = (node.funcname ?? []).map((part) => quoteIdent(textOf(part))).join(".");
  return joined((node.args ?? []).map(deparse), (args) => `${name}(${args.join(", ")})`);
}

function operation(node: A_Expr): string | null {
  const name = textOf(node.name?.at(-1));
  const left = deparse(node.lexpr);
  const list =
    node.rexpr !== undefined && "List" in node.rexpr
      ? (node.rexpr.List.items ?? []).map(deparse)
      : null;
  if (node.kind === "AEXPR_IN")
    return joined(
      [left, ...(list ?? [null])],
      ([text, ...items]) => `${text} ${name === "<>" ? "NOT IN" : "IN"} (${items.join(", ")})`,
    );
  if (node.kind === "AEXPR_BETWEEN")
    return joined(
      [left, ...(list ?? [null])],
      ([text, low, high]) => `${text} BETWEEN ${low} AND ${high}`,
    );
  if (
    !["AEXPR_OP", "AEXPR_LIKE", "AEXPR_ILIKE"].includes(node.kind ?? "") ||
    node.lexpr === undefined ||
    !OPERATOR.test(name)
  )
    return null;
  return joined([left, deparse(node.rexpr)], ([a, b]) => `(${a} ${name} ${b})`);
}
