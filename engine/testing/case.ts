import { STATUSES } from "../check/scope.ts";
import { EXIT_BY_CODE, type ErrorCode } from "../errors.ts";
import type { Said } from "../journal/journal.ts";
import type {
  JsonSchema,
  Json,
  JsonObject,
  ProbeResult,
  RunStatus,
  Target,
  TargetState,
} from "../types.ts";

/** The behaviour of a mocked step when it is called: it gives an output, or fails. */
export interface Fixture {
  output?: Json;
  error?: FixtureError;
  /** Put on disk before it answers, and before the process dies in it. */
  note?: Json;
  /** The effect of its inverse, which works without this key. */
  undo?: { error?: FixtureError; unchanged?: boolean };
  /** The answers of its probe after a crash, call after call; `unknown` without this key. */
  probe?: ProbeFixture | ProbeFixture[];
}

interface FixtureError {
  code?: ErrorCode;
  message?: string;
  retryable?: boolean;
  data?: JsonObject;
}

interface ProbeFixture {
  state: ProbeResult["state"];
  output?: Json;
  reason?: string;
  note?: Json;
  error?: FixtureError;
}

export interface TestCase {
  name: string;
  params?: JsonObject;
  target?: {
    name?: string;
    cluster?: string;
    state?: TargetState;
    provider?: string;
    ownership?: Target["ownership"];
    /** Verbs of its provider; with `false` one that it lacks. */
    can?: string[] | Record<string, boolean>;
    labels?: string[];
    capabilities?: string[];
    identity?: string;
    facts?: JsonObject;
  };
  flags?: {
    yes?: boolean;
    confirm?: string;
    i_know_what_i_am_doing?: boolean;
    without_backup?: string;
    plan?: boolean;
  };
  /** By step id or path; a list answers call after call, its last for all further ones. */
  fixtures?: Record<string, Fixture | Fixture[]>;
  /** The step in which the process dies, by id or path; of a list one process after the other. The run is then resumed. */
  crash_at?: string | string[];
  /** The statement of a person when the run is resumed for the last time. */
  assume?: Record<string, Said>;
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
  /** Steps that a point of no return has kept. */
  kept?: string[];
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

const CODE: JsonSchema = { type: "string", enum: Object.keys(EXIT_BY_CODE) };

const FAILS: JsonSchema = {
  type: "object",
  additionalProperties: false,
  description:
    "The step fails instead: `code` (one of the [error codes](#error-codes), by default `step_failed`), `message`, `retryable`, `data`",
  properties: {
    code: { ...CODE, description: "One of the error codes; by default `step_failed`" },
    message: { type: "string" },
    retryable: { type: "boolean", description: "True when `retry` without `on` tries again" },
    data: { type: "object", description: "What the error tells besides, such as `sqlstate`" },
  },
};

const PROBE: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["state"],
  properties: {
    state: { type: "string", enum: ["done", "not_done", "running", "failed", "unknown"] },
    error: FAILS,
    output: { description: "Of `done`: the output" },
    reason: { type: "string", description: "Of `unknown`: why" },
    note: { description: "Of `running`: what the step is attached by" },
  },
};

/** An answer of a mocked step. */
export const FIXTURE: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  properties: {
    output: { description: "The output of the step: all of it, or the parts that matter" },
    error: FAILS,
    note: { description: "What the step notes before it acts" },
    undo: {
      type: "object",
      additionalProperties: false,
      description:
        "What its own undo does: fail (`error`), or find nothing to take back (`unchanged`); it works without this key",
      properties: { error: FAILS, unchanged: { type: "boolean" } },
    },
    probe: {
      description:
        "What its probe answers when the run is resumed: `{state: done, output}`, `{state: not_done}`, `{state: running, note}`, `{state: failed, error}` or `{state: unknown, reason}`, or a list of these; `unknown` without this key",
      anyOf: [PROBE, { type: "array", minItems: 1, items: PROBE }],
    },
  },
};

const STATES: readonly TargetState[] = ["none", "absent", "partial", "unreachable", "down", "up"];

const FIXTURES: JsonSchema = {
  type: "object",
  additionalProperties: { anyOf: [FIXTURE, { type: "array", minItems: 1, items: FIXTURE }] },
};

