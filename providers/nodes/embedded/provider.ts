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
          description: "A free one is chosen without it",
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
