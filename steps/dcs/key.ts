/** A leader key, as steps hand it on. */
export const KEY = {
  type: "object",
  additionalProperties: false,
  required: ["holder", "revision", "ttl_seconds"],
  properties: {
    holder: { type: "string", description: "The member" },
    revision: {
      type: "string",
      description:
        "Tells this key from one that was renewed since; good in the process that read it",
    },
    ttl_seconds: { type: ["number", "null"], description: "What is left of its lease" },
  },
} as const;
