import type { Json, StepContext } from "../../engine/types.ts";
import type { Fetched } from "../../providers/backup/fetch.ts";
import { noBackup } from "../../providers/backup/read-record.ts";
import { assertRoom, bytesToRestore, roomOf } from "../../providers/backup/space.ts";
import { chainOf } from "../../providers/backup/verify.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { restorableRecord } from "./records.ts";
import { removeScratch, scratchOf } from "./restore/scratch.ts";
import { placeOf, probeWork, work } from "./restore/work.ts";

export default defineStep({
  type: "backup.fetch",
  summary: "Bring a backup out of the repository into a scratch folder beside a server's data",
  docs: `First it makes sure that the disk has room for the backup, for what a chain is put together from, and for the WAL to replay; where too little would be left, nothing is fetched.
The node reads from the repository itself, compares each byte with what was written and each file with PostgreSQL's manifest, and puts a chain
together. The server beside it is not touched. The folder belongs to the run, and is removed when the run is taken back.`,
  example: `- backup.fetch: {node: pg1, backup_id: 20261128T184500Z-full-1a2b3c}
`,
  effect: "change",
  // It begins anew in its own folder.
  idempotent: true,
  risk: "change",
  locks: "none",
  job: true,
  interruptible: true,
  needs: ["nodes", "repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "backup_id"],
    properties: {
      node: { type: "string", minLength: 1 },
      backup_id: { type: "string", minLength: 1 },
      wal_bytes: {
        type: ["number", "null"],
        minimum: 0,
        description: "WAL that will be replayed into it, for which there must be room, too",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "chain", "files", "bytes", "stored_bytes", "seconds"],
    properties: {
      node: { type: "string" },
      chain: { type: "array", items: { type: "string" } },
      files: { type: "number" },
      bytes: { type: "number", description: "As written" },
      stored_bytes: { type: "number", description: "As read from the repository" },
      seconds: { type: "number" },
    },
  },
  async run(ctx, { node, backup_id, wal_bytes }) {
    const nodes = await ctx.use("nodes");
    const place = await placeOf(nodes, node);
    const key = await keyOfBackup(ctx, backup_id);
    const order = {
      settings: place.settings,
      fetch: {
        key,
        id: backup_id,
        into: scratchOf(place.data, ctx.run.id),
        programs: place.programs,
        owner: null,
        wal_bytes: wal_bytes ?? 0,
      },
    };
    return outputOf(node, await work<Fetched>(ctx, nodes, place, { job: "fetch", order }));
  },
  varies: ["needed_bytes", "free_bytes"],
  async plan(ctx, { node, backup_id, wal_bytes }): Promise<Json> {
    const nodes = await ctx.use("nodes");
    const { data, disk } = await placeOf(nodes, node);
    const key = await keyOfBackup(ctx, backup_id);
    const { repository } = await ctx.use("repository");
    const needed = bytesToRestore(
      await chainOf(key, backup_id, { repository, signal: ctx.signal }),
      wal_bytes ?? 0,
    );
    if (disk) assertRoom(needed, roomOf(disk), `${node} (${disk.path})`);
    return {
      node,
      backup_id,
      into: scratchOf(data, ctx.run.id),
      needed_bytes: needed,
      free_bytes: disk?.freeBytes ?? null,
    };
  },
  probe: (ctx, { node }) => probeWork<Fetched>(ctx, node, (result) => outputOf(node, result)),
  async stop(ctx, { node }) {
    await (await ctx.use("nodes")).jobs.stop(node, ctx.step.job);
  },
  async undo(ctx, { node }) {
    const nodes = await ctx.use("nodes");
    const { postgres } = await nodes.facts(node);
    if (postgres !== null) await removeScratch(nodes, node, postgres.data, ctx.run.id);
  },
  async forget(ctx, { node }) {
    await (await ctx.use("nodes")).jobs.forget(node, ctx.step.job);
  },
});

const outputOf = (node: string, { chain, files, bytes, stored_bytes, seconds }: Fetched) => ({
  node,
  chain,
  files,
  bytes,
  stored_bytes,
  seconds,
});

/** The part of the repository that has the backup. @throws PgdbaError invalid_param */
async function keyOfBackup(ctx: StepContext, id: string) {
  const found = await restorableRecord(ctx, id);
  if (found === null) throw noBackup((await ctx.use("repository")).repository, id);
  return found.key;
}
