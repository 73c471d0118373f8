import type { ErrorObject, ValidateFunction } from "ajv";

import { classify } from "../expr/render.ts";
import { suggest } from "../load/suggest.ts";
import type { DocPath, Json, JsonSchema } from "../types.ts";
import { accepts, isObject, type Reading } from "./accepts.ts";
import { FORMATS } from "./formats.ts";
import { matches } from "./patterns.ts";

/** A way in which a value breaks its schema. `path` leads to the value; `key` when the fault is its key. */
export interface SchemaProblem {
  path: DocPath;
  key: boolean;
  rule: string;
  message: string;
  hint?: string;
}

type AjvError = ErrorObject<string, Record<string, unknown>>;

/**
 * Every way in which `value` breaks `schema`, in words for a person; empty when it is valid.
 * `subject` names the value itself in messages, such as `sql.query`.
 */
export function validate(schema: JsonSchema, value: Json, subject: string, reading: Reading = { templates: false }): SchemaProblem[] {
  if (accepts(schema, value, reading)) return [];
  const plain = JSON.parse(JSON.stringify(value)) as Json;
  const check = compiled(schema);
  if (check(plain)) return [];
  const errors = relevant((check.errors ?? []) as AjvError[], reading);
  return dedupe(errors.map((error) => describe(error, plain, subject)));
}

/** The same as sentences, for a message. */
export function schemaProblems(schema: JsonSchema, value: Json, subject = "input"): string[] {
  return validate(schema, value, subject).map(({ message }) => message);
}

const validators = new WeakMap<JsonSchema, ValidateFunction>();
let ajv: InstanceType<typeof import("ajv").Ajv> | undefined;

function compiled(schema: JsonSchema): ValidateFunction {
  let found = validators.get(schema);
  if (found === undefined) {
    found = theAjv().compile(JSON.parse(JSON.stringify(schema)) as object);
    validators.set(schema, found);
  }
  return found;
}

/** Required on first use: most commands never need it, and the callers are synchronous. */
function theAjv(): InstanceType<typeof import("ajv").Ajv> {
  if (ajv !== undefined) return ajv;
  const { Ajv } = require("ajv") as typeof import("ajv");
  const formats = Object.fromEntries(Object.entries(FORMATS).map(([name, { test }]) => [name, test]));
  // Our own schemas are checked by the tests, so the 10 ms that compiling the meta-schema takes are saved.
  const regExp = Object.assign((pattern: string) => ({ test: (text: string) => matches(pattern, text) }), { code: "matches" });
  ajv = new Ajv({
    allErrors: true,
    strict: false,
    verbose: true,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    logger: false,
    formats,
    code: { regExp },
  });
  return ajv;
}

/**
 * What of ajv's errors says something: those about a template are dropped, and of a choice (`anyOf`, `oneOf`) only the
 * branch that came nearest is kept.
 */
function relevant(errors: AjvError[], reading: Reading): AjvError[] {
  const choices = errors.filter((one) => isChoice(one) && !errors.some((other) => isChoice(other) && isBelow(one, other)));
  const rest = errors.filter((one) => !choices.some((choice) => one === choice || isBelow(one, choice)));
  return [
    ...rest.filter((error) => !isTemplated(error, reading)),
    ...choices.flatMap((choice) => nearestBranch(choice, errors.filter((one) => isBelow(one, choice)), reading)),
  ];
}

/** Whether `error` was found while trying a branch of `choice`. */
function isBelow(error: AjvError, choice: AjvError): boolean {
  return error.schemaPath.startsWith(`${choice.schemaPath}/`) && `${error.instancePath}/`.startsWith(`${choice.instancePath}/`);
}

function isChoice(error: AjvError): boolean {
  return error.keyword === "anyOf" || error.keyword === "oneOf";
}

function nearestBranch(choice: AjvError, below: AjvError[], reading: Reading): AjvError[] {
  const branches = (choice.schema as JsonSchema[]).map((_, index) => {
    const prefix = `${choice.schemaPath}/${index}/`;
    return relevant(below.filter((error) => error.schemaPath.startsWith(prefix)), reading);
  });
  // A branch without errors of its own: it fits, but for templates (anyOf), or more than one does (oneOf).
  if (branches.some((branch) => branch.length === 0)) return reading.templates ? [] : [choice];
  const fitting = branches.filter((branch) => !branch.some((error) => error.keyword === "type" && error.instancePath === choice.instancePath));
  if (fitting.length === 0) return [{ ...choice, keyword: "type", params: { type: branches.flatMap((branch) => branch.flatMap((error) => error.params["type"] ?? [])) } }];
  return fitting.reduce((best, branch) => (rank(branch) > rank(best) ? branch : best));
}

