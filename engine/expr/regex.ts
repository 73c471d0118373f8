import type { Work } from "./work.ts";

/**
 * Regular expressions that can't hang: a Thompson NFA run over all states at once (R. Cox, "Regular Expression Matching
 * Can Be Simple And Fast", 2007), so the time is pattern length x text length whatever the pattern. The syntax is the part
 * that RE2 and JavaScript share; back-references and look-around need backtracking and are refused.
 */
type Test = (code: number) => boolean;
type Op =
  | { op: "char"; test: Test }
  | { op: "split"; to: number[] }
  | { op: "assert"; kind: "start" | "end" | "word" | "inside" };
type Tree =
  | { op: "char"; test: Test }
  | { op: "assert"; kind: "start" | "end" | "word" | "inside" }
  | { op: "seq"; items: Tree[] }
  | { op: "alt"; items: Tree[] }
  | { op: "repeat"; item: Tree; min: number; max: number };

const MAX_PATTERN = 500;
const MAX_STATES = 2000;
const MAX_DEPTH = 50;

export class RegexError extends Error {}

const isDigit: Test = (c) => c >= 48 && c <= 57;
const isWord: Test = (c) => isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95;
const isSpace: Test = (c) => (c >= 9 && c <= 13) || c === 32;
const CLASSES: Record<string, Test> = {
  d: isDigit,
  w: isWord,
  s: isSpace,
  D: (c) => !isDigit(c),
  W: (c) => !isWord(c),
  S: (c) => !isSpace(c),
};
const CONTROL: Record<string, string> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v" };

class PatternParser {
  readonly #text: string;
  #pos = 0;
  #depth = 0;
  #fold = false;

  constructor(text: string) {
    this.#text = text;
    if (text.startsWith("(?i)")) {
      this.#fold = true;
      this.#pos = 4;
    }
  }

