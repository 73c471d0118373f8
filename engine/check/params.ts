import { PgdbaError } from "../errors.ts";
import { suggest } from "../shared/suggest.ts";
import type { Json, JsonObject, JsonSchema, ParamSpec } from "../types.ts";
import { accepts } from "./accepts.ts";
import { valueSchema } from "./scope.ts";
import { validate } from "./validate.ts";
import { shellQuoted } from "../shared/shell-words.ts";

type Params = Record<string, ParamSpec>;

/** The place where the value of a secret parameter is kept. */
export type SecretRef = { param: string } & ({ env: string } | { file: string });

/** `--max-lag` for `max_lag`. */
function flagOf(param: string): string {
  return `--${param.replaceAll("_", "-")}`;
}

/** The JSON Schema (draft-07) of the object that holds a runbook's parameters. */
export function paramsSchema(params: Params): JsonSchema {
  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const [name, spec] of Object.entries(params)) properties[name] = valueSchema(spec);
  const required = Object.keys(params).filter((name) => mustBeGiven(params[name]));
  return { type: "object", properties, required, additionalProperties: false };
}

/**
 * The parameters of one run: what was given, in the types the runbook declares, and the defaults; null for what was neither given
 * nor has a default. Text is read as a number, a boolean, a list (`a,b` or repeated flags) or a mapping (JSON) where one is declared.
 * A secret stays the reference it was given as (`env:NAME`, `file:PATH`); see `secretRefs`.
 * @throws PgdbaError invalid_param that names every flag at fault, and never shows a secret
 */
