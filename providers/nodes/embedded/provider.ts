import type { Provider } from "../contract.ts";

/** Nodes that are plain processes of this machine: to try things on, and to test what needs standbys, in seconds. */
const provider: Provider = {
  name: "embedded",
  summary: "Processes of this machine, below the state folder",
  place: {
    cluster: {
      type: "object",
      additionalProperties: false,
      properties: {
        bin: {
          type: "string",
          pattern: "^/",
          description: "The folder of the server's programs; those that come with pgdba without it",
        },
        wal_segment_size: {
          type: "integer",
          enum: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
          description: "Of a WAL file, in MB; 16 without it. It can't be changed later",
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
            "A free one is chosen without it, and another one when that is taken by the time the only node of a cluster starts",
        },
      },
    },
  },
  roles: [],
  async open(at) {
    const { openEmbedded } = await import("./nodes.ts");
    return openEmbedded(at);
  },
};

export default provider;
