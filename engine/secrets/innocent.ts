import { KNOWN_WORDS } from "./known-words.ts";

/** A piece of a text, from its first character to the one after its last. */
export interface Span {
  from: number;
  to: number;
}

/** A secret that may well be a word of its own, or a name. */
const WORD = /^[a-z]{4,11}$/;
/** What goes on with a path: a colon, a quote or a blank ends it. */
const PATH = /[\w.%@+/-]/;
/** By so many letters a word is longer than a secret that merely stands in it: one alone may be a flag, as in `-pSECRET`. */
const LONGER = 2;

/**
 * The places where the paths of a text stand that everybody knows who sees it, such as the state folder. A mask in one would hide nothing, and tell which part
 * of it is the secret. What stands below a folder counts as far as the path goes, for secrets that are words: there it is a name that pgdba gave.
 */
export function placesIn(text: string, folders: Iterable<string>): (Span & { below: number })[] {
  const spans: (Span & { below: number })[] = [];
  for (const folder of folders)
    for (let from = text.indexOf(folder); from >= 0; from = text.indexOf(folder, from + 1)) {
      const to = from + folder.length;
      if (from > 0 && PATH.test(text[from - 1]!)) continue;
      if (to < text.length && text[to] !== "/" && PATH.test(text[to]!)) continue;
      let below = to;
      while (below < text.length && PATH.test(text[below]!)) below++;
      spans.push({ from, to, below });
    }
  return spans;
}

/** True where `found` lies in one of the places; it must be a part of it, never the whole. */
export function inPlace(
  text: string,
  found: Span,
  places: readonly (Span & { below: number })[],
): boolean {
  const isWord = WORD.test(text.slice(found.from, found.to));
  return places.some(
    ({ from, to, below }) => found.from > from && found.to <= (isWord ? below : to),
  );
}

/**
 * True where `found`, a word, is a part of a longer one: "exam" of "example". That says no more than the longer word, and a mask in a word that everybody knows
 * would tell the secret. Only for texts that pgdba itself has written: elsewhere somebody may have put letters beside a secret.
 */
export function inWord(text: string, found: Span): boolean {
  if (!WORD.test(text.slice(found.from, found.to))) return false;
  const { from, to } = around(text, found);
  return to - from >= found.to - found.from + LONGER;
}

/**
 * True where `found`, a word, is a part of a longer one that every server has in its names: "repl" of "max_logical_replication_workers". In any text, for the whole longer word
 * must be known: letters that somebody has put beside a secret make none.
 */
export function inKnownWord(text: string, found: Span): boolean {
  if (!WORD.test(text.slice(found.from, found.to))) return false;
  const { from, to } = around(text, found);
  return to - from > found.to - found.from && KNOWN_WORDS.has(text.slice(from, to));
}

function around(text: string, { from, to }: Span): Span {
  let start = from;
  let end = to;
  while (start > 0 && isLetter(text[start - 1]!)) start--;
  while (end < text.length && isLetter(text[end]!)) end++;
  return { from: start, to: end };
}

/** Keys of data under which names stand. */
const NAME_KEYS =
  /^(?:name|(?:\w+_)?(?:owner|user|role|member|database|schema)s?|rolname|usename|datname|grantee|grantor|member_of|made_by|runs_as)$/;

/** True for a key under which a name stands, such as `owners`. */
export function isNameKey(key: string): boolean {
  return NAME_KEYS.test(key);
}

/** A flag of pgdba whose value is a name. */
const NAMES = /(?:^|\s)--(?:user|database|host|cluster)[ =]'?$/;
/** Longer than any of them. */
const FLAG = 16;

/**
 * True where `found`, a word, is the name that a flag of pgdba's own command gives: the user postgres, whose password is the same word. A mask there would tell
 * that it is, and leave a command that nobody can run. Only for texts that pgdba itself has written.
 */
export function isNamed(text: string, { from, to }: Span): boolean {
  if (!WORD.test(text.slice(from, to)) || (text[to] !== undefined && !/[\s'`]/.test(text[to])))
    return false;
  return NAMES.test(text.slice(Math.max(0, from - FLAG), from));
}

function isLetter(char: string): boolean {
  return char >= "a" && char <= "z";
}
