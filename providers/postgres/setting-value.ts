/** The rules for a setting's values, from `pg_settings`. */
export interface ValueRules {
  name: string;
  vartype: "bool" | "integer" | "real" | "enum" | "string";
  /** Base unit such as `8kB`, `ms`; null without one. */
  unit: string | null;
  min_val: string | null;
  max_val: string | null;
  enumvals: string[] | null;
}

/** A value by its meaning: in the base unit, in lower case, or the elements of a list. */
export type Meaning = boolean | number | string;

export type Read = { value: Meaning } | { problem: string };

/** Units from large to small, in bytes and in microseconds. Source: guc.c, memory_unit_conversion_table and time_unit_conversion_table. */
const MEMORY: [string, number][] = [
  ["TB", 1024 ** 4],
  ["GB", 1024 ** 3],
  ["MB", 1024 ** 2],
  ["kB", 1024],
  ["B", 1],
];
const TIME: [string, number][] = [
  ["d", 86_400_000_000],
  ["h", 3_600_000_000],
  ["min", 60_000_000],
  ["s", 1_000_000],
  ["ms", 1000],
  ["us", 1],
];

/**
 * Settings whose value is a list of quoted names, where one text would become one name. Source: pg_dump's
 * variable_is_guc_list_quote (dumputils.c), which keeps this list for the same reason.
 */
const LISTS = new Set([
  "local_preload_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);

/** Words that the server takes for another one (guc_tables.c: wal_compression_options; xlogdesc.c: wal_level_options). */
const ALIASES: Record<string, Record<string, string>> = {
  wal_compression: { on: "pglz" },
  wal_level: { archive: "replica", hot_standby: "replica" },
};

/** Words of the choices on and off that the server takes without listing them. */
const HIDDEN: Record<string, string> = {
  true: "on",
  yes: "on",
  "1": "on",
  false: "off",
  no: "off",
  "0": "off",
};

/** Permissions: shown and written in base 8 (guc.c: show_data_directory_mode and its like). */
const MODES = new Set(["data_directory_mode", "log_file_mode", "unix_socket_permissions"]);

export function isList(name: string): boolean {
  return LISTS.has(name);
}

/** The names in a list setting's value: `a, "b c"` is `a` and `b c`. Empty ones are left out. */
export function listElements(text: string): string[] {
  return [...text.matchAll(/"((?:[^"]|"")*)"|([^",\s](?:[^",]*[^",\s])?)/g)]
    .map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? "")
    .filter((element) => element !== "");
}

/** Reads a value the way the server does (guc.c: parse_bool, parse_int, parse_real, config_enum_lookup_by_name). Pure. */
export function readValue(rules: ValueRules, text: string): Read {
  switch (rules.vartype) {
    case "bool":
      return readBool(text);
    case "enum":
      return readEnum(rules, text);
    case "integer":
    case "real":
      return readNumber(rules, text);
    case "string":
      if (/[\0\n\r]/.test(text)) return { problem: "must be one line" };
      return { value: isList(rules.name) ? JSON.stringify(listElements(text)) : text };
  }
}

/** True when two texts mean the same value of a setting, such as `1GB` and `1024MB`, or `on` and `true`. Pure. */
export function sameValue(rules: ValueRules, one: string, other: string): boolean {
  if (one === other) return true;
  const [a, b] = [readValue(rules, one), readValue(rules, other)];
  return "value" in a && "value" in b && a.value === b.value;
}

/** A value as SHOW writes it: 16384 of unit 8kB is `128MB`, true is `on`. What can't be read stays as it is. */
export function humanValue(rules: ValueRules, text: string): string {
  const read = readValue(rules, text);
  if (!("value" in read) || rules.vartype === "string") return text;
  if (typeof read.value === "boolean") return read.value ? "on" : "off";
  if (typeof read.value === "string") return read.value;
  if (MODES.has(rules.name)) return `0${read.value.toString(8).padStart(3, "0")}`;
  const base = unitOf(rules.unit);
  if (base === null || read.value <= 0) return text;
  const total = read.value * base.size;
  const fits = base.table.find(([, size]) => total % size === 0);
  return fits === undefined ? text : `${total / fits[1]}${fits[0]}`;
}

