import type { FromSchema } from "../../engine/shared/from-schema.ts";
import type { JsonSchema } from "../../engine/types.ts";
import { PROVIDERS } from "../nodes/_registry.ts";
import { node, port } from "./node-schema.ts";
import { SSL_MODES } from "../postgres/connect.ts";

const NAMES_ONLY = "This file holds only names of variables, never a password and no file of one";
/** The keys of people who expect the password itself here, and the keys that they mean. */
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

const password = {
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
  password_secret: {
    type: "string",
    minLength: 1,
    description: "The name under `secrets` of the password",
  },
} as const;

const secret = {
  oneOf: [
    {
      type: "object",
      additionalProperties: false,
      required: ["env"],
      properties: {
        env: { type: "string", minLength: 1, description: "The variable that holds the value" },
      },
    },
    {
      type: "object",
      additionalProperties: false,
      required: ["file"],
      properties: {
        file: {
          type: "string",
          pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$",
          description: "A file with mode 0600 in the state folder that holds the value",
        },
      },
    },
  ],
} as const;

/** Entries may name these before pgdba can do anything with them. */
const PLANNED = ["docker", "ssh", "kubernetes"];
const PLACES: readonly string[] = [...new Set<string>([...PROVIDERS, ...PLANNED])];

const account = {
  type: "object",
  additionalProperties: false,
  required: ["user", "password"],
  properties: {
    user: { type: "string", minLength: 1, format: "connection-part" },
    password: {
      type: "string",
      minLength: 1,
      description: "The name under `secrets` of its password",
    },
  },
} as const satisfies JsonSchema;

const url = { type: "string", pattern: "^https?://[^\\s/@]+(/[^\\s@]*)?$" } as const;

