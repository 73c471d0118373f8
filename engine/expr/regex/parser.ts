import { foldedTest, type Part, PERL, POSIX, property, type Test, testOf } from "./classes.ts";
import { RegexError } from "./error.ts";

export type Assertion = "textStart" | "textEnd" | "lineStart" | "lineEnd" | "word" | "inside";
export type Tree =
  | { op: "char"; test: Test }
  | { op: "assert"; kind: Assertion }
  | { op: "seq"; items: Tree[] }
  | { op: "alt"; items: Tree[] }
  | { op: "repeat"; item: Tree; min: number; max: number };

interface Flags {
  fold: boolean;
  lines: boolean;
  dotAll: boolean;
}

const MAX_DEPTH = 200;
const MAX_COPIES = 1000;
const CONTROL: Record<string, number> = {
  __proto__: null as never,
  a: 7,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};
const ASSERTIONS: Record<string, Assertion> = {
  __proto__: null as never,
  A: "textStart",
  z: "textEnd",
  b: "word",
  B: "inside",
};

/** Parses RE2's syntax. What only says which of several matches is meant, such as `*?` or a group's name, is read and left out. */
export class PatternParser {
  readonly #text: string;
  readonly #names = new Set<string>();
  #pos = 0;
  #depth = 0;
  #flags: Flags = { fold: false, lines: false, dotAll: false };

  constructor(text: string) {
    this.#text = text;
  }