/** The deeper the first fault and the fewer faults, the nearer the branch. */
function rank(branch: AjvError[]): number {
  return Math.max(...branch.map((error) => error.instancePath.split("/").length)) * 100 - branch.length;
}

function isTemplated(error: AjvError, reading: Reading): boolean {
  if (!reading.templates || typeof error.data !== "string" || error.parentSchema?.["x-lang"] !== undefined) return false;
  const kind = classify(error.data);
  return kind === "cel" || (kind === "text" && error.keyword !== "type");
}

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
export function typeWords(types: string | readonly string[]): string {
  return [...new Set([types].flat())].map((type) => TYPE_WORDS[type] ?? type).join(" or ");
}

/** A value as it is shown in a message: JSON, cut at 60 characters. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function describe(error: AjvError, root: Json, subject: string): SchemaProblem {
  const path = pathOf(error.instancePath, root);
  const name = nameOf(path, subject);
  const bad = (message: string, hint?: string): SchemaProblem => problem(path, "bad-value", `${name} ${message}, got ${shown(error.data)}`, hint);
  const { params } = error;
  switch (error.keyword) {
    case "type": {
      const text = typeof error.data === "string" && classify(error.data) === "text";
      const hint = text ? "`{{…}}` gives text; write the whole value as ${…} to keep its type." : undefined;
      const types = params["type"] as string | string[];
      return problem(path, "type-mismatch", `${name} must be ${typeWords(types)}, got ${shown(error.data)}`, hint);
    }
    case "required":
      return { ...problem(path, "missing-key", `${name} lacks \`${params["missingProperty"]}\``), key: true };
    case "additionalProperties": {
      const key = String(params["additionalProperty"]);
      const known = Object.keys((error.parentSchema as JsonSchema).properties ?? {});
      return { ...problem([...path, key], "unknown-key", `unknown key \`${key}\` in ${name}`, didYouMean(key, known)), key: true };
    }
    case "enum": {
      const allowed = (error.schema as Json[]).map(String);
      const close = typeof error.data === "string" ? suggest(error.data, allowed) : undefined;
      return bad(`must be one of ${allowed.join(", ")}`, close && `Did you mean \`${close}\`?`);
    }
    case "const":
      return bad(`must be ${shown(params["allowedValue"])}`);
    case "format": {
      const format = String(params["format"]);
      const hint = classify(String(error.data)) === "literal" ? undefined : "A template can't stand here.";
      return { ...bad(`must be ${FORMATS[format]?.words ?? `of the format ${format}`}`, hint), rule: `bad-${format}` };
    }
    case "pattern":
      return bad(`must match the pattern ${params["pattern"]}`);
    case "oneOf":
      return bad("fits more than one of the forms it may have");
    default:
      return bad(LIMITS[error.keyword]?.(params["limit"] as number) ?? error.message ?? "is not valid");
  }
}

const LIMITS: Record<string, (limit: number) => string> = {
  minimum: (limit) => `must be at least ${limit}`,
  maximum: (limit) => `must be at most ${limit}`,
  minLength: (limit) => (limit === 1 ? "must not be empty" : `must have at least ${limit} characters`),
  maxLength: (limit) => `must have at most ${limit} characters`,
  minItems: (limit) => (limit === 1 ? "must not be empty" : `must have at least ${limit} items`),
  maxItems: (limit) => `must have at most ${limit} items`,
  minProperties: (limit) => (limit === 1 ? "must not be empty" : `must have at least ${limit} keys`),
  maxProperties: (limit) => `must have at most ${limit} keys`,
};

function problem(path: DocPath, rule: string, message: string, hint?: string): SchemaProblem {
  return { path, key: false, rule, message, ...(hint === undefined ? {} : { hint }) };
}

/** A hint for a word that is not among `known`. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const list = [...known];
  const close = suggest(word, list);
  if (close !== undefined) return `Did you mean \`${close}\`?`;
  return list.length > 0 && list.length <= 16 ? `Known here: ${list.join(", ")}` : undefined;
}

/** `` `parallel` ``, `` item 2 of `labels` ``, or the subject. */
function nameOf(path: DocPath, subject: string): string {
  const last = path.at(-1);
  if (last === undefined) return `\`${subject}\``;
  return typeof last === "string" ? `\`${last}\`` : `item ${last + 1} of ${nameOf(path.slice(0, -1), subject)}`;
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
      value = isObject(value) ? value[key] : undefined;
    }
  }
  return path;
}

function dedupe(problems: SchemaProblem[]): SchemaProblem[] {
  const seen = new Set<string>();
  return problems.filter((one) => {
    const id = JSON.stringify([one.path, one.message]);
    return !seen.has(id) && seen.add(id);
  });
}
