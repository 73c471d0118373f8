import type { Sized } from "./candidate.ts";

/** The first `most` of each table. */
export function firstOfEach(list: readonly Sized[], most: number): Sized[] {
  const tables = Map.groupBy(list, ({ def }) => `${def.schema}.${def.table}`);
  return [...tables.values()].flatMap((of) => of.slice(0, most));
}
