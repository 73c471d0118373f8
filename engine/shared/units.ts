import { PgdbaError } from "../errors.ts";

const MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTE_UNITS = ["b", "k", "m", "g", "t", "p"];

function refuse(what: string, text: unknown, examples: string): never {
  const shown = typeof text === "string" ? JSON.stringify(text.slice(0, 60)) : typeof text;
  throw new PgdbaError("invalid_param", `${shown} is not ${what}`, {
    hint: `Write it like ${examples}.`,
  });
}

/** Milliseconds of `500ms`, `30s`, `5m`, `1h30m`, `2d`, `1.5s`. @throws PgdbaError invalid_param */
export function parseDuration(text: string): number {
  const bad = (): never => refuse("a duration", text, "500ms, 30s, 5m, 1h30m or 2d");
  if (typeof text !== "string" || text.length > 60) return bad();
  let total = 0;
  let used = 0;
  for (const part of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy)) {
    total += Number(part[1]) * MS[part[2]!]!;
    used += part[0].length;
  }
  if (used === 0 || used !== text.length || !Number.isSafeInteger(Math.round(total))) return bad();
  return total;
}

/**
 * Bytes of `8kB`, `1MB`, `1.5GB`, `100` or `16MiB`. 1024-based whichever way it is spelt, like PostgreSQL's memory units.
 * @throws PgdbaError invalid_param
 */
export function parseBytes(text: string): number {
  const bad = (): never => refuse("a size", text, "512kB, 1MB or 1.5GB");
  if (typeof text !== "string" || text.length > 60) return bad();
  const found = /^(\d+(?:\.\d+)?)\s*(?:([kmgtp])?(?:i?b)?)$/i.exec(text);
  if (!found) return bad();
  const bytes = Math.round(
    Number(found[1]) * 1024 ** BYTE_UNITS.indexOf((found[2] ?? "b").toLowerCase()),
  );
  return Number.isSafeInteger(bytes) ? bytes : bad();
}

const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];

/** For people: three digits. */
export function formatBytes(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1024 && unit < SIZES.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${SIZES[unit]}`;
}

/** Byte position in the WAL of an LSN such as `0/16B3748`. @throws PgdbaError invalid_param */
export function parseLsn(text: string): bigint {
  const found = typeof text === "string" && /^([0-9a-f]{1,8})\/([0-9a-f]{1,8})$/i.exec(text);
  if (!found) return refuse("an LSN", text, "0/16B3748");
  const [high, low] = [Number.parseInt(found[1]!, 16), Number.parseInt(found[2]!, 16)];
  // Exact as a number up to 8 PB of WAL, and a list of backups parses thousands.
  if (high < 0x20_0000) return BigInt(high * 0x1_0000_0000 + low);
  return (BigInt(high) << 32n) + BigInt(low);
}
