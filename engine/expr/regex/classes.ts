import { RegexError } from "./error.ts";

/** Tells whether a character, given as its code point, is one of those that are meant. */
export type Test = (code: number) => boolean;
/** A part of a class: ranges of code points, or a property of Unicode as JavaScript writes it; or all but these. */
export interface Part {
  ranges?: readonly (readonly [number, number])[];
  property?: string;
  negated?: boolean;
}

const DIGIT = [[48, 57]] as const;
const UPPER = [[65, 90]] as const;
const LOWER = [[97, 122]] as const;
const WORD = [...DIGIT, ...UPPER, [95, 95], ...LOWER] as const;

/** `\d`, `\s` and `\w` are of ASCII, and `\s` has no vertical tab. */
export const PERL: Record<string, Part["ranges"]> = {
  __proto__: null as never,
  d: DIGIT,
  s: [
    [9, 10],
    [12, 13],
    [32, 32],
  ],
  w: WORD,
};

export const POSIX: Record<string, Part["ranges"]> = {
  __proto__: null as never,
  alnum: [...DIGIT, ...UPPER, ...LOWER],
  alpha: [...UPPER, ...LOWER],
  ascii: [[0, 127]],
  blank: [
    [9, 9],
    [32, 32],
  ],
  cntrl: [
    [0, 31],
    [127, 127],
  ],
  digit: DIGIT,
  graph: [[33, 126]],
  lower: LOWER,
  print: [[32, 126]],
  punct: [
    [33, 47],
    [58, 64],
    [91, 96],
    [123, 126],
  ],
  space: [
    [9, 13],
    [32, 32],
  ],
  upper: UPPER,
  word: WORD,
  xdigit: [...DIGIT, [65, 70], [97, 102]],
};

const CATEGORIES =
  "Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs".split(
    " ",
  );

/** `\p{name}`: a general category or a script of Unicode. @throws RegexError */
export function property(name: string): Part {
  if (name === "Any") return { ranges: [[0, 0x10ffff]] };
  if (name === "C") return { property: "\\p{Cc}\\p{Cf}\\p{Co}\\p{Cs}" };
  const source = CATEGORIES.includes(name) ? `\\p{${name}}` : `\\p{Script=${name}}`;
  try {
    if (/^\w+$/.test(name) && new RegExp(`[${source}]`, "u")) return { property: source };
  } catch {
    // said below
  }
  throw new RegexError(`Unicode has no category or script ${name}`);
}

export const isWord = (code: number): boolean => code < 128 && isWordTest(code);

type Ranges = NonNullable<Part["ranges"]>;

/** Tests whether a code point is in one of the ranges, in time logarithmic in their number. */
function within(ranges: Ranges): Test {
  const starts: number[] = [];
  const ends: number[] = [];
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    const last = ends.length - 1;
    if (last >= 0 && from <= ends[last]! + 1) ends[last] = Math.max(ends[last]!, to);
    else {
      starts.push(from);
      ends.push(to);
    }
  }
  return (code) => {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= code) low = middle + 1;
      else high = middle;
    }
    return low > 0 && code <= ends[low - 1]!;
  };
}

const isWordTest = within(WORD);
const MAX_KNOWN = 512;

/** Tests for the characters that the parts match together, or for all others (`negated`); with `fold`, without regard to case. */
export function testOf(parts: readonly Part[], negated: boolean, fold: boolean): Test {
  const tests = [
    ...unionOf(
      parts.filter((part) => part.negated !== true),
      fold,
    ),
    ...parts
      .filter((part) => part.negated === true)
      .flatMap((part) =>
        unionOf([part], fold).map(
          (test): Test =>
            (code) =>
              !test(code),
        ),
      ),
  ];
  const test: Test = (code) => tests.some((one) => one(code)) !== negated;
  const ascii = Uint8Array.from({ length: 128 }, (_, code) => Number(test(code)));
  const known = new Map<number, boolean>();
  return (code) => {
    if (code < 128) return ascii[code] === 1;
    let result = known.get(code);
    if (result !== undefined) return result;
    result = test(code);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(code, result);
    return result;
  };
}

const MAX_FOLDED = 500;
const folded = new Map<number, Test>();

/** A character without regard to case; remembered. */
export function foldedTest(code: number): Test {
  let test = folded.get(code);
  if (!test) {
    test = testOf([{ ranges: [[code, code]] }], false, true);
    if (folded.size >= MAX_FOLDED) folded.clear();
    folded.set(code, test);
  }
  return test;
}

function unionOf(parts: readonly Part[], fold: boolean): Test[] {
  if (parts.length === 0) return [];
  const ranges = parts.flatMap((part) => part.ranges ?? []);
  const properties = parts.flatMap((part) => part.property ?? []);
  if (!fold && properties.length === 0) return [within(ranges)];
  // A class of JavaScript's own tests one character: it knows Unicode's tables, and can't take long.
  const source = ranges.map(([from, to]) => `${escaped(from)}-${escaped(to)}`).join("");
  const native = new RegExp(`^[${source}${properties.join("")}]$`, fold ? "iu" : "u");
  return [(code) => native.test(String.fromCodePoint(code))];
}

const escaped = (code: number): string => `\\u{${code.toString(16)}}`;
