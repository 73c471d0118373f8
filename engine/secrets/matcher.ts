import type { Span } from "./innocent.ts";

export const MASK = "********";

/** A needle this long is known by any piece of it of at least twice `PIECE`, so that what was cut off or wrapped is masked too. */
const LONG = 32;
const PIECE = 16;
/** Positions are sifted by this many characters. */
const HEAD = 4;
const SIEVE_BITS = 20;

interface Needle {
  text: string;
  /** The secret that it is a piece of, and its place there; for a whole secret the secret itself. */
  whole: string;
  at: number;
}

/** Needles that begin alike, and their lengths, the longest first: as many look-ups as lengths, however many needles. */
interface Bucket {
  lengths: number[];
  /** By text; a piece may be one of several encodings that differ elsewhere. */
  needles: Map<string, Needle[]>;
}

/** Finds any number of texts in one pass over another, and puts the mask in their place. */
export class Matcher {
  readonly #byHead = new Map<number, Bucket>();
  /** A bit for each head that occurs. */
  #sieve = new Uint32Array(0);
  readonly #known = new Set<string>();

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** Shorter needles than four characters are not looked for. */
  add(text: string): void {
    if (text.length < HEAD || this.#known.has(text)) return;
    if (this.isEmpty) this.#sieve = new Uint32Array(2 ** (SIEVE_BITS - 5));
    this.#known.add(text);
    this.#insert({ text, whole: text, at: 0 });
    if (text.length < LONG) return;
    for (let at = 0; at + PIECE < text.length; at += PIECE)
      this.#insert({ text: text.slice(at, at + PIECE), whole: text, at });
    this.#insert({ text: text.slice(-PIECE), whole: text, at: text.length - PIECE });
  }

  /** True when `text` is one of the needles. */
  has(text: string): boolean {
    return this.#known.has(text);
  }

  /** `spared` tells of what was found whether it stays after all. */
  mask(text: string, spared?: (found: Span) => boolean): string {
    if (this.isEmpty || text.length < HEAD) return text;
    let out = "";
    /** Up to here the text has been handed on; the mask stands for what lies between `from` and `to`. */
    let done = 0;
    let from = -1;
    let to = -1;
    let head = 0;
    const flush = () => {
      if (from < 0) return;
      out += text.slice(done, from) + MASK;
      done = to;
    };
    for (let end = 0; end < text.length; end++) {
      head = (head >>> 8) ^ (text.charCodeAt(end) << 24);
      const start = end - HEAD + 1;
      if (start < 0 || !this.#sifted(head)) continue;
      const needles = this.#longestAt(text, start, head);
      if (!needles) continue;
      const { left, right } = widest(text, needles, start, done);
      if (spared?.({ from: left, to: right })) continue;
      if (left < to) {
        from = Math.min(from, left);
        to = Math.max(to, right);
      } else {
        flush();
        from = left;
        to = right;
      }
    }
    if (from < 0) return text;
    flush();
    return out + text.slice(done);
  }

  /** The number of characters at the end of `text` that begin a needle whose rest was cut off. */
  cutAtEnd(text: string): number {
    let longest = 0;
    for (const needle of this.#known) {
      for (let length = Math.min(needle.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(needle.slice(0, length))) longest = length;
      }
    }
    return longest >= HEAD ? longest : 0;
  }

  /** The same at the beginning, for a needle whose beginning was cut off. */
  cutAtStart(text: string): number {
    let longest = 0;
    for (const needle of this.#known) {
      for (let length = Math.min(needle.length - 1, text.length); length > longest; length--) {
        if (text.startsWith(needle.slice(-length))) longest = length;
      }
    }
    return longest >= HEAD ? longest : 0;
  }

  #insert(needle: Needle): void {
    const head = headOf(needle.text);
    const bit = sieveBit(head);
    this.#sieve[bit >>> 5]! |= 1 << (bit & 31);
    let bucket = this.#byHead.get(head);
    if (!bucket) this.#byHead.set(head, (bucket = { lengths: [], needles: new Map() }));
    const same = bucket.needles.get(needle.text);
    if (same) same.push(needle);
    else bucket.needles.set(needle.text, [needle]);
    if (bucket.lengths.includes(needle.text.length)) return;
    bucket.lengths.push(needle.text.length);
    bucket.lengths.sort((a, b) => b - a);
  }

  /** The longest, so that an encoding is not left half masked by a shorter one that it contains. */
  #longestAt(text: string, start: number, head: number): Needle[] | undefined {
    const bucket = this.#byHead.get(head);
    for (const length of bucket?.lengths ?? []) {
      const needles = bucket!.needles.get(text.slice(start, start + length));
      if (needles) return needles;
    }
    return undefined;
  }

  #sifted(head: number): boolean {
    const bit = sieveBit(head);
    return (this.#sieve[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }
}

function headOf(text: string): number {
  let head = 0;
  for (let at = 0; at < HEAD; at++) head = (head >>> 8) ^ (text.charCodeAt(at) << 24);
  return head;
}

function sieveBit(head: number): number {
  return Math.imul(head, 0x9e3779b1) >>> (32 - SIEVE_BITS);
}

/** As far as the text goes on like any of what the needle is a piece of. */
function widest(text: string, needles: readonly Needle[], start: number, floor: number) {
  let left = start;
  let right = start;
  for (const needle of needles) {
    const found = extended(text, needle, start, floor);
    left = Math.min(left, found.left);
    right = Math.max(right, found.right);
  }
  return { left, right };
}

function extended(text: string, { text: piece, whole, at }: Needle, start: number, floor: number) {
  let left = start;
  let right = start + piece.length;
  let before = at;
  let after = at + piece.length;
  while (after < whole.length && text[right] === whole[after]) {
    right++;
    after++;
  }
  while (before > 0 && left > floor && text[left - 1] === whole[before - 1]) {
    left--;
    before--;
  }
  return { left, right };
}
