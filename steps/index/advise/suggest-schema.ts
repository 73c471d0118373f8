const TEXT = { type: "string" } as const;
const NUMBER = { type: "number" } as const;
const NUMBER_OR_NULL = { type: ["number", "null"] } as const;
const TEXTS = { type: "array", items: TEXT } as const;

/** The ways to give a workload; also the input of `plan.diff`. */
export const WORKLOAD_INPUT = {
  workload: {
    type: ["array", "null"],
    description: "Statements and how often each runs; by default those of pg_stat_statements",
    items: {
      type: "object",
      additionalProperties: false,
      required: ["sql"],
      properties: { sql: { type: "string", minLength: 1 }, calls: { type: "number", minimum: 0 } },
    },
  },
  workload_file: {
    type: ["string", "null"],
    description: "A file of SQL statements, each counted once",
  },
  queryid: { type: ["string", "null"], description: "One statement of pg_stat_statements" },
  tables: {
    type: ["array", "null"],
    items: TEXT,
    description: "Only statements on these tables, as table or schema.table",
  },
  statements: {
    type: ["integer", "null"],
    minimum: 1,
    maximum: 5000,
    description:
      "Statements taken from pg_stat_statements: those that took most time; by default 200",
  },
} as const;

/** The time to look for indexes when none is given. */
export const TIME_BUDGET = "30s";

export const SUGGEST_INPUT = {
  type: "object",
  additionalProperties: false,
  properties: {
    ...WORKLOAD_INPUT,
    prove: {
      type: ["string", "null"],
      enum: ["twin", "hypopg", null],
      description:
        "The planner that says what an index is worth: the twin's, or the server's own with its extension hypopg; by default the twin's",
    },
    budget: {
      type: ["string", "null"],
      format: "bytes",
      description: "The bytes that all suggested indexes may take together; by default any size",
    },
    max_indexes: {
      type: ["integer", "null"],
      minimum: 1,
      description: "How many to suggest at most",
    },
    min_improvement: {
      type: ["number", "null"],
      minimum: 0,
      maximum: 100,
      description:
        "The percentage of the workload's cost that each index must save beside the others; by default 1",
    },
    time_budget: {
      type: ["string", "null"],
      format: "duration",
      description: `How long to look for indexes; statements that were not looked at by then are named. By default ${TIME_BUDGET}`,
    },
  },
} as const;

const object = <const P extends Record<string, object>>(properties: P) =>
  ({
    type: "object",
    additionalProperties: false,
    required: Object.keys(properties),
    properties,
  }) as const;
const list = <const I extends object>(items: I, description: string) =>
  ({ type: "array", items, description }) as const;

export const LIMITS_OUTPUT = list(
  object({ object: TEXT, reason: TEXT }),
  "The objects that the twin lacks, and what to do about it",
);
export const UNPROVEN_OUTPUT = list(
  object({
    sql: TEXT,
    reason: TEXT,
    position: {
      ...NUMBER_OR_NULL,
      description: "The character of sql that the reason is about, from 1",
    },
    hint: { type: ["string", "null"], description: "A remedy" },
  }),
  "Statements that could not be planned; the answer says nothing about them",
);

export const SUGGEST_OUTPUT = object({
  suggestions: list(
    object({
      name: TEXT,
      table: TEXT,
      definition: TEXT,
      statements: { ...TEXTS, description: "The statements that build it while others write" },
      command: {
        type: ["string", "null"],
        description:
          "The pgdba command that builds it, for a shell; null where it takes several statements",
      },
      bytes: { ...NUMBER, description: "Estimated size" },
      saves: {
        ...NUMBER,
        description: "Planner cost that the workload would have in addition without it",
      },
      used_by: { ...TEXTS, description: "Statements whose plan uses it" },
      replaces: { ...TEXTS, description: "Existing indexes that it begins with" },
      write_overhead: object({
        rows: { ...NUMBER, description: "Rows of it that the workload writes" },
        cost: {
          ...NUMBER,
          description: "The cost that this was counted as, in the planner's units",
        },
        table_inserts: NUMBER_OR_NULL,
        table_updates: NUMBER_OR_NULL,
        table_hot_updates: NUMBER_OR_NULL,
        days: { ...NUMBER_OR_NULL, description: "Time over which the table's counters run" },
      }),
      notes: TEXTS,
    }),
    "The most useful first",
  ),
  removable: list(
    object({
      index: TEXT,
      table: TEXT,
      bytes: NUMBER,
      reason: TEXT,
      scans: NUMBER_OR_NULL,
      days: NUMBER_OR_NULL,
      statement: TEXT,
    }),
    "Existing indexes that can go: no plan of the workload costs more without them. Scans are counted on this member only",
  ),
  queries: list(
    object({
      sql: TEXT,
      queryid: { type: ["string", "null"] },
      calls: NUMBER,
      cost_before: NUMBER,
      cost_after: NUMBER,
      indexes: TEXTS,
    }),
    "Each statement's planner cost for one run, the most saved first",
  ),
  cost: object({ before: NUMBER, after: NUMBER, saved_percent: NUMBER }),
  curve: list(
    object({
      index: {
        type: ["string", "null"],
        description: "The index that is added; null for none yet",
      },
      indexes: { ...NUMBER, description: "The number of indexes up to this one" },
      cost: NUMBER,
      saved_percent: NUMBER,
      bytes: { ...NUMBER, description: "Estimated size of all up to this one" },
      suggested: { type: "boolean", description: "False from the point where the curve is flat" },
    }),
    "The cost of the workload after each index, the one that saves most first",
  ),
  bytes: { ...NUMBER, description: "Estimated size of all suggested indexes" },
  workload: object({
    source: { type: "string", enum: ["given", "pg_stat_statements"] },
    statements: NUMBER,
    hidden: NUMBER,
  }),
  unproven: UNPROVEN_OUTPUT,
  nothing_to_advise: list(
    object({ sql: TEXT, reason: TEXT }),
    "Statements that no index can help: they read no table, or only the system's own",
  ),
  limits: LIMITS_OUTPUT,
  search: object({
    complete: { type: "boolean", description: "False when the time budget was used up" },
    seconds: NUMBER,
    not_tried: {
      ...NUMBER,
      description: "Statements for which no index of their own was tried; the cheapest are last",
    },
    statements: { ...TEXTS, description: "The first hundred of them" },
  }),
  effort: object({ candidates: NUMBER, plans: NUMBER, statements_sent: NUMBER }),
});
