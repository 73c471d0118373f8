import { isMapping } from "../json.ts";
import type { Json } from "../types.ts";

/** JSON that does not depend on the order of keys. */
export function canonical(value: Json): string {
  const text = JSON.stringify(value, (_, item: unknown) =>
    isMapping(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
  return text ?? "";
}
