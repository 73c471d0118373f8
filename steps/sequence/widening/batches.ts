import UNFIT from "../sql/widening-unfit.sql" with { type: "text" };
import { type Ask, columnName, isNarrow, type Widening } from "./find.ts";

/** Why this can't be done beside the old columns; empty when it can. */
export async function unfit(ask: Ask, found: Widening): Promise<string[]> {
  const reasons: string[] = [];
  const columns = found.columns.filter(isNarrow);
  const { rows } = await ask(UNFIT, [
    columns.map(({ relid }) => relid),
    columns.map(({ attnum }) => attnum),
  ]);
  const has = Map.groupBy(rows as { n: number | string; what: string }[], ({ n }) => Number(n));
  for (const [index, column] of columns.entries()) {
    const name = columnName(column);
    if (column.kind === "p") reasons.push(`${name} is of a partitioned table`);
    else if (column.inherits)
      reasons.push(`${name} is of a table that others inherit from, or a partition`);
    if (column.published)
      reasons.push(
        `${name} is of a table that is published, and the new column has to be at the subscribers first`,
      );
    for (const { what } of has.get(index + 1) ?? []) reasons.push(`${name} has ${what}`);
  }
  return reasons;
}
