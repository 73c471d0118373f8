/** Width in terminal cells; CJK and emoji count two. Escape sequences count nothing. */
export function width(text: string): number {
  return Bun.stringWidth(text);
}

/** Pads with blanks to `cells`, on the right or, with `right`, on the left. */
export function pad(text: string, cells: number, right = false): string {
  const blanks = " ".repeat(Math.max(0, cells - width(text)));
  return right ? blanks + text : text + blanks;
}

/** Lines of at most `cells`, broken at blanks where that is possible. All parts of a line keep its indentation. */
export function wrap(text: string, cells: number): string[] {
  return text.split("\n").flatMap((line) => {
    if (width(line) <= cells) return [line];
    const margin = (/^ */.exec(line)?.[0] ?? "").slice(0, Math.floor(cells / 2));
    return indent(
      Bun.wrapAnsi(line.trimStart(), cells - margin.length, { hard: true }).split("\n"),
      margin,
    );
  });
}

/** Lines of a list of names with their meanings, none wider than `cells`: what is too long goes on below where the meaning began. */
export function hang(text: string, cells: number): string {
  return text
    .split("\n")
    .flatMap((line) => {
      if (width(line) <= cells) return [line];
      const gap = [...line.matchAll(/\S {2,}(?=\S)/g)].at(-1);
      const at = gap === undefined ? 0 : gap.index + gap[0].length;
      if (at === 0) return wrap(line, cells);
      // If the names take all the room, their meanings stand below them.
      if (at > cells - 16)
        return [line.slice(0, at).trimEnd(), ...indent(wrap(line.slice(at), cells - 6), "      ")];
      const [first = "", ...rest] = wrap(line.slice(at), cells - at);
      return [line.slice(0, at) + first, ...indent(rest, " ".repeat(at))];
    })
    .join("\n");
}

/** Shortens to `cells`, ending in an ellipsis when something was cut. */
export function clip(text: string, cells: number): string {
  if (width(text) <= cells) return text;
  let kept = "";
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    used += width(segment);
    if (used > cells - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** The largest of any number of values, at least 0; spreading a long list into `Math.max` overflows the stack. */
export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

/** `1 step`, `2 steps`; `many` for a word that does not just take an s. */
export { amount as count } from "../shared/amount.ts";

/** Puts `prefix` before each line. */
export function indent(lines: string[], prefix: string): string[] {
  return lines.map((line) => (line === "" ? "" : prefix + line));
}

/**
 * Text that can't steer a terminal: control characters (all but the newline), bidirectional marks and a blank of no width are shown as escapes.
 * Data of a database goes through this, or a row could clear the screen or forge a line.
 */
export function printable(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replaceAll("\t", "  ")
    .replace(CONTROL, (character) => {
      const code = character.charCodeAt(0);
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
    });
}

const CONTROL =
  // oxlint-disable-next-line no-control-regex -- they are what it is looking for
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** As `printable`, on one line. */
export function singleLine(text: string): string {
  return printable(text)
    .replace(/\s*\n\s*/g, " ")
    .trim();
}

/** Time that goes by, in whole seconds: `7s`, `2m05s`. */
export function elapsed(ms: number): string {
  return ms < 59_950 ? `${Math.floor(ms / 1000)}s` : duration(ms);
}

/** `850ms`, `1.2s`, `2m05s`, `1h03m`. */
export function duration(ms: number): string {
  if (ms < 1) return "<1ms";
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h${two(Math.floor((seconds % 3600) / 60))}m`;
}
