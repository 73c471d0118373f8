import type { Work } from "../work.ts";
import { isWord, type Test } from "./classes.ts";
import { RegexError } from "./error.ts";
import { type Assertion, PatternParser, type Tree } from "./parser.ts";

export { RegexError } from "./error.ts";

export const MAX_PATTERN = 2000;
const MAX_STATES = 10_000;
/** Steps from state to state that are one unit of work. */
const STEPS = 8;
const CHARGED_AT_ONCE = 4096;

/** A character is read; the condition must hold; go on at either or both of two states. */
type Op =
  | { op: "char"; test: Test }
  | { op: "assert"; kind: Assertion }
  | { op: "split"; first: number; second: number };

/** The program of a pattern: states that are numbered in the order of the pattern; its end is their count. */
function compile(tree: Tree): Op[] {
  const program: Op[] = [];
  const push = <T extends Op>(op: T): T => {
    if (program.length >= MAX_STATES) throw new RegexError("its repetitions are too large");
    program.push(op);
    return op;
  };
  const split = (): Op & { op: "split" } => {
    const next = program.length + 1;
    return push({ op: "split", first: next, second: next });
  };
  const alternatives = (items: Tree[]): void => {
    const exits: { first: number; second: number }[] = [];
    for (const [i, item] of items.entries()) {
      const choice = i < items.length - 1 ? split() : undefined;
      emit(item);
      if (!choice) break;
      exits.push(split());
      choice.second = program.length;
    }
    for (const exit of exits) exit.first = exit.second = program.length;
  };
  const repeat = (item: Tree, min: number, max: number): void => {
    for (let i = 0; i < min; i++) emit(item);
    const forks: { second: number }[] = [];
    if (max === Infinity) {
      const start = program.length;
      forks.push(split());
      emit(item);
      const back = split();
      back.first = back.second = start;
    }
    for (let i = min; i < max && max !== Infinity; i++) {
      forks.push(split());
      emit(item);
    }
    for (const fork of forks) fork.second = program.length;
  };
  const emit = (node: Tree): void => {
    if (node.op === "seq") for (const item of node.items) emit(item);
    else if (node.op === "alt") alternatives(node.items);
    else if (node.op === "repeat") repeat(node.item, node.min, node.max);
    else push(node);
  };
  emit(tree);
  return program;
}

/**
 * Regular expressions that can't hang: a Thompson NFA run over all states at once (R. Cox, "Regular Expression Matching
 * Can Be Simple And Fast", 2007), so the time is pattern length x text length whatever the pattern. The syntax is RE2's.
 */
export class Regex {
  /** The number of states. */
  readonly size: number;
  /** The test of each state that reads a character. */
  readonly #tests: (Test | undefined)[];
  readonly #assertions: (Assertion | undefined)[];
  readonly #first: Int32Array;
  readonly #second: Int32Array;
  readonly #now: States;
  readonly #next: States;
  readonly #stack: Int32Array;

  /** @throws RegexError for what is not supported or too long */
  constructor(pattern: string) {
    if (pattern.length > MAX_PATTERN)
      throw new RegexError(`it is longer than ${MAX_PATTERN} characters`);
    const program = compile(new PatternParser(pattern).parse());
    this.size = program.length;
    this.#tests = program.map((op) => (op.op === "char" ? op.test : undefined));
    this.#assertions = program.map((op) => (op.op === "assert" ? op.kind : undefined));
    this.#first = Int32Array.from(program, (op, i) => (op.op === "split" ? op.first : i + 1));
    this.#second = Int32Array.from(program, (op, i) => (op.op === "split" ? op.second : i + 1));
    this.#now = new States(this.size + 1);
    this.#next = new States(this.size + 1);
    this.#stack = new Int32Array(2 * this.size + 2);
  }

  /** True when the pattern matches anywhere in `text`. */
  test(text: string, work: Work): boolean {
    let now = this.#now;
    let next = this.#next;
    let steps = text.length;
    now.clear();
    for (let pos = 0; ;) {
      this.#follow(0, text, pos, now);
      const isFound = now.has(this.size);
      if (isFound || pos >= text.length) {
        work.charge(Math.ceil(steps / STEPS));
        return isFound;
      }
      const code = text.codePointAt(pos)!;
      pos += code > 0xffff ? 2 : 1;
      next.clear();
      for (let i = 0; i < now.size; i++) {
        const state = now.items[i]!;
        if (this.#tests[state]?.(code) === true) this.#follow(state + 1, text, pos, next);
      }
      steps += now.size;
      [now, next] = [next, now];
      if (steps < CHARGED_AT_ONCE) continue;
      work.charge(Math.ceil(steps / STEPS));
      steps = 0;
    }
  }

  /** Adds every state that is reached from `start` without reading. */
  #follow(start: number, text: string, pos: number, states: States): void {
    const stack = this.#stack;
    let top = 0;
    stack[top++] = start;
    while (top > 0) {
      const state = stack[--top]!;
      if (!states.add(state) || state === this.size || this.#tests[state]) continue;
      const assertion = this.#assertions[state];
      if (assertion !== undefined && !holds(assertion, text, pos)) continue;
      const first = this.#first[state]!;
      const second = this.#second[state]!;
      if (second !== first) stack[top++] = second;
      stack[top++] = first;
    }
  }
}

/** A set of states in the order they were added, emptied at no cost. */
class States {
  readonly items: Int32Array;
  readonly #places: Int32Array;
  size = 0;

  constructor(count: number) {
    this.items = new Int32Array(count);
    this.#places = new Int32Array(count);
  }

  clear(): void {
    this.size = 0;
  }

  has(state: number): boolean {
    const place = this.#places[state]!;
    return place < this.size && this.items[place] === state;
  }

  /** False when it was in already. */
  add(state: number): boolean {
    if (this.has(state)) return false;
    this.#places[state] = this.size;
    this.items[this.size++] = state;
    return true;
  }
}

function holds(kind: Assertion, text: string, pos: number): boolean {
  switch (kind) {
    case "textStart":
      return pos === 0;
    case "textEnd":
      return pos === text.length;
    case "lineStart":
      return pos === 0 || text[pos - 1] === "\n";
    case "lineEnd":
      return pos === text.length || text[pos] === "\n";
    default: {
      const before = pos > 0 && isWord(text.charCodeAt(pos - 1));
      const after = pos < text.length && isWord(text.charCodeAt(pos));
      return (before !== after) === (kind === "word");
    }
  }
}
