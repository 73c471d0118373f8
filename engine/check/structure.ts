import { HAZARDS, type Json, type JsonSchema, LOCK_WORDS, RISKS } from "../types.ts";

/** The form of an id, a parameter and a loop variable. */
export const NAME = "^[a-z][a-z0-9_]*$";

/** Words of CEL that can't be written after a dot, so that nothing of this name could be referred to. */
export const WORDS: readonly string[] = ["in", "true", "false", "null"];

const text: JsonSchema = { type: "string", minLength: 1 };
const cel: JsonSchema = { type: ["string", "boolean"], "x-lang": "cel" };
const duration: JsonSchema = { type: "string", format: "duration", "x-lang": "static" };
const steps: JsonSchema = { type: "array", items: { type: "object" }, minItems: 1 };

const retry: JsonSchema = {
  type: "object",
  description: "Try again when the step fails.",
  properties: {
    attempts: {
      type: "integer",
      minimum: 1,
      maximum: 1000,
      description: "Attempts in all, the first included.",
    },
    backoff: {
      ...duration,
      description: "Delay before the second attempt; doubled for each further one, at most 30s.",
    },
    on: {
      ...cel,
      description: "CEL over `error`; by default, errors that say they are retryable.",
    },
  },
  required: ["attempts"],
  additionalProperties: false,
};

/** Keys that any step or block may have. */
export const COMMON: Record<string, JsonSchema> = {
  id: {
    type: "string",
    pattern: NAME,
    description: "How later steps refer to this one: `steps.<id>.output`.",
  },
  when: { ...cel, description: "CEL; the step is skipped unless it is true." },
  foreach: {
    type: ["string", "array"],
    "x-lang": "cel",
    description: "CEL that yields a list, or a list: the step is done once per item.",
  },
  as: {
    type: "string",
    pattern: NAME,
    description: "Name of the loop variable; by default `item`.",
  },
  parallel: {
    type: ["integer", "string"],
    minimum: 1,
    maximum: 64,
    pattern: "^params\\.[a-z][a-z0-9_]*$",
    "x-lang": "cel",
    description: "How many items at a time, 1 to 64: a number, or `params.NAME`.",
  },
  retry,
  until: { ...cel, description: "CEL over `output`; the step is repeated until it is true." },
  every: { ...duration, description: "Pause between two tries of `until`." },
  timeout: {
    ...duration,
    description: "How long an attempt may take; with `until`, all of them together.",
  },
  ignore_error: { type: "boolean", description: "Go on when the step fails." },
  fresh: {
    type: "boolean",
    description:
      "Of a read: a resumed run asks it again before it goes on, instead of going by what it gave.",
  },
  keep: {
    type: "boolean",
    description:
      "A point of no return: once it is done, neither it nor anything before it is taken back when the run fails.",
  },
  sensitive: {
    type: "boolean",
    description:
      "Keep the output out of the journal, the events and the envelope, also where later steps use it; `false`: it gives nothing away of what it reads.",
  },
};

/** Keys of a step that is not a block. */
export const ACTION_ONLY: Record<string, JsonSchema> = {
  undo: {
    anyOf: [{ const: false }, steps],
    description: "Steps that take this one back, rendered before it acts; `false`: don't undo it.",
  },
};

/** Keys of a block. */
export const BLOCK_ONLY: Record<string, JsonSchema> = {
  block: { ...steps, description: "Steps that are retried, guarded and repeated together." },
  rescue: { ...steps, description: "Done when a step of the block failed; may use `error`." },
  always: { ...steps, description: "Done in the end, whatever happened." },
  output: {
    type: "object",
    description: "What the block yields: names to CEL, over the steps in it.",
  },
};

/** A step, whatever its type. Its type key is checked apart, against the registry. */
export const STEP: JsonSchema = {
  type: "object",
  properties: { ...COMMON, ...ACTION_ONLY, ...BLOCK_ONLY },
};

/** Keywords that a parameter, or a schema under `output_schema`, may use. */
const KEYWORDS: Record<string, JsonSchema> = {
  type: {
    anyOf: [typeName(), { type: "array", items: typeName(), minItems: 1 }],
  },
  description: { type: "string" },
  title: { type: "string" },
  default: {},
  examples: { type: "array" },
  enum: { type: "array", minItems: 1 },
  const: {},
  format: text,
  pattern: text,
  minimum: { type: "number" },
  maximum: { type: "number" },
  minLength: { type: "integer", minimum: 0 },
  maxLength: { type: "integer", minimum: 0 },
  minItems: { type: "integer", minimum: 0 },
  maxItems: { type: "integer", minimum: 0 },
  minProperties: { type: "integer", minimum: 0 },
  maxProperties: { type: "integer", minimum: 0 },
};

