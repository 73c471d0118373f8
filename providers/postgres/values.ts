import type { Json } from "../../engine/types.ts";

type Parser = (text: string) => Json;

const float: Parser = (text) => {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
};

/** A number where none of its digits is lost, else its text. */
const exact: Parser = (text) => {
  const value = Number(text);
  const plain = text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  return String(value) === plain && (text.includes(".") || Number.isSafeInteger(value))
    ? value
    : text;
};

/** PostgreSQL's ISO style as ISO 8601, microseconds kept. */
const timestamp: Parser = (text) =>
  /^\d{4}-/.test(text) && !text.endsWith("BC") ? text.replace(" ", "T") : text;

/** The same in UTC. What JavaScript can't read (infinity, BC, old offsets with seconds) stays as the server wrote it. */
const timestamptz: Parser = (text) => {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d)(:\d\d)?$/.exec(text);
  if (parts === null) return text;
  const [, day, time, fraction = "", hours, minutes = ":00"] = parts;
  const seconds = new Date(`${day}T${time}${hours}${minutes}`).toISOString().slice(0, 19);
  return `${seconds}${fraction}Z`;
};

const bytea: Parser = (text) => Buffer.from(text.slice(2), "hex").toString("base64");
const json: Parser = (text) => JSON.parse(text) as Json;
const same: Parser = (text) => text;

/** OID, name, OID of the array type, parser. Source: PostgreSQL's pg_type.dat. A type that is not here is given as text. */
const TYPES: [number, string, number, Parser][] = [
  [16, "bool", 1000, (text) => text === "t"],
  [17, "bytea", 1001, bytea],
  [19, "name", 1003, same],
  [20, "int8", 1016, exact],
  [21, "int2", 1005, Number],
  [23, "int4", 1007, Number],
  [25, "text", 1009, same],
  [26, "oid", 1028, Number],
  [114, "json", 199, json],
  [700, "float4", 1021, float],
  [701, "float8", 1022, float],
  [869, "inet", 1041, same],
  [1042, "bpchar", 1014, same],
  [1043, "varchar", 1015, same],
  [1082, "date", 1182, same],
  [1114, "timestamp", 1115, timestamp],
  [1184, "timestamptz", 1185, timestamptz],
  [1186, "interval", 1187, same],
  [1700, "numeric", 1231, exact],
  [2205, "regclass", 2210, same],
  [2206, "regtype", 2211, same],
  [2950, "uuid", 2951, same],
  [3220, "pg_lsn", 3221, same],
  [3802, "jsonb", 3807, json],
];

const NAMES = new Map<number, string>();
const PARSERS = new Map<number, Parser>();
for (const [oid, name, arrayOid, parser] of TYPES) {
  NAMES.set(oid, name).set(arrayOid, `${name}[]`);
  PARSERS.set(oid, parser).set(arrayOid, (text) => parseArray(text, parser));
}

/** The type's name, or its OID as text for one that is not built in. */
export function typeName(oid: number): string {
  return NAMES.get(oid) ?? String(oid);
}

/** The parser for a column: int8 and numeric are numbers where exact, times are ISO 8601, bytea is base64, the rest is text. */
export function parserOf(oid: number): Parser {
  return PARSERS.get(oid) ?? same;
}

/** PostgreSQL's array text (`{1,NULL,"a b",{...}}`, maybe with `[2:3]=` before it) as nested lists. */
function parseArray(text: string, element: Parser): Json {
  let at = text.indexOf("{");
  const list = (): Json[] => {
    const items: Json[] = [];
    at++;
    while (text[at] !== "}") {
      if (text[at] === "{") items.push(list());
      else if (text[at] === '"') items.push(element(quoted()));
      else items.push(bare());
      if (text[at] === ",") at++;
      else if (text[at] !== "}") return items;
    }
    at++;
    return items;
  };
  const quoted = (): string => {
    let value = "";
    for (at++; at < text.length && text[at] !== '"'; at++) {
      if (text[at] === "\\") at++;
      value += text[at];
    }
    at++;
    return value;
  };
  const bare = (): Json => {
    const start = at;
    while (at < text.length && text[at] !== "," && text[at] !== "}") at++;
    const value = text.slice(start, at);
    return value === "NULL" ? null : element(value);
  };
  return list();
}

/** A value as the text of a bind: lists as PostgreSQL arrays, objects as JSON. */
export function encode(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return encodeArray(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function encodeArray(items: unknown[]): string {
  const parts = items.map((item) => {
    if (Array.isArray(item)) return encodeArray(item);
    const text = encode(item);
    return text === null ? "NULL" : `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  });
  return `{${parts.join(",")}}`;
}
