import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject } from "../../engine/types.ts";
import type { Nodes, Peers } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { FAULT, FOR, inject, INJECTED, NODE } from "./fault/inject.ts";

interface Input {
  node: string;
  from?: readonly string[];
  addresses?: readonly string[];
}

export default defineStep({
  ...FAULT,
  type: "chaos.partition",
  summary: "Cut a node off from others, for a time",
  docs: `\`from\` names nodes of the cluster, \`addresses\` whoever else; no packet passes between them, also of connections that are open. With \`direction: in\`
the node does not hear them, with \`out\` they do not hear it. The way of pgdba to the node stays open. The proof is a connection that is tried from within the node's own
network.`,
  example: `- chaos.partition: {node: pg1, from: [etcd1, etcd2, etcd3], direction: both, for: 60s}
`,
  hazards: ["fault", "loses"],
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node"],
    properties: {
      node: NODE,
      from: { type: "array", items: { type: "string" }, description: "Nodes of the cluster" },
      addresses: { type: "array", items: { type: "string" }, description: "Other addresses" },
      ports: { type: "array", items: { type: "integer" }, description: "Only these; all without" },
      direction: { enum: ["in", "out", "both"], default: "both" },
      for: FOR,
    },
  },
  output: {
    ...INJECTED,
    required: [...INJECTED.required, "open_connections"],
    properties: {
      ...INJECTED.properties,
      open_connections: {
        enum: ["cut", "alive", "unknown"],
        description: "Connections that were open before",
      },
    },
  },
  async run(ctx, input) {
    const { node, direction = "both", ports, for: lasts } = input;
    const nodes = await ctx.use("nodes");
    const from = await peersOf(nodes, input);
    let open: string = "unknown";
    const injected = await inject(ctx, nodes, {
      kind: "partition",
      node,
      lasts,
      async act(until) {
        const what = { from, direction, ...(ports === undefined ? {} : { ports }) };
        const fault = await nodes.partition(node, what, until);
        open = fault.openConnections ?? "unknown";
        return fault;
      },
    });
    return { ...injected, open_connections: open };
  },
  async plan(ctx, input): Promise<Json> {
    const peers = await peersOf(await ctx.use("nodes"), input);
    return { node: input.node, ...(peers as JsonObject) };
  },
});

/** @throws PgdbaError step_refused: it would be cut off from nobody, or from itself */
async function peersOf(nodes: Nodes, { node, from = [], addresses = [] }: Input): Promise<Peers> {
  const there = (await nodes.list()).map((one) => one.node);
  const wrong = [node, ...from].filter((name) => !there.includes(name));
  const refuse = (message: string): PgdbaError =>
    new PgdbaError("step_refused", message, {
      hint: `The nodes are ${there.join(", ")}.`,
      nothingDone: true,
    });
  if (wrong.length > 0) throw refuse(`There is no node ${wrong.join(", ")} here`);
  if (from.includes(node)) throw refuse(`${node} can't be cut off from itself`);
  if (from.length + addresses.length === 0)
    throw refuse(`It was not said whom ${node} is to be cut off from`);
  return { nodes: from, addresses };
}
