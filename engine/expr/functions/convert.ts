import { checkedInt, checkedUint, isNumber, ValueError } from "../operators.ts";
import { Dict, Duration, fromCel, List, Timestamp, typeName, Uint, type Value } from "../values.ts";
import type { Work } from "../work.ts";

export function toInt(value: Value): bigint {
  if (typeof value === "string" && /^[-+]?\d{1,20}$/.test(value))
    return checkedInt(BigInt(value.replace("+", "")));
  // The doubles at the limits may have been rounded to them: only numbers surely within 2^63 and -2^63 are taken.
  if (typeof value === "number" && Math.abs(value) < 2 ** 63) return BigInt(Math.trunc(value));
  if (typeof value === "bigint") return value;
  if (value instanceof Uint) return checkedInt(value.value);
  if (value instanceof Timestamp) return value.seconds;
  throw new ValueError(
    `${shown(value)} is not an int`,
    "int() takes a whole number as text, a number of at most 64 bits, or a timestamp.",
  );
}

export function toUint(value: Value): Uint {
  if (typeof value === "string" && /^\d{1,20}$/.test(value)) return checkedUint(BigInt(value));
  if (typeof value === "number" && value >= 0 && value < 2 ** 64)
    return new Uint(BigInt(Math.trunc(value)));
  if (typeof value === "bigint") return checkedUint(value);
  if (value instanceof Uint) return value;
  throw new ValueError(
    `${shown(value)} is not a uint`,
    "uint() takes a whole number from 0 as text, or a number from 0.",
  );
}

const NAMED: Record<string, number> = {
  __proto__: null as never,
  nan: Number.NaN,
  inf: Infinity,
  infinity: Infinity,
};

export function toDouble(value: Value): number {
  if (isNumber(value)) return Number(value instanceof Uint ? value.value : value);
  if (typeof value === "string" && value.length <= 400) {
    const [, sign, text] = /^([-+]?)(.*)$/s.exec(value)!;
    const number = /^(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text!)
      ? finite(Number(text))
      : NAMED[text!.toLowerCase()];
    if (number !== undefined) return sign === "-" ? -number : number;
  }
  throw new ValueError(
    `${shown(value)} is not a number`,
    "double() takes a number as text, or a number.",
  );
}

const finite = (number: number): number | undefined =>
  Number.isFinite(number) ? number : undefined;

const TRUTH: Record<string, boolean> = {
  __proto__: null as never,
  ...Object.fromEntries(["1", "t", "true", "True", "TRUE"].map((text) => [text, true])),
  ...Object.fromEntries(["0", "f", "false", "False", "FALSE"].map((text) => [text, false])),
};

export function toBool(value: boolean | string): boolean {
  const found = typeof value === "string" ? TRUTH[value] : value;
  if (found !== undefined) return found;
  throw new ValueError(`${shown(value)} is not a bool`, "bool() takes 'true' or 'false'.");
}

/** A value as text; lists and maps as JSON. @throws ValueError for bytes that are not UTF-8 */
export function toText(value: Value, work: Work): string {
  if (typeof value === "string") return value;
  if (value instanceof Duration) return value.toString();
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Uint8Array) {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    } catch {
      throw new ValueError("the bytes are not UTF-8", "Only bytes that are text can become text.");
    }
  }
  const json = fromCel(value, work);
  const text =
    value instanceof List || value instanceof Dict || typeof json !== "string"
      ? JSON.stringify(json)
      : json;
  work.text(text.length);
  return text;
}

/** A value in a message. */
export const shown = (value: Value): string =>
  typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : `a ${typeName(value)}`;

export function round(value: bigint | number, digits: bigint): number | bigint {
  if (typeof value === "bigint") return value;
  if (digits < 0n || digits > 15n)
    throw new ValueError("round() takes 0 to 15 digits", "Write round(x, 2).");
  const factor = 10 ** Number(digits);
  const scaled = Math.round(Math.abs(value) * factor) / factor; // half away from zero, like PostgreSQL's numeric
  return Number.isFinite(scaled) ? Math.sign(value) * scaled : value;
}

export function roundToInt(value: bigint | number): bigint {
  const rounded = round(value, 0n);
  if (!Number.isFinite(Number(rounded)))
    throw new ValueError("round() of a number that is not finite", "Guard the division before it.");
  return checkedInt(BigInt(rounded));
}

export const wholeOrDouble = (ms: number): bigint | number =>
  Number.isSafeInteger(ms) ? BigInt(ms) : ms;

/** A point in time from text, or from seconds since 1970. @throws ValueError */
export const toTimestamp = (value: string | bigint | Timestamp): Timestamp => {
  if (value instanceof Timestamp) return value;
  return typeof value === "string" ? Timestamp.parse(value) : Timestamp.of(value * 1_000_000_000n);
};
