import type { ValidateFunction } from "ajv";

import { classify } from "../expr/languages.ts";
import type { Json, JsonSchema } from "../types.ts";
import { accepts, type Reading } from "./accepts.ts";
import { FORMATS } from "./formats.ts";
import { type AjvError, dedupe, describe, type SchemaProblem } from "./messages.ts";
import { matches } from "./patterns.ts";

/**
 * Every way in which `value` breaks `schema`, in words for a person; empty when it is valid.
 * `subject` names the value itself in messages, such as `sql.query`.
 */
export function validate(
  schema: JsonSchema,
  value: Json,
  subject: string,
  reading: Reading = { templates: false },
): SchemaProblem[] {
  if (accepts(schema, value, reading)) return [];
  const plain = JSON.parse(JSON.stringify(value)) as Json;
  const check = compiled(schema);
  if (check(plain)) return [];
  const errors = relevant((check.errors ?? []) as AjvError[], reading);
  return dedupe(errors.map((error) => describe(error, plain, subject)));
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

/** The reason why ajv can't use a schema; undefined when it can. */
export function compileFault(schema: JsonSchema): string | undefined {
  try {
    compiled(schema);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** Required on first use: most commands never need it, and the callers are synchronous. */
function theAjv(): InstanceType<typeof import("ajv").Ajv> {
  if (ajv !== undefined) return ajv;
  const { Ajv } = require("ajv") as typeof import("ajv");
  const formats = Object.fromEntries(
    Object.entries(FORMATS).map(([name, { test }]) => [name, test]),
  );
  // Our own schemas are checked by the tests, so the 10 ms that compiling the meta-schema takes are saved.
  const regExp = Object.assign(
    // ajv keeps the patterns of a schema by what `toString` gives.
    (pattern: string) => ({
      test: (text: string) => matches(pattern, text),
      toString: () => pattern,
    }),
    { code: "matches" },
  );
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
 * The errors of ajv that help: those about a template are dropped, and of a choice (`anyOf`, `oneOf`) only the
 * branch that came nearest is kept.
 */
function relevant(errors: AjvError[], reading: Reading): AjvError[] {
  const choices = errors.filter(
    (one) => isChoice(one) && !errors.some((other) => isChoice(other) && isBelow(one, other)),
  );
  const rest = errors.filter(
    (one) => !choices.some((choice) => one === choice || isBelow(one, choice)),
  );
  return [
    ...rest.filter((error) => !isTemplated(error, reading)),
    ...choices.flatMap((choice) =>
      nearestBranch(
        choice,
        errors.filter((one) => isBelow(one, choice)),
        reading,
      ),
    ),
  ];
}

/** True when `error` was found while trying a branch of `choice`. */
function isBelow(error: AjvError, choice: AjvError): boolean {
  return (
    error.schemaPath.startsWith(`${choice.schemaPath}/`) &&
    `${error.instancePath}/`.startsWith(`${choice.instancePath}/`)
  );
}

function isChoice(error: AjvError): boolean {
  return error.keyword === "anyOf" || error.keyword === "oneOf";
}

function nearestBranch(choice: AjvError, below: AjvError[], reading: Reading): AjvError[] {
  const branches = (choice.schema as JsonSchema[]).map((_, index) => {
    const prefix = `${choice.schemaPath}/${index}/`;
    return relevant(
      below.filter((error) => error.schemaPath.startsWith(prefix)),
      reading,
    );
  });
  // A branch without errors of its own: it fits, but for templates (anyOf), or more than one does (oneOf).
  if (branches.some((branch) => branch.length === 0)) return reading.templates ? [] : [choice];
  const fitting = branches.filter(
    (branch) =>
      !branch.some((error) => error.instancePath === choice.instancePath && isOfOtherType(error)),
  );
  if (fitting.length === 0)
    return [
      {
        ...choice,
        keyword: "type",
        params: {
          type: branches.flatMap((branch) => branch.flatMap((error) => error.params["type"] ?? [])),
        },
      },
    ];
  return fitting.reduce((best, branch) => (rank(branch) > rank(best) ? branch : best));
}

function isOfOtherType({ keyword, data, params }: AjvError): boolean {
  return (
    keyword === "type" || (keyword === "const" && typeof data !== typeof params["allowedValue"])
  );
}

/** The deeper the first fault and the fewer faults, the nearer the branch. */
function rank(branch: AjvError[]): number {
  return (
    Math.max(...branch.map((error) => error.instancePath.split("/").length)) * 100 - branch.length
  );
}

function isTemplated(error: AjvError, reading: Reading): boolean {
  if (
    !reading.templates ||
    typeof error.data !== "string" ||
    error.parentSchema?.["x-lang"] !== undefined
  )
    return false;
  const kind = classify(error.data);
  return kind === "cel" || (kind === "text" && error.keyword !== "type");
}
