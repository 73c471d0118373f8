import { isMapping } from "../json.ts";
import type { JsonSchema, StepRegistry } from "../types.ts";
import { ACTION_ONLY, BLOCK_ONLY, COMMON, NAME, PARAM, RUNBOOK, SUBSCHEMA } from "./structure.ts";

/** Draft-07 keywords that only the published schema needs. */
interface EditorSchema extends JsonSchema {
  $ref?: string;
  definitions?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  dependencies?: Record<string, string[]>;
}

const TEMPLATE: JsonSchema = {
  type: "string",
  pattern: "^\\s*\\$\\{[\\s\\S]*\\}\\s*$|\\{\\{",
  description: "${CEL} or {{text}}",
};

/**
 * The JSON Schema of a runbook file, for editors: every step type with its input, in which a template may stand for any
 * value, and the keys of documents that `extends` another one.
 */
export async function runbookSchema(registry: StepRegistry): Promise<JsonSchema> {
  const names = registry.names().toSorted();
  const inputs: Record<string, JsonSchema> = {};
  for (const name of names) {
    const type = await registry.get(name).catch((): undefined => undefined);
    if (type === undefined) {
      // A type of the user that can't be loaded; `lint` says why.
      inputs[name] = { description: "It can't be loaded: `pgdba lint` says why." };
      continue;
    }
    const input = widened(type.input);
    const mayBeEmpty =
      [type.input.type].flat().includes("object") && (type.input.required ?? []).length === 0;
    inputs[name] = {
      ...(mayBeEmpty ? { anyOf: [input, { type: "null" }] } : input),
      description: type.summary,
    };
  }
  const { required, ...runbook } = RUNBOOK;
  const schema: EditorSchema = {
    ...runbook,
    properties: {
      ...plain(RUNBOOK).properties,
      params: {
        ...described(RUNBOOK, "params"),
        patternProperties: { [NAME]: ref("param") },
        additionalProperties: false,
      } as JsonSchema,
      steps: steps("What it does, in order; with `extends`, what it adds and replaces."),
      output_schema: { type: "object", additionalProperties: ref("schema") },
      extends: {
        type: "string",
        description:
          "A runbook to start from; `params`, `output` and `steps` (by id) are laid on it.",
      },
      drop: {
        type: "array",
        items: { type: "string" },
        description: "With `extends`: ids of steps to leave out.",
      },
    },
    anyOf: [{ required: required ?? [] }, { required: ["extends"] }],
    definitions: {
      step: step(inputs),
      param: withNested(PARAM),
      schema: withNested(SUBSCHEMA),
    },
  };
  return schema;
}

function step(inputs: Record<string, JsonSchema>): EditorSchema {
  return {
    type: "object",
    properties: {
      ...plain({ properties: COMMON }).properties,
      undo: { anyOf: [{ const: false }, steps()], ...text(ACTION_ONLY["undo"]) },
      ...Object.fromEntries(
        Object.entries(BLOCK_ONLY).map(([key, schema]) => [
          key,
          schema.type === "array" ? steps(schema.description) : schema,
        ]),
      ),
      after: { type: "string", description: "With `extends`: the id of the step to stand after." },
      before: {
        type: "string",
        description: "With `extends`: the id of the step to stand before.",
      },
      ...inputs,
    },
    additionalProperties: false,
    oneOf: [...Object.keys(inputs), "block"].map((key) => ({ required: [key] })),
    dependencies: { rescue: ["block"], always: ["block"], output: ["block"] },
  };
}

function steps(description?: string): JsonSchema {
  return {
    type: "array",
    items: ref("step"),
    minItems: 1,
    ...(description === undefined ? {} : { description }),
  };
}

function ref(name: string): JsonSchema {
  return { $ref: `#/definitions/${name}` } as EditorSchema;
}

function text(schema: JsonSchema | undefined): JsonSchema {
  return schema?.description === undefined ? {} : { description: schema.description };
}

function described(parent: JsonSchema, key: string): JsonSchema {
  return parent.properties?.[key] ?? {};
}

/** The schemas of schemas, all levels deep. */
function withNested(level: JsonSchema): JsonSchema {
  const one = ref("schema");
  const list: JsonSchema = { type: "array", items: one, minItems: 1 };
  const properties = {
    ...plain(level).properties,
    items: one,
    properties: { type: "object", additionalProperties: one },
    additionalProperties: { anyOf: [{ type: "boolean" }, one] },
    anyOf: list,
    oneOf: list,
    allOf: list,
  };
  return { ...level, properties };
}

/** Without the engine's own keywords. */
export function plain(schema: JsonSchema): JsonSchema {
  return mapped(schema, (one) => one);
}

/** Without the engine's own keywords, and with a template allowed wherever a value is rendered. */
function widened(schema: JsonSchema, lang?: string): JsonSchema {
  return mapped(
    schema,
    (one, inherited) =>
      inherited !== undefined || takesAnyText(one) ? one : { anyOf: [one, TEMPLATE], ...text(one) },
    lang,
  );
}

function takesAnyText(schema: JsonSchema): boolean {
  const keys = Object.keys(schema).filter(
    (key) => key !== "description" && key !== "examples" && key !== "default" && key !== "title",
  );
  return (
    keys.every((key) => key === "type") &&
    (schema.type === undefined || [schema.type].flat().includes("string"))
  );
}

/** Every level of a schema through `change`, inside out; `lang` is the `x-lang` that holds there. */
function mapped(
  schema: JsonSchema,
  change: (one: JsonSchema, lang: string | undefined) => JsonSchema,
  lang?: string,
): JsonSchema {
  const { "x-lang": own = lang, "x-secret": _, "x-instead": __, ...rest } = schema;
  const below = (inner: JsonSchema): JsonSchema => mapped(inner, change, own);
  const out: JsonSchema = { ...rest };
  if (out.properties)
    out.properties = Object.fromEntries(
      Object.entries(out.properties).map(([key, inner]) => [key, below(inner)]),
    );
  if (out.items) out.items = below(out.items);
  if (isMapping(out.additionalProperties))
    out.additionalProperties = below(out.additionalProperties);
  for (const key of ["anyOf", "oneOf", "allOf"] as const)
    if (out[key]) out[key] = out[key].map((inner) => mapped(inner, (one) => one, own));
  return change(out, own);
}
