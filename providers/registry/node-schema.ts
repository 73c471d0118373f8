import type { JsonSchema } from "../../engine/types.ts";
import type { Role, Service } from "../nodes/contract.ts";

export const port = {
  type: ["integer", "string"],
  format: "port",
  minimum: 1,
  maximum: 65_535,
} as const;

/** The roles that a node may have: the words of the contract of nodes. */
const ROLES = [
  "postgres",
  "etcd",
  "pgbouncer",
  "proxy",
  "backup",
  "monitoring",
] as const satisfies readonly Role[];

const address = {
  type: "object",
  additionalProperties: false,
  required: ["host", "port"],
  properties: { host: { type: "string", minLength: 1, format: "host" }, port },
} as const;

const service = {
  type: "object",
  additionalProperties: false,
  required: ["address", "reach"],
  properties: { address, reach: address },
} as const;

/** A node of a cluster, as its entry has it. */
export const node = {
  type: "object",
  additionalProperties: false,
  required: ["name", "roles"],
  properties: {
    name: {
      type: "string",
      pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
      description: "Unique in the cluster",
    },
    roles: {
      type: "array",
      minItems: 1,
      items: { type: "string", enum: ROLES },
      description: "What runs on it; who is primary is no role, for that changes",
    },
    address: { ...address, description: "Where the other nodes reach its PostgreSQL" },
    reach: { ...address, description: "Where pgdba reaches it; its address without this" },
    endpoints: {
      type: "object",
      additionalProperties: false,
      description:
        "Its other services: where the other nodes reach each (`address`), and where pgdba does (`reach`)",
      properties: {
        patroni: service,
        etcd: service,
        pgbouncer: service,
        follower: service,
        prometheus: service,
        alertmanager: service,
      } satisfies Record<Service, typeof service>,
    },
    place: {
      type: "object",
      description: "Where it is, in the words of the provider: a folder, a container, a namespace",
    },
  },
} as const satisfies JsonSchema;
