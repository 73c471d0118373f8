import { isMapping, type JsonObject } from "../../../../engine/types.ts";
import { castOf, columnsIn, isRelabelling, nameOf } from "../conditions.ts";
import {
  at,
  factsOf,
  type Facts,
  type Finding,
  type ParseExpression,
  percent,
  type Rule,
  weigh,
} from "../finding.ts";
import { type Plan, type PlanNode, text, walk } from "../tree.ts";
import { isSmall, removedRows } from "./scan-size.ts";

/** Most rows are wanted above this share: an index would not help, hidden or not. */
const SELECTIVE = 0.1;
const COMPARISONS = new Set(["=", "<", ">", "<=", ">="]);

/** Conditions that an index on the column would serve, were the column not wrapped into a function or a cast. */
export const hiddenIndexes: Rule = (plan, facts, parse) =>
  [...walk(plan.root)].flatMap((node) => judge(node, plan, facts, parse));

function judge(node: PlanNode, plan: Plan, facts: Facts, parse: ParseExpression): Finding[] {
  const known = factsOf(node, facts);
  const filter = text(node, "filter");
  if (known === undefined || filter === null || isSmall(node, facts)) return [];
  const kept = keptShare(node, known.rows);
  if (kept === null || kept > SELECTIVE) return [];
  const condition = parse(filter);
  if (condition === null) return [];
  return comparisons(condition).flatMap(({ source, wrapped }) => {
    const { column, cast } = wrapped;
    const found = known.leading_columns.find((leading) => leading.column === column);
    if (found === undefined || (cast !== null && isRelabelling(found.type, cast))) return [];
    const how = cast === null ? "inside a function or an expression" : `cast to ${cast}`;
    return [
      {
        code: cast === null ? ("function_on_column" as const) : ("cast_on_column" as const),
        severity: weigh(plan, node.actual?.share ?? null),
        node: at(node),
        message: `${known.name}.${column} is ${how}, so that ${found.index} can't be used for ${source}; ${percent(kept)} of the rows are wanted.`,
        evidence: {
          column,
          index: found.index,
          type: found.type,
          cast,
          filter,
          kept_share: Math.round(kept * 10_000) / 10_000,
        },
        advice:
          cast === null
            ? `Compare ${column} itself, or create an index on the expression as it stands: CREATE INDEX CONCURRENTLY ON ${known.name} ((…)), then ANALYZE ${known.name}.`
            : `Give the value the type of the column (${found.type}), not the column the type of the value: cast the parameter, or correct the type that the application binds.`,
      },
    ];
  });
}

function keptShare(node: PlanNode, tableRows: number): number | null {
  const { actual, estimated } = node;
  if (actual === null) return tableRows > 0 ? estimated.all_rows / tableRows : null;
  const read = actual.rows + removedRows(node);
  return read === 0 ? null : actual.rows / read;
}

interface Wrapped {
  column: string;
  /** The type it is cast to; null when a function or an operator is in the way. */
  cast: string | null;
}

/** Comparisons, joined by AND, of one wrapped column with something that has no column. */
function comparisons(expression: JsonObject): { source: string; wrapped: Wrapped }[] {
  const bool = expression.BoolExpr;
  if (isMapping(bool) && bool.boolop === "AND_EXPR" && Array.isArray(bool.args))
    return bool.args.filter(isMapping).flatMap(comparisons);
  const compared = expression.A_Expr;
  if (!isMapping(compared) || !COMPARISONS.has(nameOf(compared.name))) return [];
  const sides = [compared.lexpr, compared.rexpr].filter(isMapping);
  const columns = sides.map((side) => columnsIn(side));
  const side = columns.findIndex((names) => names.length === 1);
  const [wrapper, column] = [sides[side], columns[side]?.[0]];
  if (sides.length !== 2 || columns[1 - side]?.length !== 0) return [];
  if (wrapper === undefined || column === undefined || wrapper.ColumnRef !== undefined) return [];
  return [
    { source: `${column} ${nameOf(compared.name)} …`, wrapped: { column, cast: castOf(wrapper) } },
  ];
}
