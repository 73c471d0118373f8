import type { Provider } from "../contract.ts";

const image = (what: string) => ({
  type: "string",
  minLength: 1,
  description: `An image of your own for ${what}; pgdba builds one without it`,
});

/** Nodes that are containers of one Docker Engine, with their data in volumes. */
const provider: Provider = {
  name: "docker",
  summary: "Containers of a Docker Engine, on a network of their own",
  place: {
    cluster: {
      type: "object",
      additionalProperties: false,
      properties: {
        images: {
          type: "object",
          additionalProperties: false,
          properties: {
            postgres: image("PostgreSQL with Patroni"),
            etcd: image("etcd"),
            pgbouncer: image("PgBouncer"),
            monitoring: image("Prometheus, Alertmanager and the exporters"),
          },
          description:
            "Images of your own; what a start script finds in a container stays the same",
        },
        data_size: {
          type: "string",
          pattern: "^[0-9]+[mgt]$",
          description:
            "The size of the disk that a server's data lies on, such as `20g`, as a file system of its own; without it, all have that of the Engine",
        },
        wal_size: {
          type: "string",
          pattern: "^[0-9]+[mgt]$",
          description: "The size of a disk for WAL alone; without it, WAL lies with the data",
        },
        dcs_size: {
          type: "string",
          pattern: "^[0-9]+[mgt]$",
          description:
            "The size of the disk of each node of the store, such as `1g`, as a file system of its own",
        },
        backups: {
          type: "string",
          pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]*$",
          default: "pgdba-backups",
          description:
            "The volume for backups, which all servers have; it is made where there is none, and never removed",
        },
        address: {
          type: "string",
          default: "127.0.0.1",
          description: "The address of the Engine's host on which ports are published",
        },
      },
    },
    node: {
      type: "object",
      additionalProperties: false,
      properties: {
        port: {
          type: "integer",
          minimum: 1024,
          maximum: 65_535,
          description:
            "On which its PostgreSQL (PgBouncer, etcd) is published; a free one is chosen without it, once",
        },
        tags: {
          type: "object",
          description: "Patroni's tags of this member, such as `nofailover: true`",
        },
        memory: {
          type: "string",
          pattern: "^[0-9]+[kmg]$",
          description: "The memory that its container may use, such as `2g`",
        },
        cpus: {
          type: "number",
          minimum: 0.01,
          description: "The processors that its container may use, such as `1.5`",
        },
      },
    },
  },
  roles: [
    {
      role: "etcd",
      least: 1,
      why: "Patroni keeps there who leads; with three of them one may fail",
    },
  ],
  async open(at) {
    const { openDocker } = await import("./nodes.ts");
    return openDocker(at);
  },
};

export default provider;
