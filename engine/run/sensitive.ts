import { hasComputedKeys } from "../expr/values.ts";
import { MASK } from "../secrets/matcher.ts";
import type { Json, JsonObject, Variables } from "../types.ts";

/** Notes whether an expression has read what no artifact may hold: what is made of that may not stand in one either. */
export interface Watch {
  read: boolean;
  /** The same of a secret parameter: what is computed from it, not what a program or a server answers to it. */
  secret?: boolean;
}

/** Sensitive data beside the outputs of steps. */
export interface Hidden {
  /** Everything: inside of a block or a loop that is sensitive. */
  all: boolean;
  params: ReadonlySet<string>;
  /** Parameters that are secrets. */
  secrets: ReadonlySet<string>;
  /** Loop variables. */
  extra: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();
export const NOTHING_HIDDEN: Hidden = { all: false, params: NONE, secrets: NONE, extra: NONE };

const results = new WeakSet<object>();

/** Says of a result, as expressions see it, that its output is sensitive. */
export function markSensitive(result: object): void {
  results.add(result);
}

export function isSensitive(result: unknown): boolean {
  return typeof result === "object" && result !== null && results.has(result);
}

/** `data` with some of its values noting that they were read; the same object when there is nothing to note. */
export function watching<T extends object>(
  data: T,
  names: ReadonlySet<string>,
  note: () => void,
): T {
  if (names.size === 0) return data;
  const seen = Object.create(Object.getPrototypeOf(data) as object | null) as T;
  for (const [name, { value, get: before }] of Object.entries(
    Object.getOwnPropertyDescriptors(data),
  )) {
    const read = (): unknown => (before ? before.call(data) : value);
    const get = () => {
      note();
      return read();
    };
    Object.defineProperty(
      seen,
      name,
      names.has(name)
        ? { get, enumerable: true, configurable: true }
        : before
          ? { get: read, enumerable: true, configurable: true }
          : { value, enumerable: true, configurable: true },
    );
  }
  return seen;
}

const OUTPUT: ReadonlySet<string> = new Set(["output"]);

/** The results of steps, with the sensitive outputs among them watched: that a step ended well is no secret. */
export function watchedSteps(
  steps: Record<string, unknown>,
  watch: Watch,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(steps).map(([id, result]) => [
      id,
      isSensitive(result) ? watching(result as object, OUTPUT, () => (watch.read = true)) : result,
    ]),
  );
}

/** More variables, without reading those there are. */
export function withMore(vars: Variables, more: Variables | undefined): Variables {
  if (!more) return vars;
  const merged = Object.defineProperties({}, Object.getOwnPropertyDescriptors(vars)) as Variables;
  return Object.defineProperties(merged, Object.getOwnPropertyDescriptors(more)) as Variables;
}

/** The shape of data without any of its values; keys that were computed are values too. */
export function withoutValues(value: Json): Json {
  if (value === null) return null;
  if (typeof value !== "object" || hasComputedKeys(value)) return MASK;
  if (Array.isArray(value)) return value.map(withoutValues);
  const out: JsonObject = {};
  for (const [key, item] of Object.entries(value)) out[key] = withoutValues(item);
  return out;
}
