import { PgdbaError } from "../../../engine/errors.ts";

export const MB = 1024;
export const GB = 1024 * MB;
const TB = 1024 * GB;

const KB_PER_UNIT: Record<string, number> = {
  b: 1 / 1024,
  kb: 1,
  mb: MB,
  gb: GB,
  tb: TB,
  pb: 1024 * TB,
};

/**
 * kB in the largest unit that loses nothing, GB at most, as PGTune and postgresql.conf write it: `1536MB`, `17475kB`.
 * @param kb whole, in units of 1024 bytes
 */
export function formatKb(kb: number): string {
  if (kb % GB === 0) return `${kb / GB}GB`;
  if (kb % MB === 0) return `${kb / MB}MB`;
  return `${kb}kB`;
}

/** kB to one decimal of the unit that reads best, for sentences: `11.2GB`. */
export function roughKb(kb: number): string {
  const [unit, name] =
    kb >= TB ? [TB, "TB"] : kb >= GB ? [GB, "GB"] : kb >= MB ? [MB, "MB"] : [1, "kB"];
  return `${Math.round((kb / unit) * 10) / 10}${name}`;
}

/**
 * `64GB`, `1.5GB`, `512MiB`, `8589934592` (bytes) to whole kB, rounded down; 1024-based like PostgreSQL.
 * @throws PgdbaError invalid_param
 */
export function parseKb(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?(b))?\s*$/i.exec(text);
  const perUnit = match && KB_PER_UNIT[`${match[2]}b`.toLowerCase()];
  if (!match || perUnit === undefined || perUnit === null) {
    throw new PgdbaError("invalid_param", `"${text}" is not an amount of memory`, {
      hint: "Write a number and a unit: 64GB, 1.5GB, 512MB. A bare number is bytes.",
    });
  }
  return Math.floor(Number(match[1]) * perUnit);
}
