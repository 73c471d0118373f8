/**
 * The candidate nearest to a mistyped word, for "did you mean".
 * Distance is Damerau-Levenshtein (optimal string alignment); nothing further than max(1, a third of the word) is offered.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  // No name of ours is longer; keeps hostile input from costing len² per candidate.
  if (word.length > 200) return undefined;
  let limit = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > limit) continue;
    const d = distance(word, candidate, limit);
    if (d > limit || (best !== undefined && d === limit)) continue;
    best = candidate;
    limit = d;
  }
  return best;
}

/** The distance, or some number above `limit` once it can only be above it. */
function distance(a: string, b: string, limit: number): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let d = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        d = Math.min(d, before[j - 2]! + 1);
      }
      row.push(d);
    }
    if (Math.min(...row) > limit && Math.min(...previous) > limit) return limit + 1;
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
