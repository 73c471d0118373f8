/** What was found in a restored server. */
export const LOOK = {
  type: "object",
  additionalProperties: false,
  required: ["databases", "checks", "amcheck", "seconds"],
  properties: {
    databases: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "bytes", "tables", "rows"],
        properties: {
          name: { type: "string" },
          bytes: { type: "number" },
          tables: { type: "number" },
          rows: {
            type: ["number", "null"],
            description: "Of all tables; null where it took too long",
          },
        },
      },
    },
    checks: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["database", "sql", "holds", "why"],
        properties: {
          database: { type: "string" },
          sql: { type: "string" },
          holds: { type: "boolean" },
          why: { type: ["string", "null"] },
        },
      },
    },
    amcheck: {
      type: ["object", "null"],
      description: "Indexes that were checked; null where no database has the extension",
    },
    seconds: { type: "number" },
  },
} as const;
