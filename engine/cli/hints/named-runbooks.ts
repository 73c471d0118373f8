import type { Library, ParamSpec } from "../../types.ts";
import { paramFlags, parseFlags } from "../args.ts";
import type { Front, IndexedRunbook } from "../front.ts";
import { outlineOf } from "../outline.ts";

/** The words behind `pgdba` that may be the name of a runbook. */
const NAMED = /pgdba (?:run |show )?([a-z][\w/-]*(?: [a-z][\w-]*){0,2})/g;

/** The runbooks that commands in the text may be of, and those of `more`. */
export async function runbooksNamedIn(
  front: Front,
  libraryOf: () => Library,
  text: string,
  more: readonly string[] = [],
): Promise<ReadonlyMap<string, IndexedRunbook>> {
  const named = new Set(more);
  for (const [, first] of text.matchAll(NAMED))
    for (let words = first!.split(" "); words.length > 0; words = words.slice(0, -1))
      named.add(words.join("/"));
  const runbooks = new Map<string, IndexedRunbook>();
  if (named.size === 0) return runbooks;
  const library = libraryOf();
  for (const entry of library.entries("runbook")) {
    if (!named.has(entry.name)) continue;
    // Nobody can call one that does not compile.
    const outline = await outlineOf(front, library, entry).catch(() => undefined);
    if (outline !== undefined) runbooks.set(entry.name, outline);
  }
  return runbooks;
}

/** The runbook that the words behind `pgdba` call, and the words behind its name. */
export function runbookOf(
  words: readonly string[],
  runbooks: ReadonlyMap<string, IndexedRunbook>,
): { name: string; outline: IndexedRunbook; behind: readonly string[] } | null {
  const skip = words[0] === "run" ? 1 : 0;
  const counts = skip === 1 ? [1] : [3, 2];
  const nameOf = (count: number): string => words.slice(skip, skip + count).join("/");
  const count = counts.find((n) => words.length >= skip + n && runbooks.has(nameOf(n)));
  if (count === undefined) return null;
  const name = nameOf(count);
  return { name, outline: runbooks.get(name)!, behind: words.slice(skip + count) };
}

/** True where the last of the words is no flag and no value of one; `bare` says how many of them are neither. */
export function endsBare(
  words: readonly string[],
  bare: number,
  specs: Record<string, ParamSpec>,
): boolean {
  if (bare === 0) return false;
  try {
    return parseFlags(words.slice(0, -1), paramFlags(specs)).words.length < bare;
  } catch {
    // A flag lacks its value without it.
    return false;
  }
}
