const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

/** Bytes for people: three digits and a unit of 1024, `1.5 GB`. */
export function size(bytes: number): string {
  let value = Math.abs(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < BYTES.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${bytes < 0 ? "-" : ""}${short(value)} ${BYTES[unit]}`;
}

/** A change of so many bytes, `+1.5 GB`. */
export function signed(bytes: number): string {
  return `${bytes > 0 ? "+" : ""}${size(bytes)}`;
}

/** A number for people, with at most three digits that matter below a thousand. */
export function short(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}

/** Milliseconds for people: `850 µs`, `12 ms`, `3.4 s`, `5 min`, `2.3 h`, `4 d`. */
export function span(ms: number): string {
  const steps = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
    [1, "ms"],
  ] as const;
  const [factor, unit] = steps.find(([least]) => Math.abs(ms) >= least) ?? [0.001, "µs"];
  return `${short(ms / factor)} ${unit}`;
}

const MEMORY: Record<string, number> = {
  B: 1,
  kB: 1024,
  "8kB": 8192,
  "16kB": 16_384,
  MB: 1024 ** 2,
};
const TIME: Record<string, number> = { ms: 1, s: 1000, min: 60_000 };
const SHOWN_MEMORY = [
  ["TB", 1024 ** 4],
  ["GB", 1024 ** 3],
  ["MB", 1024 ** 2],
  ["kB", 1024],
  ["B", 1],
] as const;
const SHOWN_TIME = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

/** A raw value of pg_settings as SHOW gives it: in the largest unit that divides it. Source: convert_int_from_base_unit in guc.c. */
export function shown(raw: string, unit: string | null): string {
  const value = Number(raw);
  const base = unit === null ? undefined : (MEMORY[unit] ?? TIME[unit]);
  if (base === undefined || !(value > 0)) return raw;
  const all = (unit ?? "") in MEMORY ? SHOWN_MEMORY : SHOWN_TIME;
  const [name, factor] = all.find(([, each]) => Number.isInteger((value * base) / each)) ?? [
    unit,
    base,
  ];
  return `${(value * base) / factor}${name}`;
}

/** Percent of block reads that the cache answered; null when there were none. */
export function hitPercent(hit: unknown, read: unknown): number | null {
  const all = Number(hit ?? 0) + Number(read ?? 0);
  return all === 0 ? null : Math.round((10_000 * Number(hit)) / all) / 100;
}
