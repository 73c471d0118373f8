import { suggest } from "../shared/suggest.ts";
import { typeName, type Value } from "./values.ts";

/** `an int`, `a list`, `null`. */
export function withArticle(value: Value): string {
  const name = typeName(value);
  return value === null ? name : `${name === "int" ? "an" : "a"} ${name}`;
}

/** "Did you mean x?", or the names there are. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const all = [...names];
  const near = suggest(word, all);
  if (near !== undefined) return `Did you mean ${near}?`;
  if (all.length === 0) return "There are none here.";
  return `There are: ${all.slice(0, 12).join(", ")}${all.length > 12 ? ", ..." : ""}.`;
}

/** Source text on one line and not too long, for messages. */
export function short(text: string, length = 80): string {
  const line = text
    .slice(0, 4 * length)
    .replace(/\s+/g, " ")
    .trim();
  const isCut = line.length > length || text.length > 4 * length;
  return isCut ? `${line.slice(0, length - 1)}…` : line;
}
