import { PgdbaError } from "../errors.ts";
import type { Json } from "../types.ts";
import { Duration } from "./duration.ts";
import { Timestamp } from "./timestamp.ts";
import { Uint } from "./uint.ts";
import { assertKnown } from "./unknown.ts";
import type { Work } from "./work.ts";

/** Values a result may have, long texts counting for more (one per 32 characters): about 16 MB of JSON. */
const MAX_NODES = 500_000;

/** The values that expressions compute with: an int is a bigint, a double a number. */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | Uint
  | string
  | List
  | Dict
  | Timestamp
  | Duration
  | Uint8Array
  | TypeValue;

export { Duration, Timestamp, Uint };

/** A type as a value: what `type(x)` gives and `int` stands for. */
export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/**
 * A list as expressions see it. Data handed in is converted item by item as it is read, so that an expression over
 * `row_count` never pays for 10,000 rows; a computed list holds values already.
 */
export class List {
  readonly #items: readonly unknown[];
  readonly #computed: boolean;

  private constructor(items: readonly unknown[], computed: boolean) {
    this.#items = items;
    this.#computed = computed;
  }

  static of(items: readonly Value[]): List {
    return new List(items, true);
  }

  static lift(items: readonly unknown[]): List {
    return new List(items, false);
  }

  get size(): number {
    return this.#items.length;
  }

  /** `index` must be within the list. */
  at(index: number): Value {
    const item = this.#items[index];
    return this.#computed ? (item as Value) : toCel(item ?? null);
  }

  /** True when both are made of one list, not only of equal items. */
  isSame(other: List): boolean {
    return this.#items === other.#items;
  }

  *[Symbol.iterator](): Iterator<Value> {
    for (let i = 0; i < this.size; i++) yield this.at(i);
  }
}

/** A key of a map as it is looked up: ints, uints and whole doubles of one value are one key. */
export type Key = string | boolean | bigint;

/** `value` as a key; undefined when no map can have it. */
export function keyOf(value: Value): Key | undefined {
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "bigint")
    return value;
  if (value instanceof Uint) return value.value;
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : undefined;
}

type Entry = { key: Value; value: Value };

const computedKeys = new WeakSet<object>();

/** True when an expression made this map with keys that it computed. */
export function hasComputedKeys(data: object): boolean {
  return computedKeys.has(data);
}

/** A map as expressions see it, read lazily as a `List` is. Of data only own keys exist; `__proto__` never does. */
export class Dict {
  readonly #entries: Map<Key, Entry> | null;
  readonly #data: Readonly<Record<string, unknown>>;

  /** True when its keys were computed and not written by an author: then they are data. */
  readonly computed: boolean;

  private constructor(
    entries: Map<Key, Entry> | null,
    data: Readonly<Record<string, unknown>>,
    computed: boolean,
  ) {
    this.#entries = entries;
    this.#data = data;
    this.computed = computed;
  }

  static of(entries: Map<Key, Entry>, computed = false): Dict {
    return new Dict(entries, {}, computed);
  }

  static lift(data: object): Dict {
    return new Dict(null, data as Record<string, unknown>, hasComputedKeys(data));
  }

  /** True when both are made of one map. */
  isSame(other: Dict): boolean {
    return this.#entries === other.#entries && this.#data === other.#data;
  }

