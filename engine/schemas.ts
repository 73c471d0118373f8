/* oxlint-disable unicorn/no-thenable -- `then` is a keyword of JSON Schema */
import { loadableTypes } from "./check/loadable-types.ts";
import { plain, runbookSchema } from "./check/schema.ts";
import { CONFIG_SCHEMA } from "./cli/config.ts";
import { POLICY_SCHEMA } from "./policy.ts";
import { TEST_FILE } from "./testing/case.ts";
import type { DocumentKind, JsonSchema, StepRegistry } from "./types.ts";

interface EditorSchema extends JsonSchema {
  $schema?: string;
  $ref?: string;
  definitions?: Record<string, JsonSchema>;
  if?: JsonSchema;
  then?: JsonSchema;
  else?: JsonSchema;
}

const DRAFT = "http://json-schema.org/draft-07/schema#";

/** The files that are no documents of a layer, and so have a schema of their own; those of providers come on top. */
export const FILE_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  policy: POLICY_SCHEMA,
  config: CONFIG_SCHEMA,
};

/** The JSON Schema (draft-07) of one of `FILE_SCHEMAS`, for editors. */
export function fileSchema(name: string, schema: JsonSchema): JsonSchema {
  return { $schema: DRAFT, title: `pgdba ${name}`, ...plain(schema) } as EditorSchema;
}

/**
 * The JSON Schema (draft-07) of every file below `runbooks/`, for editors: a runbook, its test, or a document that a step type reads.
 * Which of them a file is, it says itself: a test has `cases`, a document its `kind`.
 */
export async function documentsSchema(registry: StepRegistry): Promise<JsonSchema> {
  const kinds = await documentKinds(registry);
  const { definitions, ...runbook } = (await runbookSchema(registry)) as EditorSchema;
  const documents = Object.fromEntries(kinds.map((one) => [one.kind, documentSchema(one)]));
  // A document that extends another need not repeat its kind.
  const extending: EditorSchema = {
    if: { required: ["extends"] },
    then: { anyOf: [ref("runbook"), ...kinds.map(({ kind }) => ref(kind))] },
    else: ref("runbook"),
  };
  const byKind = kinds.reduce<EditorSchema>(
    (otherwise, { kind }) => ({
      if: { required: ["kind"], properties: { kind: { const: kind } } },
      then: ref(kind),
      else: otherwise,
    }),
    {
      if: { required: ["kind"] },
      then: ref("runbook"),
      else: extending,
    },
  );
  const schema: EditorSchema = {
    $schema: DRAFT,
    title: "pgdba runbooks, their tests and checks",
    type: "object",
    if: { required: ["cases"] },
    then: ref("test"),
    else: byKind,
    definitions: { ...definitions, ...documents, runbook, test: plain(TEST_FILE) },
  };
  return schema;
}

async function documentKinds(registry: StepRegistry): Promise<DocumentKind[]> {
  const types = await loadableTypes(registry);
  const found = types.flatMap(({ document }) => (document ? [document] : []));
  return [...new Map(found.map((one) => [one.kind, one])).values()];
}

/** A document of a kind, or one that extends another and so has only what it changes. */
function documentSchema({ schema }: DocumentKind): JsonSchema {
  const { required = [], anyOf, ...whole } = plain(schema);
  const complete = { required, ...(anyOf ? { anyOf } : {}) };
  return {
    ...whole,
    properties: {
      ...relaxedParams(whole),
      extends: {
        type: "string",
        description: "The document to start from; this one changes parts of it.",
      },
    },
    anyOf: [complete, { required: ["extends"] }],
  };
}

/** A parameter of an extended document is changed in part. */
function relaxedParams({ properties = {} }: JsonSchema): Record<string, JsonSchema> {
  const { params } = properties;
  if (typeof params?.additionalProperties !== "object") return properties;
  const { required: _, ...param } = params.additionalProperties;
  return { ...properties, params: { ...params, additionalProperties: param } };
}

function ref(name: string): JsonSchema {
  return { $ref: `#/definitions/${name}` } as EditorSchema;
}