function readBool(text: string): Read {
  const word = text.toLowerCase();
  if (word === "1" || word === "on") return { value: true };
  if (word === "0" || (word.length >= 2 && "off".startsWith(word))) return { value: false };
  if (word !== "" && ("true".startsWith(word) || "yes".startsWith(word))) return { value: true };
  if (word !== "" && ("false".startsWith(word) || "no".startsWith(word))) return { value: false };
  return { problem: "must be on or off" };
}

function readEnum({ name, enumvals }: ValueRules, text: string): Read {
  const words = (enumvals ?? []).map((word) => word.toLowerCase());
  const word = text.toLowerCase();
  for (const candidate of [word, HIDDEN[word] ?? ""]) {
    const alias = ALIASES[name.toLowerCase()]?.[candidate];
    if (alias !== undefined && words.includes(alias)) return { value: alias };
    if (words.includes(candidate)) return { value: candidate };
  }
  return { problem: `must be one of ${words.join(", ")}` };
}

const NUMBER = /^\s*([+-]?(?:0x[0-9a-f]+|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))\s*([a-z]*)\s*$/i;

function readNumber(rules: ValueRules, text: string): Read {
  const base = unitOf(rules.unit);
  const units =
    base === null ? "" : `; its units are ${base.table.map(([name]) => name).join(", ")}`;
  const match = NUMBER.exec(text);
  if (match === null) return { problem: `must be a number${units}` };
  const [, digits = "", suffix = ""] = match;
  let number = numberOf(rules, digits);
  if (suffix !== "") {
    if (base === null) return { problem: "takes no unit" };
    const at = base.table.findIndex(([name]) => name === suffix);
    const unit = base.table[at];
    if (unit === undefined) return { problem: `has no unit ${suffix}${units}` };
    number = (number * unit[1]) / base.size;
    // 30.1GB is rounded to whole MB first, as convert_to_base_unit does.
    const next = base.table[at + 1];
    if (next !== undefined)
      number = (halfToEven((number * base.size) / next[1]) * next[1]) / base.size;
  }
  if (rules.vartype === "integer") number = halfToEven(number);
  const [min, max] = [Number(rules.min_val ?? -Infinity), Number(rules.max_val ?? Infinity)];
  if (!(number >= min && number <= max)) {
    const bound = (limit: string | null): string =>
      limit === null ? "…" : humanValue(rules, limit);
    return { problem: `is outside ${bound(rules.min_val)} to ${bound(rules.max_val)}` };
  }
  // Fractions come back with six digits (%g), so that more of them can't be compared.
  return { value: rules.vartype === "real" ? Number(number.toPrecision(6)) : number };
}

/** Whole numbers may be written in base 8 and 16, as C has them. */
function numberOf({ vartype }: ValueRules, digits: string): number {
  const [, sign = "", rest = ""] = /^([+-]?)(.*)$/.exec(digits) ?? [];
  const octal = vartype === "integer" && /^0[0-7]+$/.test(rest);
  const size = octal ? Number.parseInt(rest, 8) : Number(rest);
  return sign === "-" ? -size : size;
}

/** C's rint. */
function halfToEven(number: number): number {
  const floor = Math.floor(number);
  const rest = number - floor;
  if (rest !== 0.5) return Math.round(number);
  return floor % 2 === 0 ? floor : floor + 1;
}

function unitOf(unit: string | null): { table: [string, number][]; size: number } | null {
  const match = unit === null ? null : /^(\d*)([A-Za-z]+)$/.exec(unit);
  if (match === null) return null;
  for (const table of [MEMORY, TIME]) {
    const found = table.find(([name]) => name === match[2]);
    if (found !== undefined) return { table, size: Number(match[1] || 1) * found[1] };
  }
  return null;
}
