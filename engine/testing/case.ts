import type { JsonSchema, Json, JsonObject } from "../types.ts";

/** What a mocked step does when it is called: gives an output, or fails. */
export interface Fixture {
  output?: Json;
  error?: { code?: string; message?: string; retryable?: boolean };
}

export interface TestCase {
  name: string;
  params?: JsonObject;
  target?: {
    name?: string;
    cluster?: string;
    labels?: string[];
    capabilities?: string[];
    identity?: string;
    facts?: JsonObject;
  };
  flags?: { yes?: boolean; confirm?: string; i_know_what_i_am_doing?: boolean; plan?: boolean };
  /** By step id or path; a list answers call after call, its last for all further ones. */
  fixtures?: Record<string, Fixture | Fixture[]>;
  expect: {
    status?: string;
    exit?: number;
    error?: string;
    steps?: Record<string, string>;
    undone?: string[];
    output?: Json;
  };
}

const FIXTURE: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: {
    output: {},
    error: {
      type: "object",
      additionalProperties: false,
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        retryable: { type: "boolean" },
      },
    },
  },
};

const OPEN: JsonSchema = { type: "object" };

/** The schema of a test file: `<runbook>.test.yaml` beside the runbook. */
export const TEST_FILE: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["cases"],
  properties: {
    cases: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "expect"],
        properties: {
          name: { type: "string" },
          params: OPEN,
          target: {
            type: "object",
            additionalProperties: false,
            properties: {
              name: { type: "string" },
              cluster: { type: "string" },
              labels: { type: "array", items: { type: "string" } },
              capabilities: { type: "array", items: { type: "string" } },
              identity: { type: "string" },
              facts: OPEN,
            },
          },
          flags: {
            type: "object",
            additionalProperties: false,
            properties: {
              yes: { type: "boolean" },
              confirm: { type: "string" },
              i_know_what_i_am_doing: { type: "boolean" },
              plan: { type: "boolean" },
            },
          },
          fixtures: {
            type: "object",
            additionalProperties: {
              anyOf: [FIXTURE, { type: "array", minItems: 1, items: FIXTURE }],
            },
          },
          expect: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            properties: {
              status: { type: "string" },
              exit: { type: "integer" },
              error: { type: "string" },
              steps: { type: "object", additionalProperties: { type: "string" } },
              undone: { type: "array", items: { type: "string" } },
              output: {},
            },
          },
        },
      },
    },
  },
};
