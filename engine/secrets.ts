import { encodings } from "./secrets/encodings.ts";
import {
  inKnownWord,
  inPlace,
  inWord,
  isNamed,
  isNameKey,
  placesIn,
  type Span,
} from "./secrets/innocent.ts";
import { MASK, Matcher } from "./secrets/matcher.ts";
import { passwordsIn } from "./secrets/passwords.ts";
import { OURS, redactEnvelope, redactRecord } from "./secrets/records.ts";
import type { Envelope, JsonSchema } from "./types.ts";

/** Below this a value would mask ordinary words; such a secret is still refused in argv. */
const SHORTEST_MASKED = 4;
/** Lines of a longer value, such as a key, that count by themselves. */
const SHORTEST_LINE = 12;
/** Smaller numbers stand everywhere. */
const SMALLEST_NUMBER = 100_000;
/** Texts of sensitive outputs that are looked for in all encodings, in characters altogether, and texts that are looked for at all. */
const MAX_ENCODED = 32 * 1024;
const MAX_VALUES = 50_000;

/** Begins the commands in findings and answers. */
const OWN_COMMAND = "pgdba ";

/** Lines of base64 or hex, as programs break them. It begins where such a text does, so that a long one is gone through once. */
const WRAPPED = /(?<![\w+/-])(?:[\w+/-]{40,}\r?\n[ \t]*)+[\w+/=-]+/g;

/** Keeps the values that must appear in no artifact, and masks them in text and data on the way out. */
export class Secrets {
  #values = new Set<string>();
  /** The secrets: masked in names as well. */
  #secrets = new Matcher();
  /** The sensitive outputs: no name is masked for them. */
  #sensitive = new Matcher();
  /** The secrets as they are, whatever their length. */
  #exact = new Set<string>();
  #encoded = 0;
  /** Folders that are no secret, whatever words are in their names. */
  #folders = new Set<string>();

  /** Names that whoever runs pgdba has given, such as the user. */
  #names = new Set<string>();

  /** This name stays where a name stands in data, though a secret is the same word: it was said beside it. */
  addName(name: string): void {
    this.#names.add(name);
  }

  /** Paths of this folder, which whoever runs pgdba has named, stay as they are. */
  addFolder(path: string): void {
    if (path.startsWith("/") && path.length > SHORTEST_MASKED) this.#folders.add(path);
  }

  /** Registers `value` and the forms it takes in other encodings; each line of a longer value counts too. */
  add(value: string): void {
    if (value === "") return;
    this.#exact.add(value);
    if (this.#values.has(value)) return;
    this.#values.add(value);
    const lines = value
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line.length >= SHORTEST_LINE);
    for (const part of [value, value.trim(), ...lines])
      if (part.length >= SHORTEST_MASKED)
        for (const form of encodings(part)) this.#secrets.add(form);
  }

  /** Registers the passwords that stand in a text, such as a URI on the command line or in the environment. */
  addFrom(text: string): void {
    for (const password of passwordsIn(text)) {
      this.add(password);
      // A short one would mask ordinary words anywhere else.
      if (password.length < SHORTEST_MASKED) this.add(`:${password}@`);
    }
  }

  /** Registers every text inside `data`, for the output of a step marked sensitive, but what its schema says are names. */
  addData(data: unknown, schema?: JsonSchema): void {
    if (schema?.["x-names"]) return;
    if (typeof data === "string") this.#addText(data);
    else if (typeof data === "number" || typeof data === "bigint") {
      if (data >= SMALLEST_NUMBER || data <= -SMALLEST_NUMBER) this.#addText(String(data));
    } else if (Array.isArray(data)) {
      for (const item of data) this.addData(item, schema?.items);
    } else if (data !== null && typeof data === "object") {
      for (const [key, item] of Object.entries(data)) this.addData(item, schema?.properties?.[key]);
    }
  }