const NESTED = {
  items: { type: "object" },
  properties: { type: "object", additionalProperties: { type: "object" } },
  additionalProperties: { type: ["boolean", "object"] },
  anyOf: { type: "array", items: { type: "object" }, minItems: 1 },
  oneOf: { type: "array", items: { type: "object" }, minItems: 1 },
  allOf: { type: "array", items: { type: "object" }, minItems: 1 },
} satisfies Record<string, JsonSchema>;

function typeName(): JsonSchema {
  return {
    type: "string",
    enum: ["string", "number", "integer", "boolean", "array", "object", "null"],
  };
}

function lockWord(): JsonSchema {
  return { type: "string", enum: LOCK_WORDS as unknown as Json[] };
}

/** A JSON Schema as a runbook may write it, one level of it. */
export const SUBSCHEMA: JsonSchema = {
  type: "object",
  properties: { ...KEYWORDS, ...NESTED, required: { type: "array", items: text } },
  additionalProperties: false,
};

/** An entry of `params`. */
export const PARAM: JsonSchema = {
  type: "object",
  properties: {
    ...KEYWORDS,
    ...NESTED,
    required: { type: "boolean", description: "The run is refused without it." },
    secret: {
      type: "boolean",
      description: "Given as `env:NAME` or `file:PATH`, never itself; masked everywhere.",
    },
    target: {
      anyOf: [
        { const: true },
        {
          type: "object",
          additionalProperties: false,
          required: ["from", "suffix"],
          properties: { from: text, suffix: text },
        },
      ],
      description:
        "Names the run's target, as `--cluster` does; with `format: cluster`. With `from` and `suffix` the target is another cluster than that of `--cluster`, which the parameter `from` takes; without a name it has that one's with `suffix` at its end.",
    },
    runbook: {
      ...text,
      description:
        "Where it is given (a boolean: as true), the run is that of this runbook, with the same flags.",
    },
    confirms: {
      type: "boolean",
      description:
        "The answer to a question of its own, given ahead where nobody is at a terminal: a person's to give, as `--yes` is. An agent gives it only where it may confirm.",
    },
    positional: {
      type: "integer",
      minimum: 1,
      description:
        "May also be given as the nth bare word; a list that is the last of them takes all that follow.",
    },
  },
  additionalProperties: false,
};

/** A runbook, but for the insides of its steps and parameters. */
export const RUNBOOK: JsonSchema = {
  type: "object",
  properties: {
    name: { ...text, description: "Its path below the layer, without `.yaml`; may be left out." },
    kind: { const: "runbook" },
    summary: { ...text, description: "One sentence: what it does." },
    description: { type: "string", description: "Markdown: when to use it, what to watch." },
    risk: {
      type: "string",
      enum: RISKS as unknown as Json[],
      description: "The worst it does; decides which gates stand before it.",
    },
    hazards: {
      type: "array",
      items: { type: "string", enum: HAZARDS as unknown as Json[] },
      description:
        "What it does beyond its risk: `fault` breaks on purpose, `destroys` removes the cluster, `loses` may lose data. What its steps say counts without it.",
    },
    needs: {
      type: "array",
      items: text,
      description:
        "Capabilities that the target must have, e.g. `postgres`, beside those that its steps need.",
    },
    gives: {
      type: "array",
      items: text,
      description:
        "Capabilities that the target has once it is done. `verified_backup`: it is run before whatever may lose data, and its output has `verified: true`.",
    },
    locks: {
      anyOf: [lockWord(), { type: "array", items: lockWord() }],
      description:
        "The parts of the target that no other run works on meanwhile. What its steps say counts without it.",
    },
    tags: {
      type: "array",
      items: text,
      description:
        "Other words that people look for it by, such as `disk full`; `pgdba list WORD…` finds them.",
    },
    part: {
      type: "boolean",
      description:
        "It is a part of other runbooks and not meant to be chosen by itself: `list` leaves it out.",
    },
    watches: {
      type: "boolean",
      description:
        "It runs until it is interrupted, which is its good end: exit 0. It locks its own name, and not the target; an `until` at its top has no time limit of itself.",
    },
    params: {
      type: "object",
      description: "Its parameters, as JSON Schema; flags and help derive from them.",
    },
    steps: { ...steps, description: "What it does, in order." },
    output: { type: "object", description: "What it yields: names to CEL." },
    output_schema: {
      type: "object",
      additionalProperties: { type: "object" },
      description: "JSON Schema of outputs, tighter than what is inferred.",
    },
    shown: {
      type: "array",
      items: {
        anyOf: [
          text,
          {
            type: "object",
            minProperties: 1,
            maxProperties: 1,
            additionalProperties: { type: "array", items: text, minItems: 1 },
          },
        ],
      },
      description:
        "What `--format table` shows of the output, in this order: names, or a name with the columns of its rows.",
    },
  },
  required: ["summary", "risk", "steps"],
  additionalProperties: false,
};
