import { suggest } from "../../shared/suggest.ts";
import type { IndexedRunbook } from "../front.ts";
import { stems } from "./stem.ts";

/** A runbook as it is looked for. */
export type Searched = Pick<
  IndexedRunbook,
  "summary" | "description" | "tags" | "specs" | "hazards" | "risk"
> & {
  name: string;
};

/** The most that a search gives without `--full`: what is wanted stands among the first, or other words are needed. */
export const MOST_FOUND = 8;
/** The weight of a word by where it stands: what somebody wrote to be found by counts most, a parameter's description least. */
const WEIGHTS = { tags: 10, name: 8, summary: 5, params: 2, description: 2, details: 1 };
/** The part of its weight that a word has where it is only the beginning of one that stands there. */
const BEGINNING = 0.5;
/** The part of its score that keeps what does harm when it is the wrong one: of two that are as near, the look comes before the act. */
const RISKS = { read: 1, change: 0.9, disruptive: 0.75, destructive: 0.6 };
/** Words by which somebody asks for what breaks things on purpose; the family of its name is one too. */
const ON_PURPOSE = new Set(stems("drill test exercise simulate inject fault"));
/** Less than this part of the best score is noise. */
const NOISE = 0.25;
/** Of so many the part may be smaller: the nearest tag need not be what was meant. */
const FEW = { count: 3, noise: 0.08 };
/** As many are shown where no word stands in a tag, a name or a summary: nothing was meant by them. */
const GUESSES = 5;

type Field = keyof typeof WEIGHTS;
type Indexed<T> = { one: T; words: Record<Field, Set<string>>; tags: Set<string>[] };

/**
 * Those that `words` speak of, best first. A word counts by the best place where it stands and by its rarity among all (as in tf-idf:
 * the logarithm of all by those that have it); a runbook that has only some of the words loses by the share that it lacks.
 */
export function rank<T extends Searched>(all: readonly T[], words: readonly string[]): T[] {
  const indexed = all.map(indexOf);
  const vocabulary = new Set(indexed.flatMap((each) => fieldsOf(each).flatMap((set) => [...set])));
  const asked = [...new Set(stems(words.join(" ")))].map((word) => known(word, vocabulary));
  if (asked.length === 0) return [];
  const rarity = new Map(
    asked.map((word) => {
      const having = indexed.filter((each) => weightOf(each, word) > 0).length;
      return [word, Math.log(1 + all.length / Math.max(1, having))];
    }),
  );
  const scored = indexed
    .map((each) => ({ one: each.one, score: scoreOf(each, asked, rarity) }))
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score || (a.one.name < b.one.name ? -1 : 1));
  const best = scored[0]?.score ?? 0;
  const near = scored
    .filter(({ score }, place) => score >= best * (place < FEW.count ? FEW.noise : NOISE))
    .map(({ one }) => one);
  const specific = indexed.some((each) => asked.some((word) => stands(each, word)));
  const found = specific ? near : near.slice(0, GUESSES);
  // Who looks for a trouble wants its end, not what brings it about.
  return [
    ...found.filter((one) => !unasked(one, asked)),
    ...found.filter((one) => unasked(one, asked)),
  ];
}

function stands({ words }: Indexed<Searched>, word: string): boolean {
  return words.tags.has(word) || words.name.has(word) || words.summary.has(word);
}

/** True for what breaks things on purpose, unless somebody asks for that. */
function unasked({ name, hazards }: Searched, asked: readonly string[]): boolean {
  if (!hazards.includes("fault")) return false;
  const family = stems(name.split("/")[0]!);
  return !asked.some((word) => ON_PURPOSE.has(word) || family.includes(word));
}

function indexOf<T extends Searched>(one: T): Indexed<T> {
  const params = Object.entries(one.specs);
  const words = {
    tags: (one.tags ?? []).join(" "),
    name: one.name,
    summary: one.summary,
    params: params.map(([name]) => name.replaceAll("_", " ")).join(" "),
    description: one.description ?? "",
    details: params.map(([, spec]) => spec.description ?? "").join(" "),
  };
  const sets = Object.entries(words).map(([field, text]) => [field, new Set(stems(text))]);
  return {
    one,
    words: Object.fromEntries(sets) as Record<Field, Set<string>>,
    tags: (one.tags ?? []).map((tag) => new Set(stems(tag))),
  };
}

function fieldsOf({ words }: Indexed<Searched>): Set<string>[] {
  return Object.values(words);
}

/** A word that stands nowhere is taken for the nearest that does, as a slip of the hand. */
function known(word: string, vocabulary: ReadonlySet<string>): string {
  if (vocabulary.has(word) || [...vocabulary].some((each) => begins(each, word))) return word;
  // Slips leave the first letter and the length about as they were: `detach` is not `each`.
  const alike = [...vocabulary].filter(
    (each) => each[0] === word[0] && Math.abs(each.length - word.length) <= 1,
  );
  return suggest(word, alike) ?? word;
}

function begins(whole: string, word: string): boolean {
  return word.length >= 3 && whole.startsWith(word);
}

function weightOf({ words }: Indexed<Searched>, word: string): number {
  let best = 0;
  for (const [field, weight] of Object.entries(WEIGHTS)) {
    const set = words[field as Field];
    if (set.has(word)) best = Math.max(best, weight);
    else if (weight * BEGINNING > best && [...set].some((each) => begins(each, word)))
      best = weight * BEGINNING;
  }
  return best;
}

function scoreOf(
  each: Indexed<Searched>,
  asked: readonly string[],
  rarity: ReadonlyMap<string, number>,
): number {
  let score = 0;
  let matched = 0;
  for (const word of asked) {
    const weight = weightOf(each, word);
    if (weight > 0) matched++;
    score += weight * rarity.get(word)!;
  }
  // Whoever wrote the tag meant just this question.
  const meant = each.tags.some((tag) => tag.size > 0 && [...tag].every((w) => asked.includes(w)));
  return score * (matched / asked.length) ** 2 * (meant ? 2 : 1) * RISKS[each.one.risk];
}
