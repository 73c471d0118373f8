import type { FromSchema } from "../../engine/shared/from-schema.ts";
import type { JsonSchema } from "../../engine/types.ts";
import type { Spec } from "../../providers/nodes/contract.ts";

export const NODE = { type: "string", minLength: 1, description: "Name of the node" } as const;

const account = {
  type: "object",
  additionalProperties: false,
  required: ["user", "password"],
  properties: {
    user: { type: "string", minLength: 1 },
    password: { type: "string", minLength: 1, description: "Name of the secret, never its value" },
  },
} as const satisfies JsonSchema;

export const TLS = {
  type: "object",
  additionalProperties: false,
  required: ["authority"],
  description: "All connections over a network by TLS, with a certificate of its own for each node",
  properties: {
    authority: {
      type: "string",
      minLength: 1,
      description: "Name of the secret that is the authority's private key and certificate",
    },
    names: {
      type: "array",
      items: { type: "string", format: "host" },
      description:
        "Names and addresses by which clients reach the cluster, beside those of its nodes",
    },
    cafile: { type: "string", description: "As the registry has it; not needed here" },
  },
} as const satisfies JsonSchema;

/** The wanted state of a cluster: see `Spec` in providers/nodes/contract.ts. */
export const SPEC = {
  type: "object",
  additionalProperties: false,
  required: ["version", "superuser", "replication", "nodes"],
  properties: {
    version: { type: "integer", minimum: 13, description: "PostgreSQL's major version" },
    settings: {
      type: "object",
      additionalProperties: { type: ["string", "number", "boolean"] },
      description: "Settings of postgresql.conf for nodes that are made now",
    },
    superuser: account,
    replication: account,
    accounts: {
      type: "object",
      additionalProperties: { ...account, type: ["object", "null"] },
      description: "More accounts that the place needs; one that is null is left out",
    },
    nodes: {
      type: "array",
      minItems: 1,
      description:
        "In order; where no node has data yet, the first with the role `postgres` is made as the primary",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "roles"],
        properties: {
          name: { type: "string", pattern: "^[a-z][a-z0-9-]{0,62}$" },
          roles: {
            type: "array",
            minItems: 1,
            items: { enum: ["postgres", "etcd", "pgbouncer", "proxy", "backup", "monitoring"] },
          },
          place: { type: "object", description: "What only the provider understands" },
        },
      },
    },
    patroni: {
      type: ["object", "null"],
      additionalProperties: false,
      required: ["scope", "ttl", "loop_wait", "retry_timeout", "synchronous_mode"],
      description: "How Patroni runs the servers; without it each runs alone. Times in seconds",
      properties: {
        scope: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$" },
        ttl: { type: "integer", minimum: 20 },
        loop_wait: { type: "integer", minimum: 1 },
        retry_timeout: { type: "integer", minimum: 3 },
        synchronous_mode: { enum: ["off", "on", "strict"] },
      },
    },
    tls: { ...TLS, type: ["object", "null"] },
    database: {
      type: ["object", "null"],
      additionalProperties: false,
      required: ["name", "owner"],
      description: "Made with the cluster; the owner's password is that of the account `owner`",
      properties: { name: { type: "string" }, owner: { type: "string" } },
    },
    place: { type: "object", description: "What only the provider understands, for the cluster" },
  },
} as const satisfies JsonSchema;

const withoutNull = (values: object): object =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));

/** The spec as the contract has it: what a runbook says by null is left out. */
export function specOf(input: FromSchema<typeof SPEC>): Spec {
  const { accounts = {}, place = {}, ...rest } = input;
  const parts = { accounts: withoutNull(accounts), place: withoutNull(place) };
  // The schema above describes the type; what it allows beyond it is null.
  return withoutNull({ ...rest, ...parts }) as unknown as Spec;
}

export const CHANGES = {
  type: "array",
  items: {
    type: "object",
    additionalProperties: false,
    required: ["node", "act", "what"],
    properties: {
      node: { type: "string" },
      act: { enum: ["make", "start", "keep", "remove"] },
      what: { type: "string" },
    },
  },
} as const satisfies JsonSchema;

const address = {
  type: ["object", "null"],
  additionalProperties: false,
  properties: { host: { type: "string" }, port: { type: "integer" } },
} as const satisfies JsonSchema;

/** `NodeInfo` of the contract, as plain data. */
export const NODE_LIST = {
  type: "array",
  items: {
    type: "object",
    additionalProperties: false,
    required: ["node", "roles", "made", "running", "address", "reach", "endpoints", "run"],
    properties: {
      node: { type: "string" },
      roles: { type: "array", items: { type: "string" } },
      made: { type: "boolean", description: "False when the run that makes it did not finish" },
      running: {
        enum: ["absent", "stopped", "starting", "running", "frozen", "failed", "unknown"],
      },
      why: { type: ["string", "null"], description: "Why its state is not known, or failed" },
      address: { ...address, description: "Where the other nodes reach its PostgreSQL" },
      reach: { ...address, description: "Where pgdba reaches its PostgreSQL" },
      endpoints: {
        type: "object",
        description: "Its other services, each with the same two places: `patroni`, `etcd`, …",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          required: ["address", "reach"],
          properties: { address, reach: address },
        },
      },
      run: { type: "string", description: "The run that made it" },
    },
  },
} as const satisfies JsonSchema;