const ERROR: JsonSchema = {
  description: "Its [code](#error-codes), or parts of it: `code`, `message`, `hint`, `step`",
  anyOf: [
    { ...CODE, description: "Its code" },
    {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        code: CODE,
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
  description: "The status of the step; `not reached` when it must not begin",
};

const RUN_STATUSES: (RunStatus | "refused")[] = [
  "ok",
  "planned",
  "failed",
  "undone",
  "needs_operator",
  "waiting",
  "interrupted",
  "refused",
];

/** The expectation of a step. */
export const STEP: JsonSchema = {
  anyOf: [
    STEP_STATUS,
    {
      type: "object",
      additionalProperties: false,
      minProperties: 1,
      properties: {
        status: STEP_STATUS,
        changed: { type: "boolean", description: "True when it changed something" },
        attempts: { type: "integer", description: "The number of attempts" },
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
    fixtures: {
      ...FIXTURES,
      description: "Fixtures of every case; the fixtures of a case come first",
    },
    cases: {
      type: "array",
      minItems: 1,
      description: "Runs of the runbook, each on its own",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "expect"],
        properties: {
          name: { type: "string", description: "What the case shows; no other case has this name" },
          params: {
            type: "object",
            description: "Parameters of the run; a secret is written in clear here",
          },
          target: {
            type: "object",
            additionalProperties: false,
            description: "The target of the run, where it matters",
            properties: {
              name: { type: "string", description: "`target.name`", default: "test" },
              cluster: {
                type: "string",
                description: "`target.cluster`; counts as given by `--cluster` when it stands here",
                default: "test",
              },
              state: {
                type: "string",
                enum: STATES as unknown as Json[],
                description: "`target.state`; one that is not `up` has no capabilities of itself",
                default: "up",
              },
              provider: { type: "string", description: "`target.provider`" },
              ownership: {
                type: "string",
                enum: ["managed", "connected", "none"],
                description: "Whether pgdba made it",
                default: "managed",
              },
              can: {
                anyOf: [
                  { type: "array", items: { type: "string" } },
                  { type: "object", additionalProperties: { type: "boolean" } },
                ],
                description:
                  "`target.can`: the verbs that its provider has, or a mapping of verbs to true and false",
              },
              labels: {
                type: "array",
                items: { type: "string" },
                description: "Its labels, such as `production`",
                default: [],
              },
              capabilities: {
                type: "array",
                items: { type: "string" },
                description:
                  "The capabilities it begins with, of those that runbooks may `need`; all that the runbook needs without this key. What steps give and take changes them",
              },
              identity: {
                type: "string",
                description: "Its `system_identifier`",
                default: "1",
              },
              facts: { type: "object", description: "Further facts that it tells", default: {} },
            },
          },
          flags: {
            type: "object",
            additionalProperties: false,
            description: "Flags of the command line, as the gates see them",
            properties: {
              yes: { type: "boolean", description: "`--yes`" },
              confirm: { type: "string", description: "`--confirm`" },
              i_know_what_i_am_doing: {
                type: "boolean",
                description: "`--i-know-what-i-am-doing`",
              },
              without_backup: { type: "string", description: "`--without-backup`" },
              plan: { type: "boolean", description: "`--plan`" },
            },
          },
          fixtures: {
            ...FIXTURES,
            description:
              "By step id or path: the answer, or a list of answers, one for each call; the last one serves all further calls",
          },
          crash_at: {
            description:
              "The step, by id or path, in which the process dies as by `kill -9`; the run is then resumed. `<step>~undo` dies while it is taken back. Of a list one process after the other",
            anyOf: [{ type: "string" }, { type: "array", minItems: 1, items: { type: "string" } }],
          },
          assume: {
            type: "object",
            minProperties: 1,
            additionalProperties: { type: "string", enum: ["done", "not_done"] },
            description: "`--assume` of the last resume, by path",
          },
          expect: {
            type: "object",
            additionalProperties: false,
            minProperties: 1,
            description: "The expected result; only the parts that are named are compared",
            properties: {
              status: {
                type: "string",
                enum: RUN_STATUSES,
                description: "The end of the run; `refused` when it must not begin",
              },
              exit: { type: "integer", description: "The exit code" },
              error: { ...ERROR, description: `The error. ${ERROR.description}` },
              steps: {
                type: "object",
                minProperties: 1,
                additionalProperties: STEP,
                description: "By id or path: a status, or parts of the step's result",
              },
              kept: {
                type: "array",
                items: { type: "string" },
                description: "Paths of the steps that a point of no return has kept, in that order",
              },
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