  /** @throws RegexError */
  parse(): Tree {
    const tree = this.#alternatives();
    if (this.#pos < this.#text.length) throw new RegexError("there is a ) too many");
    checkCopies(tree, MAX_COPIES);
    return tree;
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#pos)) return false;
    this.#pos += text.length;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#pos;
    const found = pattern.exec(this.#text);
    if (found) this.#pos += found[0].length;
    return found;
  }

  /** The next character, as a code point. */
  #next(missing: string): number {
    const code = this.#text.codePointAt(this.#pos);
    if (code === undefined) throw new RegexError(missing);
    this.#pos += code > 0xffff ? 2 : 1;
    return code;
  }

  #alternatives(): Tree {
    if (++this.#depth > MAX_DEPTH) throw new RegexError("the groups are nested too deep");
    const items = [this.#sequence()];
    while (this.#take("|")) items.push(this.#sequence());
    this.#depth--;
    return items.length === 1 ? items[0]! : { op: "alt", items };
  }

  #sequence(): Tree {
    const items: Tree[] = [];
    let isRepeated = false;
    while (this.#pos < this.#text.length && !/[|)]/.test(this.#text[this.#pos]!)) {
      const start = this.#pos;
      const range = this.#quantifier();
      if (!range) {
        items.push(...this.#atom());
        isRepeated = false;
        continue;
      }
      const written = this.#text.slice(start, this.#pos);
      this.#take("?"); // lazy or greedy is the same when only asked whether it matches
      if (isRepeated) throw new RegexError(`${written} can't follow another repetition`);
      const item = items.pop();
      if (!item) throw new RegexError(`nothing stands before ${written}`);
      items.push({ op: "repeat", item, ...range });
      isRepeated = true;
    }
    return { op: "seq", items };
  }

  /** `*`, `+`, `?` or `{n,m}`; a `{` that begins none is a character. */
  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Infinity };
    if (this.#take("+")) return { min: 1, max: Infinity };
    if (this.#take("?")) return { min: 0, max: 1 };
    const found = this.#match(/\{(0|[1-9]\d*)(,(0|[1-9]\d*)?)?\}/y);
    if (!found) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? Infinity : Number(found[3]);
    if (max < min) throw new RegexError(`${found[0]} counts backwards`);
    if (min > MAX_COPIES || (max > MAX_COPIES && max !== Infinity))
      throw new RegexError(`${found[0]} repeats more than ${MAX_COPIES} times`);
    return { min, max };
  }

  #atom(): Tree[] {
    if (this.#take("(")) return this.#group();
    if (this.#take("[")) return [{ op: "char", test: this.#class() }];
    if (this.#take(".")) {
      const { dotAll } = this.#flags;
      return [{ op: "char", test: (code) => dotAll || code !== 10 }];
    }
    if (this.#take("^"))
      return [{ op: "assert", kind: this.#flags.lines ? "lineStart" : "textStart" }];
    if (this.#take("$")) return [{ op: "assert", kind: this.#flags.lines ? "lineEnd" : "textEnd" }];
    if (this.#take("\\Q")) {
      const end = this.#text.indexOf("\\E", this.#pos);
      const literal = this.#text.slice(this.#pos, end === -1 ? undefined : end);
      this.#pos += literal.length + (end === -1 ? 0 : 2);
      return Array.from(literal, (char) => this.#literal(char.codePointAt(0)!));
    }
    const assertion = this.#match(/\\([AzbB])/y)?.[1];
    if (assertion !== undefined) return [{ op: "assert", kind: ASSERTIONS[assertion]! }];
    const part = this.#classEscape();
    if (part) return [{ op: "char", test: testOf([part], false, this.#flags.fold) }];
    return [this.#literal(this.#character("it ends too early"))];
  }

  #literal(code: number): Tree {
    const { fold } = this.#flags;
    return { op: "char", test: fold ? foldedTest(code) : (one) => one === code };
  }

  #group(): Tree[] {
    const outer = this.#flags;
    if (this.#take("?")) {
      const named = this.#match(/P?<(\w+)>/y)?.[1];
      if (named !== undefined && this.#names.has(named))
        throw new RegexError(`two groups are called ${named}`);
      if (named !== undefined) this.#names.add(named);
      else if (this.#changeFlags() === ")") return [];
    }
    const tree = this.#alternatives();
    if (!this.#take(")")) throw new RegexError("a ( is not closed");
    this.#flags = outer;
    return [tree];
  }

  /** `i:` or `m-s)` of a group; gives how it ends. */
  #changeFlags(): string {
    const found = this.#match(/([imsU]*)(?:-([imsU]+))?([:)])/y);
    if (!found)
      throw new RegexError("look-around is not supported; (?:...), (?i), (?s), (?m) and names are");
    const [, on = "", off = "", end] = found;
    const { fold, lines, dotAll } = this.#flags;
    const now = (letter: string, before: boolean): boolean =>
      !off.includes(letter) && (before || on.includes(letter));
    this.#flags = { fold: now("i", fold), lines: now("m", lines), dotAll: now("s", dotAll) };
    return end!;
  }

  /** A character as it stands, or after a backslash. */
  #character(missing: string): number {
    const code = this.#next(missing);
    return code === 92 ? this.#escape() : code;
  }

  #escape(): number {
    const octal = this.#match(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y)?.[0];
    if (octal !== undefined) return Number.parseInt(octal, 8);
    const [, two, braced] = this.#match(/x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]+)\})/y) ?? [];
    const hex = two ?? braced;
    if (hex !== undefined) {
      const code = Number.parseInt(hex, 16);
      if (code > 0x10ffff) throw new RegexError(`\\x{${hex}} is no character of Unicode`);
      return code;
    }
    const char = String.fromCodePoint(this.#next("it ends in a backslash"));
    if (CONTROL[char] !== undefined) return CONTROL[char];
    if (/[1-9]/.test(char)) throw new RegexError("back-references are not supported");
    if (/[\dA-Za-z]/.test(char) || char > "\x7f")
      throw new RegexError(`\\${char} is not supported`);
    return char.charCodeAt(0);
  }

  /** `\d`, `\W`, `\pL`, `\P{Greek}` and their like. */
  #classEscape(): Part | undefined {
    const perl = this.#match(/\\([dswDSW])/y)?.[1];
    if (perl !== undefined) {
      const ranges = PERL[perl.toLowerCase()]!;
      return { ranges, negated: perl !== perl.toLowerCase() };
    }
    const [, letter, negation, long, short] =
      this.#match(/\\([pP])(?:\{(\^?)([^}]*)\}|([^{\\]))/uy) ?? [];
    if (letter === undefined) return undefined;
    return { ...property(long ?? short!), negated: (letter === "P") !== (negation === "^") };
  }

  #class(): Test {
    const missing = "a [ is not closed";
    const negated = this.#take("^");
    const parts: Part[] = [];
    for (let isFirst = true; isFirst || !this.#take("]"); isFirst = false) {
      const part = this.#named() ?? this.#classEscape();
      if (part) {
        parts.push(part);
        continue;
      }
      const from = this.#character(missing);
      const isRange = /-[^\]]/y;
      isRange.lastIndex = this.#pos;
      let to = from;
      if (isRange.test(this.#text)) {
        this.#pos++;
        to = this.#character(missing);
      }
      if (to < from) throw new RegexError("a range in [...] runs backwards");
      parts.push({ ranges: [[from, to]] });
    }
    return testOf(parts, negated, this.#flags.fold);
  }

  /** `[:alpha:]` within a class. */
  #named(): Part | undefined {
    const [whole, negation, name] = this.#match(/\[:(\^?)([^]*?):\]/y) ?? [];
    if (name === undefined) return undefined;
    const ranges = POSIX[name];
    if (!ranges) throw new RegexError(`there is no class ${whole}`);
    return { ranges, negated: negation === "^" };
  }
}

/** Repetitions within repetitions multiply. @throws RegexError where they give more than `left` copies */
function checkCopies(tree: Tree, left: number): void {
  if (tree.op === "char" || tree.op === "assert") return;
  if (tree.op !== "repeat") {
    for (const item of tree.items) checkCopies(item, left);
    return;
  }
  const copies = tree.max === Infinity ? tree.min : tree.max;
  if (copies > left) throw new RegexError(`its repetitions make more than ${MAX_COPIES} copies`);
  checkCopies(tree.item, copies > 1 ? Math.floor(left / copies) : left);
}
