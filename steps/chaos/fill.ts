import { PgdbaError } from "../../engine/errors.ts";
import { parseBytes } from "../../engine/shared/units.ts";
import type { Json } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { FAULT, FOR, inject, INJECTED, NODE } from "./fault/inject.ts";

export default defineStep({
  ...FAULT,
  type: "chaos.fill",
  summary: "Fill a disk of a node, for a time",
  docs: `By a file beside the data. Refused where the data lie on no file system of their own: that would fill the machine. A server whose WAL finds no
room ends with PANIC, and again at each start until there is room.`,
  example: `- chaos.fill: {node: pg1, of: data, leave: 1MB, for: 60s}
`,
  hazards: ["fault", "loses"],
  needs: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "of"],
    properties: {
      node: NODE,
      of: { enum: ["data", "wal"], description: "What lies on the disk" },
      leave: {
        type: "string",
        format: "bytes",
        default: "0B",
        description: "So much is left free",
      },
      for: FOR,
    },
  },
  output: INJECTED,
  async run(ctx, { node, of, leave = "0B", for: lasts }) {
    const nodes = await ctx.use("nodes");
    await assertOwnDisk(nodes, node, of);
    return inject(ctx, nodes, {
      kind: `fill-${of}`,
      node,
      lasts,
      act: (until) => nodes.fillDisk(node, { of, leaveBytes: Number(parseBytes(leave)) }, until),
    });
  },
  varies: ["free_bytes"],
  async plan(ctx, { node, of }): Promise<Json> {
    const { disks } = await (await ctx.use("nodes")).facts(node);
    const disk = disks.find((one) => one.of === of);
    return { node, of, path: disk?.path ?? null, free_bytes: disk?.freeBytes ?? null };
  },
});

/** Beside the provider's own word: a disk that looks like that of the system is taken for it. @throws PgdbaError unsupported */
async function assertOwnDisk(nodes: Nodes, node: string, of: string): Promise<void> {
  const { disks } = await nodes.facts(node);
  const disk = disks.find((one) => one.of === of);
  const system = disks.find((one) => one.of === "system");
  if (disk !== undefined && disk.totalBytes !== system?.totalBytes) return;
  throw new PgdbaError(
    "unsupported",
    `${disk === undefined ? `${node} has no disk for ${of}` : `${disk.path} on ${node} is no file system of its own`}: to fill it would fill the whole machine`,
    {
      hint: 'Make the cluster with disks of a size, such as --place \'{"data_size": "1g"}\'.',
      nothingDone: true,
    },
  );
}
