import type { DocumentKind, JsonObject } from "../../../engine/types.ts";
import { lintCheck } from "./acting.ts";
import { CHECK_SCHEMA } from "./check-schema.ts";
import { MACHINE_SCHEMA, PRIMARY_SCHEMA, SERVER_SCHEMA } from "./server-schema.ts";

export const CHECK_DOCUMENT: DocumentKind = {
  kind: "check",
  schema: CHECK_SCHEMA,
  lint: lintCheck,
  variables: (doc) => ({
    row: { type: "object" },
    effect: { type: "object" },
    params: {
      type: "object",
      additionalProperties: false,
      properties: Object.fromEntries(
        Object.entries((doc.data["params"] ?? {}) as JsonObject).map(([name, spec]) => [
          name,
          { type: String((spec as JsonObject)["type"]) },
        ]),
      ),
    },
    server: {
      ...SERVER_SCHEMA,
      properties: {
        ...SERVER_SCHEMA.properties,
        database_quoted: { type: "string" },
        user_quoted: { type: "string" },
        patroni: { type: "boolean" },
        roles: { type: "array", items: { type: "string" } },
        extensions: { type: "object" },
        settings: { type: "object" },
        machine: MACHINE_SCHEMA,
        flags: { type: "string" },
        primary: PRIMARY_SCHEMA,
      },
    },
  }),
};
