import { type Edit, rewrite, type Rewritten, unchanged } from "./rewrite.ts";

/** Key words that are types; all other names of types are names to the scanner. */
const TYPES = new Set(
  `bigint bit boolean char character dec decimal float int integer interval json name nchar numeric precision real smallint text
   time timestamp varchar varying xml zone`.split(/\s+/),
);
/** The words that can stand before another to make a type of both: `double precision`, `character varying`. */
const BEFORE: Record<string, readonly string[]> = {
  precision: ["double"],
  varying: ["bit", "char", "character", "nchar"],
  char: ["national"],
  character: ["national"],
};
const UNITS = new Set("year month day hour minute second".split(" "));
/** The major version from which `extract` is a function of its own (numeric), not a way to write `date_part` (double precision). */
const EXTRACT = 14;

interface Token {
  /** In lower case but for quoted names. */
  word: string;
  kind: string;
  from: number;
  to: number;
}

/**
 * A statement as the grammar takes it. pg_stat_statements puts `$1` where a constant stood, also where only a constant may stand: the
 * literals of types (`interval $1 day`, `date $1`) become casts, `extract($1 from d)` the function behind it.
 */
export async function spelt(sql: string, major: number): Promise<Rewritten> {
  const source = unchanged(sql);
  if (!hasParameters(sql)) return source;
  const tokens = await tokensOf(sql);
  const edits = tokens.flatMap((token, at): Edit[] => {
    if (token.kind !== "PARAM") return [];
    const edit = fieldEdit(tokens, at, major) ?? literalEdit(sql, tokens, at);
    return edit === null ? [] : [edit];
  });
  return edits.length === 0 ? source : rewrite(source, edits);
}

/** True when `sql` may hold parameters; a `$1` inside of a string does no harm. */
export function hasParameters(sql: string): boolean {
  return /\$\d/.test(sql);
}

/** A text that the scanner refuses has none. */
async function tokensOf(sql: string): Promise<Token[]> {
  const { loadModule, scanSync } = await import("libpg-query");
  await loadModule();
  try {
    const bytes = Buffer.from(sql);
    const isAscii = bytes.length === sql.length;
    const offset = (byte: number): number =>
      isAscii ? byte : bytes.subarray(0, byte).toString().length;
    return scanSync(sql)
      .tokens.filter(({ tokenName }) => !tokenName.endsWith("_COMMENT"))
      .map(({ start, end, tokenName }) => {
        const [from, to] = [offset(start), offset(end)];
        return { word: sql.slice(from, to).toLowerCase(), kind: tokenName, from, to };
      });
  } catch {
    return [];
  }
}

function fieldEdit(tokens: readonly Token[], at: number, major: number): Edit | null {
  const [call, open] = [tokens[at - 2], tokens[at - 1]];
  const behind = tokens[at + 1];
  if (call?.word !== "extract" || open?.word !== "(" || behind?.word !== "from") return null;
  const name = major >= EXTRACT ? '"extract"' : "date_part";
  return { from: call.from, to: behind.to, text: `pg_catalog.${name}(${tokens[at]?.word},` };
}

/** `type $1`, with what may follow an interval. */
function literalEdit(sql: string, tokens: readonly Token[], at: number): Edit | null {
  const first = typeBefore(tokens, at);
  if (first === null) return null;
  const type = sql.slice(tokens[first]?.from, tokens[at - 1]?.to);
  let last = at;
  if (tokens[first]?.word === "interval") {
    const isUnit = (n: number): boolean => UNITS.has(tokens[n]?.word ?? "");
    if (isUnit(last + 1)) last++;
    if (last > at && tokens[last + 1]?.word === "to" && isUnit(last + 2)) last += 2;
    if (last > at && tokens[last + 1]?.word === "(") last += 3;
  }
  const [from, to] = [tokens[first]?.from ?? 0, tokens[last]?.to ?? 0];
  return { from, to, text: `CAST(${tokens[at]?.word} AS ${type})` };
}

/** The first token of the name of a type that ends before a token. No column and no alias stands there. */
function typeBefore(tokens: readonly Token[], at: number): number | null {
  const word = (n: number): string => tokens[n]?.word ?? "";
  const start = (end: number): number => {
    if (word(end) !== ")") return end;
    let open = end - 1;
    while (tokens[open]?.kind === "ICONST" || word(open) === ",") open--;
    return word(open) === "(" ? open - 1 : end;
  };
  let n = start(at - 1);
  const token = tokens[n];
  if (token === undefined) return null;
  if (token.kind !== "IDENT" && !TYPES.has(token.word)) return null;
  if (token.word === "zone") {
    // `AT TIME ZONE $1` is no type.
    if (word(n - 1) !== "time" || !/^with(out)?$/.test(word(n - 2))) return null;
    n = start(n - 3);
    return ["time", "timestamp"].includes(word(n)) ? n : null;
  }
  if (token.word === "precision" && word(n - 1) !== "double") return null;
  while (BEFORE[word(n)]?.includes(word(n - 1)) === true) n--;
  while (word(n - 1) === "." && n >= 2) n -= 2;
  return n;
}