  #addText(text: string): void {
    if (text.trim().length < SHORTEST_MASKED || this.#values.has(text)) return;
    if (this.#values.size >= MAX_VALUES) return;
    this.#values.add(text);
    this.#encoded += text.length;
    const forms =
      this.#encoded > MAX_ENCODED ? [text, JSON.stringify(text).slice(1, -1)] : encodings(text);
    for (const form of [...forms, text.trim()]) this.#sensitive.add(form);
  }

  /** True when `text` holds a registered value as it is. */
  exposedIn(text: string): boolean {
    for (const value of this.#values) if (text.includes(value)) return true;
    return false;
  }

  /** True when `text` holds a registered value in any form. */
  heldIn(text: string): boolean {
    return this.exposedIn(text) || this.redact(text) !== text;
  }

  redact(text: string): string {
    return this.#redact(text, () => false);
  }

  /**
   * The same for a text that pgdba itself has written, such as a hint: a secret that is a short word is no part of a longer one there, and not the name of a
   * user or a database in a command.
   */
  redactOurs(text: string): string {
    return this.#redact(text, (whole, found) => inWord(whole, found) || isNamed(whole, found));
  }

  #redact(text: string, innocent: (text: string, found: Span) => boolean): string {
    const whole = this.#unwrapped(text);
    const places = this.#secrets.isEmpty ? [] : placesIn(whole, this.#folders);
    const masked = this.#secrets.mask(
      whole,
      (found) =>
        inPlace(whole, found, places) || inKnownWord(whole, found) || innocent(whole, found),
    );
    return this.#sensitive.mask(this.#withoutCut(masked));
  }

  /** Lines into which base64 or hex was broken are put together where they hold a secret, which may go over the end of one. */
  #unwrapped(text: string): string {
    if (this.#isEmpty || !text.includes("\n")) return text;
    return text.replace(WRAPPED, (lines) => {
      const whole = lines.replaceAll(/\s+/g, "");
      const masked = this.#sensitive.mask(this.#secrets.mask(whole));
      return masked === whole ? lines : masked;
    });
  }

  /** A text whose rest was dropped, without the part of a secret that may stand at the cut. */
  withoutCut(text: string, side: "start" | "end"): string {
    const length = side === "end" ? this.#secrets.cutAtEnd(text) : this.#secrets.cutAtStart(text);
    return side === "end" ? text.slice(0, text.length - length) : text.slice(length);
  }

  /** An ellipsis shows that a text was cut, perhaps in the middle of a secret. */
  #withoutCut(text: string): string {
    if (this.#secrets.isEmpty || !text.includes("…")) return text;
    const parts = text.split("…");
    return parts
      .map((part, index) => {
        // A blank may stand before the ellipsis.
        const blank = index < parts.length - 1 && part.endsWith(" ") ? 1 : 0;
        const begun = part.slice(0, part.length - blank);
        const found = index < parts.length - 1 ? this.#secrets.cutAtEnd(begun) : 0;
        const end = found > 0 ? found + blank : 0;
        const start = index > 0 ? this.#secrets.cutAtStart(part) : 0;
        const kept = part.slice(start, Math.max(start, part.length - end));
        return `${start > 0 ? MASK : ""}${kept}${end > 0 ? MASK : ""}`;
      })
      .join("…");
  }

  /** A deep copy of JSON-like data with every string and key masked; the same object when there is nothing to mask. */
  redactData<T>(data: T): T {
    if (this.#isEmpty) return data;
    return this.#walk(data) as T;
  }

  /** An event, an error or another record of ours: its texts and its data masked, its keys, ids, states and codes as they are. */
  redactRecord<T>(record: T): T {
    return this.#isEmpty ? record : redactRecord(this, record);
  }

  redactEnvelope(envelope: Envelope): Envelope {
    return this.#isEmpty ? envelope : redactEnvelope(this, envelope);
  }

  get #isEmpty(): boolean {
    return this.#exact.size === 0 && this.#secrets.isEmpty && this.#sensitive.isEmpty;
  }

  /** @param key under which it stands, or the list that it is in */
  #walk(value: unknown, under?: string): unknown {
    if (typeof value === "string" && under !== undefined)
      if (this.#names.has(value) && isNameKey(under)) return value;
    // A value that is the secret and nothing else is masked however short it is.
    if (typeof value === "string") {
      if (this.#exact.has(value)) return MASK;
      return value.startsWith(OWN_COMMAND) ? this.#redact(value, isNamed) : this.redact(value);
    }
    if (typeof value === "number" || typeof value === "bigint")
      return this.#values.has(String(value)) && String(value).length >= SHORTEST_MASKED
        ? MASK
        : value;
    if (Array.isArray(value)) return value.map((item) => this.#walk(item, under));
    if (value === null || typeof value !== "object") return value;
    const out: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value)) {
      const shown = OURS.has(key)
        ? key
        : this.#secrets.mask(key, (found) => inKnownWord(key, found));
      // Two keys that look alike once masked stay two.
      const free = Object.hasOwn(out, shown) ? `${shown} (${Object.keys(out).length})` : shown;
      out[free] = this.#walk(item, key);
    }
    return out;
  }
}
