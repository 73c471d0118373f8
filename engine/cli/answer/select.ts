import { isMapping } from "../../json.ts";
import type { Json, JsonObject } from "../../types.ts";

/**
 * The parts of `data` at `paths`, at their places. A path is keys with dots: `settings.name` goes through a list to each of its entries, `settings.3`
 * is one entry and `settings.0-9` are ten; an entry that lacks the key keeps its place, as `{}`, so that the entries of several paths match. `rows.0.text.0-9999` are characters of a text. A key may have dots itself. Paths that lead nowhere stand in `not_there`, beside the keys that there are:
 * what was run has been run, so that they are no failure.
 * @param other the same in another form, in which a path may lead somewhere as well
 */
export function select(data: Json, paths: readonly string[], other?: Json): JsonObject {
  const missing: string[] = [];
  let picked: Part | undefined;
  for (const path of paths) {
    const words = path.split(".");
    const part = pick(data, words) ?? (other === undefined ? undefined : pick(other, words));
    if (part === undefined) missing.push(path);
    else picked = picked === undefined ? part : merge(picked, part);
  }
  const selected = picked === undefined ? undefined : plain(picked);
  const found = isMapping(selected) ? selected : selected === undefined ? {} : { selected };
  if (missing.length === 0) return found;
  return { ...found, not_there: missing, there_are: isMapping(data) ? Object.keys(data) : [] };
}

/** Entries of a list by their places in it: those of several paths are laid on one another by these. */
class Entries extends Map<number, Part> {}
type Part = Json | Entries | { [key: string]: Part };

function pick(value: Json, path: readonly string[]): Part | undefined {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (Array.isArray(value)) {
    const range = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(first);
    const [, from = "0", to = range ? from : "Infinity"] = range ?? [];
    const entries = [...value.entries()].slice(Number(from), Number(to) + 1);
    const picked = entries.map(([, item]) => pick(item, range ? rest : path));
    if (entries.length > 0 && picked.every((part) => part === undefined)) return undefined;
    // An entry that lacks it keeps its place: entries are counted.
    const lacking = ([, item]: [number, Json]): Part => (Array.isArray(item) ? [] : {});
    return new Entries(entries.map((entry, n) => [entry[0], picked[n] ?? lacking(entry)]));
  }
  if (typeof value === "string" && rest.length === 0) return charactersOf(value, first);
  if (!isMapping(value)) return undefined;
  for (let words = path.length; words > 0; words--) {
    const key = path.slice(0, words).join(".");
    if (!Object.hasOwn(value, key)) continue;
    const part = pick(value[key]!, path.slice(words));
    if (part !== undefined) return { [key]: part };
  }
  return undefined;
}

/** Those of a text that `FROM-TO` names, so that one longer than an answer is read in parts. */
function charactersOf(text: string, range: string): string | undefined {
  const [, from, to] = /^(\d{1,9})-(\d{1,9})$/.exec(range) ?? [];
  if (from === undefined || Number(from) >= text.length) return undefined;
  return text.slice(Number(from), Number(to) + 1);
}

/** Both, laid on one another. */
function merge(one: Part, other: Part): Part {
  const [mine, its] = [entriesOf(one), entriesOf(other)];
  if (mine !== undefined && its !== undefined) {
    const all = new Entries(mine);
    for (const [at, part] of its) all.set(at, mine.has(at) ? merge(mine.get(at)!, part) : part);
    return all;
  }
  if (mine !== undefined || its !== undefined || !isKeyed(one) || !isKeyed(other)) return other;
  const both = { ...one };
  for (const [key, part] of Object.entries(other))
    both[key] = Object.hasOwn(both, key) ? merge(both[key]!, part) : part;
  return both;
}

function entriesOf(part: Part): Entries | undefined {
  if (part instanceof Entries) return part;
  return Array.isArray(part) ? new Entries(part.entries()) : undefined;
}

function isKeyed(part: Part): part is { [key: string]: Part } {
  return typeof part === "object" && part !== null && !Array.isArray(part);
}

/** The entries as a list, in their order. */
function plain(part: Part): Json {
  if (part instanceof Entries)
    return [...part].toSorted(([one], [other]) => one - other).map(([, each]) => plain(each));
  if (!isKeyed(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([key, each]) => [key, plain(each)]));
}
