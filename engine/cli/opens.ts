import { isMapping } from "../json.ts";
import type { Json } from "../types.ts";

/** The flags that open the gate that refused, from the data of its error; none of another error. */
export function opensOf(data: Json | undefined): string[] {
  const opens = isMapping(data) ? data["opens"] : null;
  return Array.isArray(opens) ? (opens as string[]) : [];
}
