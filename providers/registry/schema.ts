import type { JsonSchema } from "../../engine/types.ts";
import { SSL_MODES } from "../postgres/connect.ts";

const password: Record<string, JsonSchema> = {
  password_env: {
    type: "string",
    minLength: 1,
    description: "The variable that holds the password",
  },
  password_file_env: {
    type: "string",
    minLength: 1,
    description: "The variable that names the file with the password",
  },
};

const NAMES_ONLY = "This file holds only names of variables, never a password and no file of one";
/** What people write who expect the password itself here, and what they mean. */
const instead: Record<string, string> = {
  ...Object.fromEntries(
    ["password", "pass", "passwd", "pgpassword", "PGPASSWORD"].map((key) => [
      key,
      `Did you mean password_env? ${NAMES_ONLY}: write \`password_env: ORDERS_PASSWORD\`, and set that variable.`,
    ]),
  ),
  ...Object.fromEntries(
    ["password_file", "passfile", "pgpassfile", "PGPASSFILE"].map((key) => [
      key,
      `Did you mean password_file_env? ${NAMES_ONLY}: write \`password_file_env: ORDERS_PASSWORD_FILE\`, and let that variable name the file.`,
    ]),
  ),
};

/** One cluster of the registry: `clusters/<name>.yaml` in the state folder. It holds names of variables, never a password. */
export const CLUSTER_SCHEMA: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["ownership", "postgres"],
  "x-instead": instead,
  properties: {
    ownership: {
      type: "string",
      enum: ["managed", "connected"],
      description: "Whether pgdba made it; what is connected is never destroyed",
    },
    labels: {
      type: "array",
      items: { type: "string", minLength: 1 },
      description: "`production` refuses chaos and destruction; policies may name any label",
    },
    system_identifier: {
      type: "string",
      pattern: "^[0-9]{1,20}$",
      description: "The server's, in quotes; another server under this name is refused",
    },
    postgres: {
      type: "object",
      additionalProperties: false,
      required: ["host", "user"],
      "x-instead": instead,
      properties: {
        host: { type: "string", minLength: 1, description: "Host, address or socket folder" },
        port: { type: ["integer", "string"], minimum: 1, maximum: 65_535, default: 5432 },
        user: { type: "string", minLength: 1, description: "The role to connect as" },
        database: { type: "string", minLength: 1, default: "postgres" },
        sslmode: { type: "string", enum: [...SSL_MODES], default: "prefer" },
        sslrootcert: { type: "string", description: "A file; relative to this one" },
        ...password,
      },
    },
    patroni: {
      type: "object",
      additionalProperties: false,
      required: ["endpoints"],
      "x-instead": instead,
      description: "The Patroni that runs the cluster",
      properties: {
        endpoints: {
          type: "array",
          minItems: 1,
          items: { type: "string", pattern: "^https?://[^\\s/@]+/?$" },
          description: "URLs of its REST API",
        },
        user: { type: "string", description: "For the verbs that change something" },
        cafile: { type: "string", description: "A file; relative to this one" },
        ...password,
      },
    },
  },
};
