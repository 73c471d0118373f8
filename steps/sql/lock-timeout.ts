/** The part of an input that says how long to wait for a lock. */
export const lockTimeoutInput = (byDefault: string, locks = "each lock") =>
  ({
    type: ["string", "null"],
    format: "duration",
    description: `How long to wait for ${locks}; by default ${byDefault}`,
  }) as const;
