import { PgdbaError } from "../../engine/errors.ts";
import { formatBytes } from "../../engine/shared/units.ts";
import { noBackup } from "../../providers/backup/read-record.ts";
import { bytesOfData, roomOf } from "../../providers/backup/space.ts";
import { chainOf } from "../../providers/backup/verify.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { serverFacts } from "../node-files.ts";
import { restorableRecord } from "./records.ts";

export default defineStep({
  type: "backup.room",
  summary: "Make sure that a standby's disk has room for restored data in the place of its own",
  docs: `Its own data go first, so that their bytes count as free. Refused where there is too little, before anything was done. Whether a disk has room for
restored data beside those that are there is found by \`backup.fetch\`.`,
  example: `- backup.room: {node: pg2, backup_id: 20261128T184500Z-full-1a2b3c, wal_bytes: 16777216}
`,
  effect: "read",
  idempotent: true,
  needs: ["nodes", "repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "backup_id"],
    properties: {
      node: { type: "string", minLength: 1 },
      backup_id: { type: "string", minLength: 1 },
      wal_bytes: { type: ["number", "null"], minimum: 0, description: "WAL that is replayed" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "path", "needed_bytes", "free_bytes"],
    properties: {
      node: { type: "string" },
      path: { type: "string" },
      needed_bytes: { type: "number" },
      free_bytes: { type: "number", description: "With its own data only where that decides" },
    },
  },
  async run(ctx, { node, backup_id, wal_bytes }) {
    const nodes = await ctx.use("nodes");
    const { disks, postgres } = await serverFacts(nodes, node);
    const disk = disks.find(({ of }) => of === "data");
    if (disk === undefined) {
      throw new PgdbaError("step_refused", `${node} does not tell how much room its disk has`, {
        hint: `Look at that disk, or take the standby out first: \`pgdba replica remove ${node}\`.`,
        nothingDone: true,
      });
    }
    const { repository } = await ctx.use("repository");
    const found = await restorableRecord(ctx, backup_id);
    if (found === null) throw noBackup(repository, backup_id);
    const chain = await chainOf(found.key, backup_id, { repository, signal: ctx.signal });
    // What a chain is put together from lies on the primary alone.
    const needed = bytesOfData(chain, wal_bytes ?? 0);
    const { freeBytes, reserve } = roomOf(disk);
    const isTight = freeBytes - reserve < needed;
    const free = freeBytes + (isTight ? await sizeOf(nodes, node, postgres.data) : 0);
    if (free - reserve < needed) {
      throw new PgdbaError(
        "step_refused",
        `${node} would have ${formatBytes(free)} for its data (${disk.path}), and the restored data needs ${formatBytes(needed)} beside ${formatBytes(reserve)} that stay free`,
        {
          hint: `Give it more room, or take that standby out first: \`pgdba replica remove ${node}\`.`,
          nothingDone: true,
        },
      );
    }
    return { node, path: disk.path, needed_bytes: needed, free_bytes: free };
  },
});

/** What can't be counted does not count as free. */
async function sizeOf(nodes: Nodes, node: string, data: string): Promise<number> {
  const { stdout } = await nodes.exec(node, ["du", "-sB1", "--", data]);
  return Number.parseInt(stdout, 10) || 0;
}
