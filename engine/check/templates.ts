import { classify } from "../expr/languages.ts";

/** A piece of a text, and its place in it. */
export interface Piece {
  start: number;
  end: number;
}

/** The first `{{` or `${` of a condition, up to its end: CEL needs no braces. */
export function bracesIn(source: string): Piece | undefined {
  const found = /\{\{.*?(?:\}\}|$)|\$\{.*?(?:\}|$)/s.exec(source);
  return found ? { start: found.index, end: found.index + found[0].length } : undefined;
}

/** The first `${…}` inside a text that begins with one of `roots` and a dot, which no shell variable does. */
export function dollarIn(text: string, roots: ReadonlySet<string>): Piece | undefined {
  for (const found of text.matchAll(/\$\{\s*([A-Za-z_]\w*)\.[^}]*\}/g)) {
    if (roots.has(found[1]!)) return { start: found.index, end: found.index + found[0].length };
  }
  return undefined;
}

/**
 * The first template in static text. SQL arrays (`'{{1,2}}'`), Go templates (`{{.Names}}`) and shell variables (`${dir}`) are none;
 * `${…}` is one when it begins with one of `roots`, the names expressions start from.
 */
export function templateIn(text: string, roots: ReadonlySet<string>): Piece | undefined {
  if (classify(text) === "cel") return { start: 0, end: text.length };
  for (const found of text.matchAll(
    /\{\{[~#/^&{>!]*\s*@?[A-Za-z_]\w*\s*(?:\}\}|[.[\s~][^{}]*\}\})|\$\{\s*([A-Za-z_]\w*)[^}]*\}/g,
  )) {
    if (found[1] === undefined || roots.has(found[1]))
      return { start: found.index, end: found.index + found[0].length };
  }
  return undefined;
}