export function validateParams(params: Params, given: Record<string, unknown>): JsonObject {
  const problems: string[] = [];
  const hints: string[] = [];
  const names = new Map(Object.keys(params).map((name) => [name, name]));
  const values: JsonObject = Object.create(null);
  for (const [written, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    const name = names.get(written.replaceAll("-", "_"));
    if (name === undefined) {
      problems.push(`there is no parameter ${flagOf(written)}`);
      const close = suggest(written.replaceAll("-", "_"), names.keys());
      if (close !== undefined) hints.push(`Did you mean ${flagOf(close)}?`);
      continue;
    }
    const spec = params[name]!;
    const read = spec.secret === true ? readSecret(name, value) : readValue(spec, name, value);
    problems.push(...read.problems);
    values[name] = read.value;
  }
  const missing = Object.keys(params).filter(
    (name) => mustBeGiven(params[name]) && !Object.hasOwn(values, name),
  );
  if (missing.length > 0) {
    problems.push(`${missing.map(flagOf).join(", ")} must be given`);
    hints.push(
      `Add ${missing.map((name) => `${flagOf(name)} ${placeholder(params[name]!, name)}`).join(" ")}`,
    );
  }
  if (problems.length > 0) {
    throw new PgdbaError("invalid_param", problems.join("; "), {
      hint: hints.length > 0 ? hints.join(" ") : "`--help` shows what each parameter takes.",
    });
  }
  for (const [name, spec] of Object.entries(params)) values[name] ??= spec.default ?? null;
  return values;
}

/** The places from which the secret parameters among `given` are to be read. */
export function secretRefs(params: Params, given: Record<string, unknown>): SecretRef[] {
  const refs: SecretRef[] = [];
  for (const [name, spec] of Object.entries(params)) {
    const ref = spec.secret === true ? SECRET.exec(String(given[name] ?? "")) : null;
    if (ref?.[1] !== undefined) refs.push({ param: name, env: ref[1] });
    else if (ref?.[2] !== undefined) refs.push({ param: name, file: ref[2] });
  }
  return refs;
}

function mustBeGiven(spec: ParamSpec | undefined): boolean {
  return spec?.required === true && spec.default === undefined;
}

const SECRET = /^(?:env:([A-Za-z_][A-Za-z0-9_]*)|file:(.+))$/;

function readSecret(name: string, value: unknown): { value: Json; problems: string[] } {
  if (typeof value === "string" && SECRET.test(value)) return { value, problems: [] };
  // The value itself must not be repeated: it may well be the secret.
  return {
    value: null,
    problems: [`${flagOf(name)} takes a secret as env:NAME or file:PATH, never the secret itself`],
  };
}

function readValue(
  spec: ParamSpec,
  name: string,
  value: unknown,
): { value: Json; problems: string[] } {
  const schema = valueSchema(spec);
  const inexact: string[] = [];
  const read = coerce(schema, value, inexact);
  if (inexact.length > 0 || unsafe(schema, read)) {
    const what = inexact.length > 0 ? ` ${inexact[0]!.slice(0, 40)}` : " a number that large";
    return {
      value: read,
      problems: [
        `${flagOf(name)} can't take${what} exactly: whole numbers go from -9007199254740991 to 9007199254740991`,
      ],
    };
  }
  const found = validate(schema, read, flagOf(name));
  return {
    value: read,
    problems: found.map(({ message }) => message.replace(`\`${flagOf(name)}\``, flagOf(name))),
  };
}

/**
 * A text, or a list of them, as the type that the schema declares; anything else, and text that can't be read so, as it is. Numbers
 * that would be others then are added to `inexact`.
 */
function coerce(schema: JsonSchema, value: unknown, inexact: string[]): Json {
  const types = [schema.type ?? []].flat();
  const wants = (type: string): boolean => types.includes(type);
  const each = (items: readonly unknown[]): Json =>
    items.map((item) => coerce(schema.items ?? {}, item, inexact));
  if (Array.isArray(value)) return wants("array") ? each(value) : (value as Json);
  if (typeof value !== "string") return value as Json;
  if (wants("string") && accepts(schema, value, { templates: false })) return value;
  if ((wants("integer") || wants("number")) && NUMBER.test(value)) {
    if (!isExact(value, !wants("number"))) inexact.push(value);
    return Number(value);
  }
  if (wants("boolean") && (value === "true" || value === "false")) return value === "true";
  if (wants("array")) return each(listOf(value, schema.items?.format === "text", inexact));
  if (wants("object")) return parsed(value, inexact);
  return value;
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
/** A double holds every decimal of so many digits. */
const EXACT_DIGITS = 15;

/** True when a text is read as exactly the number that was written; a fraction is read as the nearest one. */
function isExact(text: string, whole: boolean): boolean {
  const value = Number(text);
  if (!Number.isFinite(value)) return false;
  if (/^[+-]?\d+\.?0*$/.test(text)) return Number.isSafeInteger(value);
  if (!whole || !Number.isInteger(value)) return true;
  const digits = text
    .replace(/e.*$/i, "")
    .replaceAll(/[^\d]/g, "")
    .replaceAll(/^0+|0+$/g, "");
  return Number.isSafeInteger(value) && digits.length <= EXACT_DIGITS;
}

/** True when a value holds a whole number that is too large to be exact. */
function unsafe(schema: JsonSchema, value: Json): boolean {
  if (typeof value === "number")
    return (
      [schema.type].flat().includes("integer") &&
      Number.isInteger(value) &&
      !Number.isSafeInteger(value)
    );
  if (Array.isArray(value)) return value.some((item) => unsafe(schema.items ?? {}, item));
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(schema.properties ?? {}).some(
    ([key, inner]) => Object.hasOwn(value, key) && unsafe(inner, value[key]!),
  );
}

/** `a,b` or a JSON list. An empty text is an empty list. A comma does not end an item that is free text, such as SQL. */
function listOf(text: string, free: boolean, inexact: string[]): Json[] {
  if (text.startsWith("[")) {
    const list = parsed(text, inexact);
    if (Array.isArray(list)) return list;
  }
  if (text === "") return [];
  if (free) return [text];
  // A name in double quotes may have a comma in it.
  const items = text.includes('"') ? text.match(/(?:"(?:[^"]|"")*"|[^,])+/g) : text.split(",");
  return (items ?? []).map((item) => item.trim());
}

const JSON_TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** The JSON in `text`, or the text itself when it is none. */
function parsed(text: string, inexact: string[]): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return text;
  }
  for (const [token] of text.matchAll(JSON_TOKEN))
    if (!token.startsWith('"') && !isExact(token, false)) inexact.push(token);
  return value;
}

function placeholder(spec: ParamSpec, name: string): string {
  if (spec.secret === true) return `env:${name.toUpperCase()}`;
  const [example] = spec.examples ?? spec.enum ?? [];
  return example === undefined
    ? `${spec.format ?? [spec.type ?? "value"].flat()[0]}`.toUpperCase()
    : shellQuoted(typeof example === "string" ? example : JSON.stringify(example));
}
