import type { Scope } from "../expr/infer.ts";
import { classify, langAt } from "../expr/languages.ts";
import type { Json, JsonSchema } from "../types.ts";
import { ANYTHING, type ExpressionChecker } from "./expressions.ts";
import { literalSchema, schemaAt, texts } from "./scope.ts";

type Path = readonly (string | number)[];

/** A value of a document that holds templates: the input of a step, or the list of a loop. */
export interface Templated {
  value: Json;
  schema: JsonSchema;
  /** The place of the value in the document. */
  path: Path;
  scope: Scope;
}

/** Checks every text of a value in its language. @returns the schema of the value when it is rendered */
export async function checkTemplated(
  expressions: ExpressionChecker,
  { value, schema, path, scope }: Templated,
): Promise<JsonSchema> {
  const inferred = literalSchema(value);
  const kept: { path: Path; text: string }[] = [];
  for (const { path: below, text } of texts(value)) {
    const at = [...path, ...below];
    if (langAt(schema, below) !== undefined) kept.push({ path: below, text });
    else if (classify(text) !== "cel") await expressions.text(at, text, scope);
    else {
      const expected = schemaAt(schema, below);
      const wanted = expected?.type === undefined ? undefined : expected;
      replaceAt(inferred, below, await expressions.value(at, text, scope, wanted));
    }
  }
  // The input of a step as written may use the step's own variables, so these come first.
  const own = ownVariables(schema, inferred);
  for (const { path: below, text } of kept) {
    const at = [...path, ...below];
    const lang = langAt(schema, below);
    if (lang === "static") expressions.fixed(at, text, scope);
    else if (own === undefined) continue;
    else if (lang === "text") await expressions.text(at, text, { ...scope, ...own });
    else if (schemaAt(schema, below)?.format === "condition")
      await expressions.condition(at, text, { ...scope, ...own });
    else replaceAt(inferred, below, await expressions.cel(at, text, { ...scope, ...own }));
  }
  return inferred;
}

/**
 * The variables that an input adds for its own CEL and text: those of the mapping that its type marks with `format: variables`.
 * Undefined when they can't be known before it is rendered.
 */
function ownVariables(
  schema: JsonSchema,
  inferred: JsonSchema,
): Record<string, JsonSchema> | undefined {
  const [name] =
    Object.entries(schema.properties ?? {}).find(([, one]) => one.format === "variables") ?? [];
  const given = name === undefined ? undefined : inferred.properties?.[name];
  return given === undefined ? {} : given.properties;
}

/** Puts `found` where `path` leads in a schema that `literalSchema` made. */
function replaceAt(
  schema: JsonSchema,
  path: readonly (string | number)[],
  found: JsonSchema,
): void {
  const last = path.at(-1);
  const parent = schemaAt(schema, path.slice(0, -1));
  if (last === undefined || parent === undefined) return;
  // The items of a list share one schema: one that isn't known makes none known.
  if (typeof last === "number") parent.items = ANYTHING;
  else if (parent.properties !== undefined)
    parent.properties[last] = path.some((part) => typeof part === "number") ? ANYTHING : found;
}
