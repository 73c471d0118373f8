import type { Json } from "../types.ts";

const MAX_LENGTH = 40;
/** Keys whose value names an object, the best first. */
const KEYS = ["name", "id", "title", "member", "node", "host", "database", "table"];

/** The name of an item of a loop for people: its text, or the value of a key that names it; undefined when neither exists. */
export function itemName(item: Json | undefined): string | undefined {
  if (typeof item === "string" || typeof item === "number") return clipped(String(item));
  if (item === null || item === undefined || typeof item !== "object" || Array.isArray(item))
    return undefined;
  for (const key of KEYS) {
    const value = Object.hasOwn(item, key) ? item[key] : undefined;
    if (typeof value === "string" || typeof value === "number") return clipped(String(value));
  }
  return undefined;
}

function clipped(text: string): string | undefined {
  if (text === "") return undefined;
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text;
}
