import { BASES } from "./interval.ts";
import { ORDERS } from "./top-sql.ts";

const nullable = (type: string) => ({ type: [type, "null"] }) as const;

/** The kinds of lists, by the statements that they hold and their order. */
export const RANKED_BY = {
  order: {
    type: "string",
    enum: ORDERS,
    default: "total",
    description: "The figure by which statements are ranked",
  },
  threshold: {
    type: "string",
    format: "duration",
    default: "0ms",
    description: "Least mean time",
  },
  limit: {
    type: "integer",
    minimum: 1,
    maximum: 1000,
    default: 20,
    description: "Statements at most",
  },
} as const;

/** The figures of one statement, as query.top and query.snapshot list them. */
export const ROW = {
  queryid: { type: "string" },
  query: {
    type: "string",
    description: "With $1, $2, … for its constants; a command's strings are masked",
  },
  database: nullable("string"),
  calls: { type: "integer" },
  total_ms: { type: "number" },
  mean_ms: { type: "number" },
  rows: { type: "integer" },
  hit_percent: {
    ...nullable("number"),
    description: "Pages found in shared_buffers; null when it read none",
  },
  io_ms: {
    ...nullable("number"),
    description: "Reading and writing; null when the server does not measure it",
  },
  io_bytes: {
    type: "integer",
    description: "Read from outside of shared_buffers, temporary files included",
  },
  temp_bytes: { type: "integer", description: "Written to temporary files" },
  wal_bytes: nullable("integer"),
  share_percent: {
    type: "number",
    description: "Of the execution time of all statements but pgdba's own",
  },
} as const;

export const ROW_KEYS = Object.keys(ROW) as (keyof typeof ROW)[];

/** The changes within an interval. */
export const CHANGES = {
  type: "object",
  additionalProperties: false,
  required: [
    "statements",
    "hidden",
    "total_ms",
    "from",
    "to",
    "seconds",
    "reset",
    "evicted",
    "dealloc",
    "stats_reset",
  ],
  properties: {
    statements: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: [...ROW_KEYS, "basis"],
        properties: {
          ...ROW,
          basis: {
            type: "string",
            enum: BASES,
            description:
              "difference of two counts, new in the interval, or counted anew from a reset in it",
          },
        },
      },
    },
    hidden: {
      type: "integer",
      description: "Statements that this role may not see; not in the list",
    },
    total_ms: {
      type: "number",
      description: "Execution time of all statements in the interval but pgdba's own",
    },
    from: { type: "string" },
    to: { type: "string" },
    seconds: { type: "number" },
    reset: { type: "boolean", description: "All statistics were reset: `from` is when" },
    evicted: { type: "integer", description: "Statements that are no longer there" },
    dealloc: {
      type: ["integer", "null"],
      description: "How often statements were dropped in the interval; null before 14",
    },
    stats_reset: { type: ["string", "null"] },
  },
} as const;
