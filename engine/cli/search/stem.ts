/** Words that say nothing of what is looked for. */
const STOP = new Set(
  "a all an and any are as at be been by can do does for from get got has have how i in is it its just many me much my not of on or should so still than that the there this to too us use uses using was what when where which who whom why will with you your".split(
    " ",
  ),
);

/** The stems of the words of a text: `Who blocks whom?` gives `block`. */
export function stems(text: string): string[] {
  return (
    (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
      // A letter alone is the rest of a short form, as in `can't`.
      .filter((word) => !STOP.has(word) && !/^\p{L}$/u.test(word))
      .map(stem)
  );
}

/**
 * What a word and its plural, participle and gerund have in common: `queries` and `query`, `expired` and `expire`, `dropping` and `drop`.
 * After steps 1 and 5a of M. F. Porter, "An algorithm for suffix stripping" (1980), simplified.
 */
export function stem(word: string): string {
  if (word.length <= 3) return word;
  let root = word.replace(/ies$/, "y").replace(/sses$/, "ss");
  if (!/(ss|us|is)$/.test(root)) root = root.replace(/s$/, "");
  const bare = root.replace(/(ing|ed)$/, "");
  // Without a vowel it was no ending: `string`, `shed`.
  if (bare !== root && bare.length >= 3 && /[aeiouy]/.test(bare))
    root = bare.replace(/([^aeiouylsz])\1$/, "$1");
  return root.length > 3 ? root.replace(/e$/, "").replace(/y$/, "i") : root;
}
