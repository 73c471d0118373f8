import { PgdbaError } from "../errors.ts";
import type { Json } from "../types.ts";
import { assertKnown } from "./unknown.ts";

/** Values a result may have, long texts counting for more (one per 32 characters): about 16 MB of JSON. */
const MAX_NODES = 500_000;

/** What expressions compute with: an int is a bigint, a double a number. */
export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | List
  | Dict
  | Date
  | Duration
  | Uint8Array;

export class Duration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
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

  *[Symbol.iterator](): Iterator<Value> {
    for (let i = 0; i < this.size; i++) yield this.at(i);
  }
}

/** A map as expressions see it, read lazily as a `List` is. Only own keys exist; `__proto__` never does. */
export class Dict {
  readonly #entries: Map<string, Value> | null;
  readonly #data: Readonly<Record<string, unknown>>;

  private constructor(entries: Map<string, Value> | null, data: Readonly<Record<string, unknown>>) {
    this.#entries = entries;
    this.#data = data;
  }

  static of(entries: Map<string, Value>): Dict {
    return new Dict(entries, {});
  }

  static lift(data: object): Dict {
    return new Dict(null, data as Record<string, unknown>);
  }

  has(key: string): boolean {
    if (this.#entries) return this.#entries.has(key);
    if (key === "__proto__" || !Object.hasOwn(this.#data, key)) return false;
    const own = Object.getOwnPropertyDescriptor(this.#data, key)!;
    return own.get !== undefined || own.value !== undefined;
  }

  get(key: string): Value | undefined {
    if (this.#entries) return this.#entries.get(key);
    if (key === "__proto__" || !Object.hasOwn(this.#data, key)) return undefined;
    const value = this.#data[key];
    return value === undefined ? undefined : toCel(value);
  }

  keys(): string[] {
    if (this.#entries) return [...this.#entries.keys()];
    return Object.keys(this.#data).filter((key) => this.has(key));
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

function liftObject(value: object): Value {
  assertKnown(value);
  if (Array.isArray(value)) return List.lift(value);
  if (
    value instanceof List ||
    value instanceof Dict ||
    value instanceof Date ||
    value instanceof Duration
  )
    return value;
  if (value instanceof Uint8Array) return value;
  if (value instanceof Set) return List.lift([...value]);
  if (value instanceof Map) {
    return Dict.of(new Map([...value].map(([key, item]) => [String(key), toCel(item)])));
  }
  return Dict.lift(value);
}

/**
 * An expression value as JSON: ints as numbers where exact and decimal text beyond, timestamps as ISO 8601, durations as
 * milliseconds, bytes as base64, NaN and infinities as text. Always a copy.
 * @throws PgdbaError limit_exceeded beyond `MAX_NODES` values
 */
export function fromCel(value: Value): Json {
  let left = MAX_NODES;
  const convert = (item: Value): Json => {
    left -= 1 + (typeof item === "string" ? item.length >> 5 : 0);
    if (left < 0) {
      throw new PgdbaError("limit_exceeded", `the result holds more than ${MAX_NODES} values`, {
        hint: "Select fewer rows or columns, or take what is needed with .map(...) or .filter(...).",
      });
    }
    if (item instanceof List) return Array.from(item, convert);
    if (item instanceof Dict) {
      const copy: { [key: string]: Json } = Object.create(null);
      for (const key of item.keys()) copy[key] = convert(item.get(key)!);
      return copy;
    }
    return scalarToJson(item);
  };
  return convert(value);
}

export function scalarToJson(item: Exclude<Value, List | Dict>): Json {
  if (typeof item === "bigint") {
    const number = Number(item);
    return Number.isSafeInteger(number) ? number : String(item);
  }
  if (typeof item === "number") return Number.isFinite(item) ? item : String(item);
  if (item instanceof Date)
    return Number.isNaN(item.getTime()) ? "Invalid Date" : item.toISOString();
  if (item instanceof Duration) return item.ms;
  if (item instanceof Uint8Array) return item.toBase64();
  return item;
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
  if (value instanceof Date) return "timestamp";
  return value instanceof Duration ? "duration" : "bytes";
}
