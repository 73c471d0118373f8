import { STATUSES } from "../check/scope.ts";
import type { JsonSchema, Json, JsonObject, RunStatus } from "../types.ts";

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
  expect: Expectation;
}

/** Only what is named is compared. Of a mapping only the keys that are named, of a list all items, of a message a part. */
export interface Expectation {
  status?: string;
  exit?: number;
  /** A code, or parts of the error. */
  error?: string | ExpectedError;
  /** By id or path: a status, or parts of the result. */
  steps?: Record<string, string | ExpectedStep>;
  undone?: string[];
  output?: Json;
}

export interface ExpectedError {
  code?: string;
  message?: string;
  hint?: string;
  step?: string;
}

export interface ExpectedStep {
  status?: string;
  changed?: boolean;
  attempts?: number;
  output?: Json;
  error?: string | ExpectedError;
}

export interface TestFile {
  /** Used by every case that has none of its own for a step. */
  fixtures?: TestCase["fixtures"];
  cases: TestCase[];
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

const FIXTURES: JsonSchema = {
  type: "object",
  additionalProperties: { anyOf: [FIXTURE, { type: "array", minItems: 1, items: FIXTURE }] },
};

const ERROR: JsonSchema = {
  anyOf: [
    { type: "string", description: "Its code" },
    {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        code: { type: "string" },
        message: { type: "string", description: "A part of the message" },
        hint: { type: "string", description: "A part of the hint" },
        step: { type: "string", description: "The path of the step that failed" },
      },
    },
  ],
};

const STEP_STATUS: JsonSchema = {
  type: "string",
  enum: [...STATUSES, "not reached"],
  description: "Its status; `not reached` when it must not begin",
};

const RUN_STATUSES: (RunStatus | "refused")[] = [
  "ok",
  "planned",
  "failed",
  "undone",
  "needs_operator",
  "interrupted",
  "refused",
];

const STEP: JsonSchema = {
  anyOf: [
    STEP_STATUS,
    {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        status: STEP_STATUS,
        changed: { type: "boolean" },
        attempts: { type: "integer" },
        output: { minProperties: 1, description: "Parts of the output" },
        error: ERROR,
      },
    },
  ],
};

/** The schema of a test file: `<runbook>.test.yaml` beside the runbook. */
export const TEST_FILE: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["cases"],
  properties: {
    fixtures: { ...FIXTURES, description: "Fixtures that every case has" },
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
            ...FIXTURES,
            description: "By step id or path: the answer, or a list of answers call after call",
          },
          expect: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            properties: {
              status: { type: "string", enum: RUN_STATUSES },
              exit: { type: "integer" },
              error: ERROR,
              steps: { type: "object", minProperties: 1, additionalProperties: STEP },
              undone: {
                type: "array",
                items: { type: "string" },
                description: "Paths of the steps that were undone, in that order",
              },
              output: { minProperties: 1, description: "Parts of the output" },
            },
          },
        },
      },
    },
  },
};
