const nullable = (type: string) => ({ type: [type, "null"] }) as const;

/** The figures of one statement, as query.top and query.snapshot list them. */
export const ROW = {
  queryid: { type: "string" },
  query: { type: "string", description: "With $1, $2, … for its constants" },
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
  share_percent: { type: "number", description: "Of the execution time of all statements" },
} as const;

export const ROW_KEYS = Object.keys(ROW) as (keyof typeof ROW)[];
