import { isMapping } from "../json.ts";
import { amount } from "../shared/amount.ts";
import type { ErrorObject } from "ajv";

import { classify } from "../expr/languages.ts";
import { suggest } from "../shared/suggest.ts";
import type { DocPath, Json, JsonSchema } from "../types.ts";
import { FORMATS } from "./formats.ts";

/** A way in which a value breaks its schema. `path` leads to the value; `key` when the fault is its key. */
export interface SchemaProblem {
  path: DocPath;
  key: boolean;
  rule: string;
  message: string;
  hint?: string;
  /** An error without it. */
  severity?: "warning";
}

export type AjvError = ErrorObject<string, Record<string, unknown>>;

const TYPE_WORDS: Record<string, string> = {
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  null: "empty",
};

/** `a whole number or text` for `["integer", "string"]`. */
function typeWords(types: string | readonly string[]): string {
  return [...new Set([types].flat())].map((type) => TYPE_WORDS[type] ?? type).join(" or ");
}

/** A value as it is shown in a message: JSON, cut at 60 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** An error of ajv's in words; `root` is the value that was checked, and `subject` its name. */
export function describe(error: AjvError, root: Json, subject: string): SchemaProblem {
  const path = pathOf(error.instancePath, root);
  const name = nameOf(path, subject);
  const bad = (message: string, hint?: string): SchemaProblem =>
    problem(path, "bad-value", `${name} ${message}, got ${shown(error.data)}`, hint);
  const { params } = error;
  switch (error.keyword) {
    case "type": {
      const text = typeof error.data === "string" && classify(error.data) === "text";
      const hint = text
        ? "`{{…}}` gives text; write the whole value as ${…} to keep its type."
        : undefined;
      const types = params["type"] as string | string[];
      const [only, ...more] =
        types === "object" ? ((error.parentSchema as JsonSchema).required ?? []) : [];
      const whole =
        only !== undefined && more.length === 0 && !Array.isArray(error.data)
          ? error.data === null
            ? `It is empty; begin it with \`${only}:\`.`
            : `Write \`{${only}: ${shown(error.data)}}\`.`
          : undefined;
      return problem(
        path,
        "type-mismatch",
        `${name} must be ${typeWords(types)}, got ${shown(error.data)}`,
        hint ?? whole,
      );
    }
    case "required":
      return {
        ...problem(path, "missing-key", `${name} lacks \`${params["missingProperty"]}\``),
        key: true,
      };
    case "additionalProperties": {
      const key = String(params["additionalProperty"]);
      const { properties = {}, "x-instead": instead = {} } = error.parentSchema as JsonSchema;
      const hint = Object.hasOwn(instead, key)
        ? instead[key]
        : didYouMean(key, Object.keys(properties));
      return {
        ...problem([...path, key], "unknown-key", `unknown key \`${key}\` in ${name}`, hint),
        key: true,
      };
    }
    case "enum": {
      const allowed = (error.schema as Json[]).map(String);
      const close = typeof error.data === "string" ? suggest(error.data, allowed) : undefined;
      const list = allowed.join(", ");
      const meant = close && `Did you mean ${close}?`;
      return allowed.length > MANY
        ? bad(`must be one of the ${allowed.length} that there are`, meant ?? `There are: ${list}.`)
        : bad(`must be one of ${list}`, meant);
    }
    case "const":
      return bad(`must be ${shown(params["allowedValue"])}`);
    case "format": {
      const format = String(params["format"]);
      if (FORMATS[format]?.hidden === true)
        return problem(path, `bad-${format}`, `${name} must be ${FORMATS[format].words}`);
      const hint =
        classify(String(error.data)) === "literal" ? undefined : "A template can't stand here.";
      return {
        ...bad(`must be ${FORMATS[format]?.words ?? `of the format ${format}`}`, hint),
        rule: `bad-${format}`,
      };
    }
    case "pattern":
      return bad(`must match the pattern ${params["pattern"]}`);
    case "oneOf":
      return bad("fits more than one of the forms it may have");
    default:
      return bad(
        LIMITS[error.keyword]?.(params["limit"] as number) ?? error.message ?? "is not valid",
      );
  }
}

/** A list of more is not read through where one word of it is meant. */
const MANY = 16;

const LIMITS: Record<string, (limit: number) => string> = {
  minimum: (limit) => `must be at least ${limit}`,
  maximum: (limit) => `must be at most ${limit}`,
  minLength: (limit) =>
    limit === 1 ? "must not be empty" : `must have at least ${limit} characters`,
  maxLength: (limit) => `must have at most ${amount(limit, "character")}`,
  minItems: (limit) => (limit === 1 ? "must not be empty" : `must have at least ${limit} items`),
  maxItems: (limit) => `must have at most ${amount(limit, "item")}`,
  minProperties: (limit) =>
    limit === 1 ? "must not be empty" : `must have at least ${limit} keys`,
  maxProperties: (limit) => `must have at most ${amount(limit, "key")}`,
};

function problem(path: DocPath, rule: string, message: string, hint?: string): SchemaProblem {
  return { path, key: false, rule, message, ...(hint === undefined ? {} : { hint }) };
}

/** A hint for a word that is not among `known`. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const list = [...known];
  const close = suggest(word, list);
  if (close !== undefined) return `Did you mean ${close}?`;
  return list.length > 0 && list.length <= MANY ? `There are: ${list.join(", ")}.` : undefined;
}

/** The message for a step type in a file that the configuration does not allow. */
export function offMessage(type: string, file: string): string {
  return `the step type \`${type}\` is in ${file}, but step types of your own are switched off`;
}

/** `` `parallel` ``, `` item 2 of `labels` ``, or the subject. */
function nameOf(path: DocPath, subject: string): string {
  const last = path.at(-1);
  if (last === undefined) return `\`${subject}\``;
  return typeof last === "string"
    ? `\`${last}\``
    : `item ${last + 1} of ${nameOf(path.slice(0, -1), subject)}`;
}

/** A JSON Pointer as a path into `root`. */
function pathOf(pointer: string, root: Json): DocPath {
  const path: (string | number)[] = [];
  let value: Json | undefined = root;
  for (const part of pointer.split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(value)) {
      path.push(Number(key));
      value = value[Number(key)];
    } else {
      path.push(key);
      value = isMapping(value) ? value[key] : undefined;
    }
  }
  return path;
}

/** Choices whose branches ask for the same thing say it once. */
export function dedupe(problems: SchemaProblem[]): SchemaProblem[] {
  const seen = new Set<string>();
  return problems.filter((one) => {
    const id = JSON.stringify([one.path, one.message]);
    return !seen.has(id) && seen.add(id);
  });
}