const FILE = {
  type: "object",
  additionalProperties: false,
  required: ["ownership"],
  "x-instead": instead,
  properties: {
    ownership: {
      type: "string",
      enum: ["managed", "connected"],
      description: "Whether pgdba made it; what is connected is never destroyed",
    },
    provider: {
      type: "string",
      enum: PLACES,
      description: "Where its nodes live; without it pgdba knows only the connection",
    },
    labels: {
      type: "array",
      items: { type: "string", minLength: 1 },
      description:
        "`production` refuses what breaks things on purpose and destruction; policies may name any label",
    },
    partial: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9-]*$",
      description: "The run that makes it, or left it half made; written by pgdba",
    },
    system_identifier: {
      type: "string",
      pattern: "^[0-9]{1,20}$",
      description: "The server's, in quotes; another server under this name is refused",
    },
    cluster_id: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9-]{0,62}$",
      description:
        "Given by pgdba when it makes the cluster: tells it from a restored copy, which has the same system identifier",
    },
    postgres: {
      type: "object",
      additionalProperties: false,
      required: ["host", "user"],
      "x-instead": instead,
      description: "How PostgreSQL is reached",
      properties: {
        host: {
          type: "string",
          minLength: 1,
          format: "host",
          description: "Host, address or socket folder",
        },
        port: { ...port, default: 5432 },
        user: {
          type: "string",
          minLength: 1,
          format: "connection-part",
          description: "The role to connect as",
        },
        database: {
          type: "string",
          minLength: 1,
          format: "connection-part",
          default: "postgres",
        },
        sslmode: { type: "string", enum: SSL_MODES, default: "prefer" },
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
        scope: { type: "string", minLength: 1, description: "The name of the cluster in the DCS" },
        namespace: {
          type: "string",
          default: "service",
          description: "The part of the DCS under which the scope stands",
        },
        members: {
          type: "object",
          additionalProperties: url,
          description:
            "Where pgdba reaches the REST API of each member, by its name; without this as its node says, else as Patroni itself tells",
        },
        user: { type: "string", description: "For the verbs that change something" },
        cafile: { type: "string", description: "A file; relative to this one" },
        ...password,
      },
    },
    dcs: {
      type: "object",
      additionalProperties: false,
      required: ["kind", "endpoints"],
      "x-instead": instead,
      description: "Where Patroni keeps the state of the cluster",
      properties: {
        kind: { type: "string", enum: ["etcd3"] },
        endpoints: { type: "array", minItems: 1, items: url, description: "URLs for its clients" },
        user: { type: "string", description: "An account that may read and write the scope" },
        cafile: { type: "string", description: "A file; relative to this one" },
        ...password,
      },
    },
    pgbouncer: {
      type: "object",
      additionalProperties: false,
      required: ["instances"],
      "x-instead": instead,
      description: "The PgBouncers in front of the cluster",
      properties: {
        user: { type: "string", description: "An admin of its console, and of the follower" },
        sslmode: { type: "string", enum: SSL_MODES, default: "prefer" },
        cafile: { type: "string", description: "A file; relative to this one" },
        instances: {
          type: "array",
          minItems: 1,
          items: {
            type: "object",
            additionalProperties: false,
            required: ["name", "host"],
            properties: {
              name: { type: "string", minLength: 1, description: "Its node, where there is one" },
              host: { type: "string", minLength: 1, format: "host" },
              port: { ...port, default: 6432 },
              follower: {
                ...url,
                description: "The URL of whoever owns its route and pause: `pgbouncer follow`",
              },
            },
          },
        },
        ...password,
      },
    },
    tls: {
      type: "object",
      additionalProperties: false,
      required: ["cafile"],
      description:
        "All of the cluster is reached by TLS: what `postgres`, `patroni`, `dcs` and `pgbouncer` do not say themselves follows from this",
      properties: {
        cafile: {
          type: "string",
          description: "The certificate of the authority to trust; a file, relative to this one",
        },
        authority: {
          type: "string",
          minLength: 1,
          description: "The name under `secrets` of its private key, where pgdba has made it",
        },
        names: {
          type: "array",
          items: { type: "string", format: "host" },
          description: "More names that the certificates of its nodes are for",
        },
      },
    },
    version: { type: "integer", minimum: 9, description: "PostgreSQL's major version" },
    place: { type: "object", description: "Where the cluster is, in the words of the provider" },
    nodes: { type: "array", items: node, description: "All nodes of the cluster" },
    accounts: {
      type: "object",
      additionalProperties: account,
      description: "Roles of PostgreSQL and its companions, by what they are for: `replication`",
    },
    repository: {
      type: "object",
      additionalProperties: false,
      required: ["kind", "location"],
      "x-instead": instead,
      description: "Where backups and WAL of the cluster are kept",
      properties: {
        kind: {
          type: "string",
          enum: ["directory", "volume", "object_store"],
          description:
            "`directory`: of this machine. `volume`: of the nodes, and reached through them. `object_store`: reached from everywhere",
        },
        location: {
          type: "string",
          minLength: 1,
          format: "no-secret",
          description: "The folder, on this machine or on the nodes, or `s3://BUCKET/PREFIX`",
        },
        endpoint: {
          ...url,
          description: "The URL of the object store, as this machine reaches it",
        },
        node_endpoint: {
          ...url,
          description: "The same as the nodes reach it; `endpoint` without this",
        },
        region: { type: "string", minLength: 1, default: "us-east-1" },
        cafile: { type: "string", description: "A file; relative to this one" },
        secret: {
          type: "string",
          minLength: 1,
          description: "The name under `secrets` of the key to it: its id, a colon, and the key",
        },
        slot: {
          type: "string",
          pattern: "^[a-z0-9_]{1,63}$",
          description:
            "The replication slot by which `pgdba backup receive` streams WAL into it, where no server archives",
        },
        origins: {
          type: "array",
          items: {
            type: "string",
            pattern:
              "^[0-9]{1,20}/[0-9]{1,3}/[A-Za-z0-9][A-Za-z0-9-]{0,62}@[0-9]+:[0-9A-F]+/[0-9A-F]+$",
          },
          description:
            "Of a copy: the parts of the clusters that it was restored from, each with the timeline and the LSN where it left it (`IDENTIFIER/VERSION/CLUSTER_ID@TIMELINE:LSN`), the nearest first",
        },
      },
    },
    monitoring: {
      type: "object",
      additionalProperties: false,
      description: "The URLs of what watches the cluster",
      properties: { prometheus: url, grafana: url, alertmanager: url },
    },
    secrets: {
      type: "object",
      additionalProperties: secret,
      description: "Where each secret is found, by its name; never the value",
    },
    recorded_by: {
      type: "object",
      additionalProperties: { type: "string" },
      description:
        "The run that has recorded a part last, by the part: what another one has made stays when that is taken back; written by pgdba",
    },
  },
} as const satisfies JsonSchema;

/**
 * A cluster of the registry: `clusters/<name>.yaml` in the state folder. It holds names of variables and files, never a password.
 * One that is not finished may have no server yet.
 */
export const CLUSTER_SCHEMA: JsonSchema = {
  ...FILE,
  anyOf: [{ required: ["postgres"] }, { required: ["partial"] }],
};

/** The parts of an entry, for whoever writes them. */
export const CLUSTER_PARTS = FILE.properties;

/** A cluster's file as `CLUSTER_SCHEMA` describes it. */
export type ClusterFile = FromSchema<typeof FILE>;
/** The place where the value of a secret is found. */
export type SecretPlace = FromSchema<typeof secret>;