  parse(): Tree {
    const tree = this.#alternatives();
    if (this.#pos < this.#text.length) throw new RegexError("there is a ) too many");
    return tree;
  }

  #peek(): string {
    return this.#text[this.#pos] ?? "";
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#pos)) return false;
    this.#pos += text.length;
    return true;
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
    while (this.#pos < this.#text.length && this.#peek() !== "|" && this.#peek() !== ")") {
      items.push(this.#quantified(this.#atom()));
    }
    return { op: "seq", items };
  }

  #quantified(item: Tree): Tree {
    const range = this.#quantifier();
    if (!range) return item;
    this.#take("?"); // lazy or greedy is the same when only asked whether it matches
    if (this.#quantifier()) throw new RegexError("a quantifier can't follow a quantifier");
    return { op: "repeat", item, ...range };
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#take("*")) return { min: 0, max: Infinity };
    if (this.#take("+")) return { min: 1, max: Infinity };
    if (this.#take("?")) return { min: 0, max: 1 };
    const found = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.#text.slice(this.#pos, this.#pos + 12));
    if (!found) return undefined;
    this.#pos += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? Infinity : Number(found[3]);
    if (max < min) throw new RegexError(`${found[0]} counts backwards`);
    return { min, max };
  }

  #atom(): Tree {
    const char = this.#peek();
    this.#pos++;
    if (char === "(") return this.#group();
    if (char === "[") return { op: "char", test: this.#class() };
    if (char === ".") return { op: "char", test: (c) => c !== 10 && c !== 13 };
    if (char === "^") return { op: "assert", kind: "start" };
    if (char === "$") return { op: "assert", kind: "end" };
    if (char === "\\") {
      if (this.#take("b")) return { op: "assert", kind: "word" };
      if (this.#take("B")) return { op: "assert", kind: "inside" };
      return { op: "char", test: this.#escape() };
    }
    if ("*+?".includes(char)) throw new RegexError(`nothing stands before ${char}`);
    return { op: "char", test: this.#literal(char) };
  }

  #group(): Tree {
    if (this.#take("?") && !this.#take(":")) {
      throw new RegexError(
        "look-around and named groups are not supported; (?:...) and a leading (?i) are",
      );
    }
    const tree = this.#alternatives();
    if (!this.#take(")")) throw new RegexError("a ( is not closed");
    return tree;
  }

  #escape(): Test {
    const char = this.#peek();
    this.#pos++;
    if (CLASSES[char]) return CLASSES[char];
    return this.#literal(this.#escaped(char));
  }

  #escaped(char: string): string {
    if (CONTROL[char]) return CONTROL[char];
    if (char === "") throw new RegexError("it ends in a backslash");
    if (/[0-9]/.test(char)) throw new RegexError("back-references are not supported");
    if (/[a-z]/i.test(char)) throw new RegexError(`\\${char} is not supported`);
    return char;
  }

  #literal(char: string): Test {
    return this.#range(char.charCodeAt(0), char.charCodeAt(0));
  }

  #range(from: number, to: number): Test {
    const within: Test = (c) => c >= from && c <= to;
    if (!this.#fold) return within;
    return (c) => {
      const char = String.fromCharCode(c);
      return (
        within(c) ||
        within(char.toLowerCase().charCodeAt(0)) ||
        within(char.toUpperCase().charCodeAt(0))
      );
    };
  }

  #class(): Test {
    const negated = this.#take("^");
    const tests: Test[] = [];
    while (!this.#take("]")) {
      if (this.#pos >= this.#text.length) throw new RegexError("a [ is not closed");
      const from = this.#classItem();
      if (typeof from !== "string") {
        tests.push(from);
        continue;
      }
      const isRange = this.#peek() === "-" && !["]", ""].includes(this.#text[this.#pos + 1] ?? "");
      if (isRange) this.#pos++;
      const to = isRange ? this.#classItem() : from;
      if (typeof to !== "string" || to < from)
        throw new RegexError("a range in [...] runs backwards");
      tests.push(this.#range(from.charCodeAt(0), to.charCodeAt(0)));
    }
    return (c) => tests.some((test) => test(c)) !== negated;
  }

  #classItem(): string | Test {
    const char = this.#peek();
    this.#pos++;
    if (char !== "\\") return char;
    const next = this.#peek();
    this.#pos++;
    return CLASSES[next] ?? (next === "b" ? "\b" : this.#escaped(next));
  }
}

export class Regex {
  readonly #program: Op[] = [];

  /** @throws RegexError for what is not supported or too long */
  constructor(pattern: string) {
    if (pattern.length > MAX_PATTERN)
      throw new RegexError(`it is longer than ${MAX_PATTERN} characters`);
    this.#emit(new PatternParser(pattern).parse());
  }

  #push(op: Op): number {
    if (this.#program.length >= MAX_STATES) throw new RegexError("its repetitions are too large");
    return this.#program.push(op) - 1;
  }

  #split(): { op: "split"; to: number[] } {
    const op = { op: "split" as const, to: [] };
    this.#push(op);
    return op;
  }

  #emit(tree: Tree): void {
    if (tree.op === "seq") for (const item of tree.items) this.#emit(item);
    else if (tree.op === "alt") this.#alternatives(tree.items);
    else if (tree.op === "repeat") this.#repeat(tree.item, tree.min, tree.max);
    else this.#push(tree);
  }

  #alternatives(items: Tree[]): void {
    const choice = this.#split();
    const exits: { to: number[] }[] = [];
    for (const item of items) {
      choice.to.push(this.#program.length);
      this.#emit(item);
      exits.push(this.#split());
    }
    for (const exit of exits) exit.to.push(this.#program.length);
  }

  #repeat(item: Tree, min: number, max: number): void {
    for (let i = 0; i < min; i++) {
      this.#split().to.push(this.#program.length); // counts empty copies too, so that ((){999}){999} is refused
      this.#emit(item);
    }
    if (max === Infinity) {
      const start = this.#program.length;
      const loop = this.#split();
      loop.to.push(this.#program.length);
      this.#emit(item);
      this.#split().to.push(start);
      loop.to.push(this.#program.length);
      return;
    }
    const skips: { to: number[] }[] = [];
    for (let i = min; i < max; i++) {
      const skip = this.#split();
      skip.to.push(this.#program.length);
      skips.push(skip);
      this.#emit(item);
    }
    for (const skip of skips) skip.to.push(this.#program.length);
  }

  /** Whether the pattern matches anywhere in `text`. Charges `work` ahead for the worst case. */
  test(text: string, work: Work): boolean {
    work.charge(Math.ceil((this.#program.length * (text.length + 1)) / 8));
    const end = this.#program.length;
    let states = new Set<number>();
    for (let pos = 0; ; pos++) {
      this.#follow(0, text, pos, states);
      if (states.has(end)) return true;
      if (pos === text.length) return false;
      const next = new Set<number>();
      const code = text.charCodeAt(pos);
      for (const state of states) {
        const op = this.#program[state];
        if (op?.op === "char" && op.test(code)) this.#follow(state + 1, text, pos + 1, next);
      }
      states = next;
    }
  }

  /** Adds every state that is reached from `first` without reading. */
  #follow(first: number, text: string, pos: number, states: Set<number>): void {
    const open = [first];
    while (open.length > 0) {
      const state = open.pop()!;
      if (states.has(state)) continue;
      states.add(state);
      const op = this.#program[state];
      if (op?.op === "split") open.push(...op.to);
      else if (op?.op === "assert" && holds(op.kind, text, pos)) open.push(state + 1);
    }
  }
}

function holds(kind: "start" | "end" | "word" | "inside", text: string, pos: number): boolean {
  if (kind === "start") return pos === 0;
  if (kind === "end") return pos === text.length;
  const before = pos > 0 && isWord(text.charCodeAt(pos - 1));
  const after = pos < text.length && isWord(text.charCodeAt(pos));
  return (before !== after) === (kind === "word");
}
