import { HAZARDS, type Json, type JsonSchema, LOCK_WORDS, RISKS, type StepType } from "../types.ts";
import { didYouMean, shown } from "./messages.ts";
import { schemaProblems } from "./schema-problems.ts";
import { SUBSCHEMA } from "./structure.ts";
import { compileFault } from "./validate.ts";

/**
 * The faults, in words, in what a step type of somebody else declares; empty when it is good. Nothing else of the type is looked at
 * before it is used.
 */
export function typeFaults(type: StepType, capabilities: readonly string[] | undefined): string[] {
  const faults: string[] = [];
  const must = (right: boolean, key: keyof StepType, what: string): void => {
    if (!right) faults.push(`\`${key}\` must be ${what}, got ${shown(type[key])}`);
  };
  const isFunction = (value: unknown): boolean => typeof value === "function";
  must(typeof type.summary === "string", "summary", "text");
  must(
    isFunction(type.effect) || ["read", "change"].includes(type.effect as string),
    "effect",
    "read, change, or a function that gives one of them",
  );
  must(
    ["undefined", "boolean", "function"].includes(typeof type.idempotent),
    "idempotent",
    "true, false, or a function that gives one of them",
  );
  for (const key of ["run", "plan", "probe", "undo", "lint", "outputFor", "forget"] as const)
    must(isFunction(type[key]) || (key !== "run" && type[key] === undefined), key, "a function");
  for (const key of ["needs", "gives", "takes"] as const)
    faults.push(...wordFaults(key, type[key], capabilities));
  faults.push(...wordFaults("hazards", type.hazards, HAZARDS));
  for (const [key, known] of [
    ["risk", RISKS],
    ["locks", LOCK_WORDS],
  ] as const)
    if (type[key] !== undefined && !isFunction(type[key]))
      faults.push(...wordFaults(key, [type[key]], known));
  faults.push(...schemaFaults(type.input, "input"), ...schemaFaults(type.output, "output"));
  if (type.document !== undefined) {
    if (typeof type.document?.kind !== "string" || !isFunction(type.document.variables))
      faults.push("`document` must have a `kind` and a function `variables`");
    faults.push(...schemaFaults(type.document?.schema, "document.schema"));
  }
  return faults;
}

/** The faults in words that are declared as such, or given by a function of the input. */
function wordFaults(key: string, words: unknown, known: readonly string[] | undefined): string[] {
  if (words === undefined || typeof words === "function") return [];
  if (!Array.isArray(words)) return [`\`${key}\` must be a list, got ${shown(words)}`];
  return words
    .map(String)
    .filter((word) => known && !known.includes(word))
    .map((word) => sentence(`\`${key}\`: there is no ${shown(word)}`, didYouMean(word, known!)));
}

/** Keywords of draft-07 that are left to ajv, and pgdba's own; see `JsonSchema` for those. */
const ALSO = [
  "$schema",
  "$id",
  "$ref",
  "$comment",
  "definitions",
  "not",
  "if",
  "then",
  "else",
  "patternProperties",
  "propertyNames",
  "dependencies",
  "contains",
  "uniqueItems",
  "multipleOf",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "readOnly",
  "writeOnly",
];
const LEVEL: JsonSchema = {
  ...SUBSCHEMA,
  properties: {
    ...SUBSCHEMA.properties,
    ...Object.fromEntries(ALSO.map((keyword) => [keyword, {}])),
    "x-lang": { type: "string", enum: ["cel", "text", "static"] },
    "x-secret": { type: "boolean" },
    "x-names": { type: "boolean" },
  },
};

function schemaFaults(schema: unknown, name: string): string[] {
  let plain: Json;
  try {
    plain = JSON.parse(JSON.stringify(schema)) as Json;
  } catch {
    return [`\`${name}\` is no JSON Schema: it holds what JSON can't`];
  }
  const problems = schemaProblems(plain, name, { level: LEVEL, below: LEVEL, ofType: true });
  if (problems.length > 0)
    return problems.map(({ path, message, hint }) =>
      sentence(`${[name, ...path].join(".")}: ${message}`, hint),
    );
  const fault = compileFault(plain as JsonSchema);
  return fault === undefined ? [] : [`\`${name}\` is no JSON Schema: ${fault}`];
}

function sentence(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message} (${hint})`;
}