  has(key: Key): boolean {
    if (this.#entries) return this.#entries.has(key);
    if (typeof key !== "string" || key === "__proto__" || !Object.hasOwn(this.#data, key))
      return false;
    const own = Object.getOwnPropertyDescriptor(this.#data, key)!;
    return own.get !== undefined || own.value !== undefined;
  }

  get(key: Key): Value | undefined {
    if (this.#entries) return this.#entries.get(key)?.value;
    if (typeof key !== "string" || key === "__proto__" || !Object.hasOwn(this.#data, key))
      return undefined;
    const value = this.#data[key];
    return value === undefined ? undefined : toCel(value);
  }

  get size(): number {
    return this.#entries ? this.#entries.size : this.names().length;
  }

  /** Its keys as values. */
  keys(): Value[] {
    return this.#entries ? Array.from(this.#entries.values(), (entry) => entry.key) : this.names();
  }

  /** Its keys as text, each once. @throws PgdbaError expression_failed where two are written alike, as 1 and '1' are */
  names(): string[] {
    if (!this.#entries) return Object.keys(this.#data).filter((key) => this.has(key));
    const names = new Set(Array.from(this.#entries.keys(), String));
    if (names.size === this.#entries.size) return [...names];
    throw new PgdbaError("expression_failed", "two keys of a map are the same as text", {
      hint: "Give a result keys of one type.",
    });
  }

  /** Visits each key as text, with its value. @throws as `names` does */
  visit(take: (name: string, value: Value) => void): void {
    if (this.#entries) {
      const names = this.names();
      let at = 0;
      for (const { value } of this.#entries.values()) take(names[at++]!, value);
      return;
    }
    for (const name of Object.keys(this.#data)) {
      const value = name === "__proto__" ? undefined : this.#data[name];
      if (value !== undefined) take(name, toCel(value));
    }
  }
}

/**
 * A JavaScript value as an expression value; lists and maps are wrapped, not copied. Safe integers become ints.
 * @throws UnknownValue · PgdbaError expression_failed for what is no data (a function, a symbol)
 */
export function toCel(value: unknown): Value {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "bigint":
      return value;
    case "number":
      return Number.isSafeInteger(value) ? BigInt(value) : value;
    case "object":
      return value === null ? null : liftObject(value);
    case "undefined":
      return null;
    default:
      throw new PgdbaError("expression_failed", `a ${typeof value} is not data`, {
        hint: "Give expressions JSON values, dates or bytes only.",
      });
  }
}

const COMPUTED = [List, Dict, Timestamp, Duration, Uint, Uint8Array, TypeValue];

function liftObject(value: object): Value {
  assertKnown(value);
  if (Array.isArray(value)) return List.lift(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return Dict.lift(value);
  if (COMPUTED.some((type) => value instanceof type)) return value as Value;
  if (value instanceof Date) {
    const timestamp = Timestamp.fromDate(value);
    if (timestamp) return timestamp;
    throw new PgdbaError("expression_failed", "a date outside the years 1 to 9999 is not data", {
      hint: "Select it as text.",
    });
  }
  if (value instanceof Set) return List.lift([...value]);
  if (value instanceof Map) {
    const entries = Array.from(value, ([given, item]): [Key, Entry] => {
      const key = keyOf(toCel(given)) ?? String(given);
      return [key, { key, value: toCel(item) }];
    });
    return Dict.of(new Map(entries));
  }
  return Dict.lift(value);
}

/**
 * An expression value as JSON: ints as numbers where exact and decimal text beyond, timestamps as RFC 3339, durations as
 * milliseconds, bytes as base64, NaN and infinities as text, a type as its name. Always a copy. `work` is charged for each value.
 * @throws PgdbaError limit_exceeded beyond `MAX_NODES` values · expression_failed for a map whose keys are alike as text
 */
export function fromCel(value: Value, work?: Work): Json {
  let left = MAX_NODES;
  const convert = (item: Value): Json => {
    work?.charge(1);
    left -= 1 + (typeof item === "string" ? item.length >> 5 : 0);
    if (left < 0) {
      throw new PgdbaError("limit_exceeded", `the result holds more than ${MAX_NODES} values`, {
        hint: "Select fewer rows or columns, or take what is needed with .map(...) or .filter(...).",
      });
    }
    if (item instanceof List) return Array.from(item, convert);
    if (item instanceof Dict) {
      const copy: { [key: string]: Json } = Object.create(null);
      item.visit((name, of) => {
        copy[name] = convert(of);
      });
      if (item.computed) computedKeys.add(copy);
      return copy;
    }
    return scalarToJson(item);
  };
  return convert(value);
}

export function scalarToJson(item: Exclude<Value, List | Dict>): Json {
  if (typeof item === "bigint" || item instanceof Uint) {
    const whole = typeof item === "bigint" ? item : item.value;
    const number = Number(whole);
    return Number.isSafeInteger(number) ? number : String(whole);
  }
  if (typeof item === "number") return Number.isFinite(item) ? item : String(item);
  if (item instanceof Timestamp) return item.toString();
  if (item instanceof Duration) return item.ms;
  if (item instanceof Uint8Array) return item.toBase64();
  return item instanceof TypeValue ? item.name : item;
}

/** The name of a value's type in messages. */
export function typeName(value: Value): string {
  if (value === null) return "null";
  if (typeof value === "bigint") return "int";
  if (typeof value === "number") return "double";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return "string";
  if (value instanceof List) return "list";
  if (value instanceof Dict) return "map";
  if (value instanceof Timestamp) return "timestamp";
  if (value instanceof Duration) return "duration";
  if (value instanceof Uint) return "uint";
  return value instanceof TypeValue ? "type" : "bytes";
}
