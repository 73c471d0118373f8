import { bareOrQuoted } from "../../../../providers/planner/twin/names.ts";
import { conditionsOf } from "../conditions.ts";
import { type Facts, factsOf, type ParseExpression } from "../finding.ts";
import { type PlanNode, text } from "../tree.ts";
import { unlabelled } from "./scan-advice.ts";
import { codeOf } from "./statistics.ts";

const CONDITIONS = ["filter", "index_cond", "recheck_cond"];
/** PostgreSQL takes no more in one statistics object. */
const MOST = 8;

export interface Dependent {
  /** As SQL writes it. */
  table: string;
  columns: string[];
  /** Extended statistics on all of them are there already. */
  known: boolean;
}

/**
 * The columns of `node`, which the table is read by in `scan`, whose conditions the planner multiplies as if they had nothing to do with each other; null where there are none, and where
 * the table is to be analysed first.
 */
export function dependentColumns(
  node: PlanNode,
  scan: PlanNode,
  facts: Facts,
  parse: ParseExpression,
): Dependent | null {
  const table = factsOf(scan, facts);
  if (table?.statistics === undefined || codeOf(table) !== null) return null;
  // The scan above a bitmap filters by the rest of the conditions on the same table.
  const texts = [...new Set([node, scan])].flatMap((one) =>
    CONDITIONS.map((key) => text(one, key) ?? ""),
  );
  const columns = texts.flatMap((condition) => {
    const parsed = parse(condition);
    if (parsed === null) return [];
    return conditionsOf(parsed, scan.relation?.alias ?? "")
      .map((one) => unlabelled(one, table.types ?? {}))
      .flatMap((one) => (one.kind === "plain" ? [one.column] : []));
  });
  const several = [...new Set(columns)].filter((one) => Object.hasOwn(table.types ?? {}, one));
  if (several.length < 2 || several.length > MOST) return null;
  return {
    table: `${bareOrQuoted(table.schema)}.${bareOrQuoted(table.name)}`,
    columns: several,
    known: table.statistics.some((own) => several.every((one) => own.includes(one))),
  };
}
