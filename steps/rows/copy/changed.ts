import type { Json, JsonObject } from "../../../engine/types.ts";
import { maskedRows } from "../../query/secret.ts";
import type { Pair } from "../sides/table.ts";

/** The columns that differ, before and after. */
export function changed(
  pair: Pair,
  columns: string[],
  { before, after }: { before: (string | null)[]; after: (string | null)[] },
): Json {
  const of = (
    values: (string | null)[],
    takes: (name: string, at: number) => boolean,
  ): JsonObject =>
    maskedRows([
      Object.fromEntries(
        columns.flatMap((name, at) => (takes(name, at) ? [[name, values[at] ?? null]] : [])),
      ),
    ])[0]!;
  const differs = (_: string, at: number): boolean => before[at] !== after[at];
  return {
    key: of(before, (name) => pair.key.includes(name)),
    was: of(before, differs),
    is: of(after, differs),
  };
}
