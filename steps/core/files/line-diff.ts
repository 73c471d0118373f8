import { amount } from "../../../engine/shared/amount.ts";
/** Above this many cells the middle is shown as all removed, then all added, rather than compared line by line. */
const MAX_CELLS = 250_000;

/**
 * The lines that differ, `-` before those of `before` and `+` before those of `after`, at most `limit` of them; unchanged
 * runs are one `…` line. Longest common subsequence, after the common head and tail are taken off.
 */
export function lineDiff(before: string, after: string, limit = 50): string {
  const a = lines(before);
  const b = lines(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail))
    tail++;
  const changes = middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const shown = changes.slice(0, limit);
  if (changes.length > limit) shown.push(`… ${amount(changes.length - limit, "more line")}`);
  return shown.join("\n");
}

function lines(text: string): string[] {
  const all = text.split("\n");
  if (all.at(-1) === "") all.pop();
  else all.push("\\ no newline at the end");
  return text === "" ? [] : all;
}

function middle(a: string[], b: string[]): string[] {
  if (a.length * b.length > MAX_CELLS)
    return [...a.map((line) => `-${line}`), ...b.map((line) => `+${line}`)];
  const width = b.length + 1;
  // common[i * width + j]: length of the longest common subsequence of a[i..] and b[j..].
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const out: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      if (out.at(-1) !== "…") out.push("…");
      i++;
      j++;
    } else if (
      i < a.length &&
      (j === b.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      out.push(`-${a[i++]}`);
    } else {
      out.push(`+${b[j++]}`);
    }
  }
  return out;
}
