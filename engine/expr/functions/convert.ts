import { checkedInt, isNumber, ValueError } from "../operators.ts";
import { Duration, fromCel, typeName, type Value } from "../values.ts";

export function toInt(value: Value): bigint {
  if (typeof value === "string" && /^\s*[-+]?\d{1,20}\s*$/.test(value))
    return checkedInt(BigInt(value.trim().replace("+", "")));
  if (typeof value === "number" && Number.isFinite(value))
    return checkedInt(BigInt(Math.trunc(value)));
  if (typeof value === "bigint") return value;
  if (value instanceof Date) return BigInt(Math.trunc(value.getTime() / 1000));
  throw new ValueError(
    `${shown(value)} is not an int`,
    "int() takes a whole number as text, or a number.",
  );
}

export function toDouble(value: Value): number {
  if (isNumber(value)) return Number(value);
  const text = String(value).trim();
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return Number(text);
  throw new ValueError(
    `${shown(value)} is not a number`,
    "double() takes a number as text, or a number.",
  );
}

export function toText(value: Value): string {
  if (value instanceof Duration) return `${value.ms}ms`;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  const json = fromCel(value);
  return typeof json === "string" ? json : JSON.stringify(json);
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

/** ISO 8601, or as PostgreSQL prints it; UTC where no zone is written. */
export function timestamp(value: string): Date {
  const found =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|[-+]\d\d(?::?\d\d)?)?)?$/.exec(
      value,
    );
  const [, day, time = "00:00", zone = "Z"] = found ?? [];
  const offset =
    zone === "Z" ? zone : `${zone.slice(0, 3)}:${zone.slice(3).replace(":", "") || "00"}`;
  const date = new Date(found ? `${day}T${time}${offset}` : Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new ValueError(
    `${shown(value)} is not a timestamp`,
    "Write it as ISO 8601: 2026-02-22T10:00:00Z.",
  );
}

export const wholeOrDouble = (ms: number): bigint | number =>
  Number.isSafeInteger(ms) ? BigInt(ms) : ms;
