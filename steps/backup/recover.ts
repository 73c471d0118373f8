import type { Json } from "../../engine/types.ts";
import type { Nodes } from "../../providers/nodes/contract.ts";
import type { Recovered, RecoverOrder } from "../../providers/backup/recover/recover.ts";
import { CLUSTER_PARTS } from "../../providers/registry/schema.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { isThere, variable } from "../node-files.ts";
import { restorableRecord } from "./records.ts";
import { LOOK } from "./restore/look.ts";
import { type Accounts, accountsOf } from "./restore/accounts.ts";
import { beforeOf, folderOf, scratchOf } from "./restore/scratch.ts";
import { placeOf, probeWork, work } from "./restore/work.ts";

export default defineStep({
  type: "backup.recover",
  summary: "Run a server on the scratch folder up to a target, look at it there, and stop it",
  docs: `The server listens on a socket that nobody else knows, archives nothing, and is stopped where it was asked to stop: another \`backup.recover\`
goes on from there. What is found is told: the last commit, sizes and counts, your own SQL (it holds unless it fails, or its first value is false or
null), and indexes where a database has amcheck.`,
  example: `- backup.recover: {node: pg1, backup_id: 20261128T184500Z-full-1a2b3c, timeline: 1, stop_lsn: 0/5000158, inclusive: false}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  job: true,
  interruptible: true,
  needs: ["nodes", "repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "backup_id", "timeline"],
    properties: {
      node: { type: "string", minLength: 1 },
      backup_id: { type: "string", minLength: 1 },
      timeline: { type: "integer", minimum: 1 },
      stop_lsn: { type: ["string", "null"], description: "The end of WAL without it" },
      inclusive: { type: ["boolean", "null"] },
      checks: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["sql"],
          properties: {
            database: { type: "string", minLength: 1, default: "postgres" },
            sql: { type: "string", minLength: 1 },
          },
        },
      },
      amcheck: { type: "boolean", default: true },
      finish: {
        type: "boolean",
        default: false,
        description:
          "After `backup.swap`: bring the data itself to its end, on a timeline of its own, which the server archives once it is started",
      },
      promote: {
        type: "boolean",
        default: false,
        description:
          "Bring the scratch itself to its end, on a timeline of its own that is archived nowhere: so something can be taken out of it",
      },
      archive: {
        type: "boolean",
        default: true,
        description: "With `finish`: the first segment of the new timeline is archived",
      },
      user: {
        type: ["string", "null"],
        description: "A superuser of the restored database; that of the node without it",
      },
      accounts: {
        ...CLUSTER_PARTS.accounts,
        additionalProperties: {
          ...CLUSTER_PARTS.accounts.additionalProperties,
          type: ["object", "null"],
        },
        type: ["object", "null"],
        description:
          "With `finish`: roles by what they are for (`superuser`, `replication`), which get the passwords of this cluster; the restored ones are those of the original",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["node", "lsn", "last_commit", "replayed_bytes", "seconds", "timeline", "look"],
    properties: {
      node: { type: "string" },
      lsn: { type: "string", description: "Where it stopped" },
      last_commit: { type: ["string", "null"], description: "The newest commit that is there" },
      replayed_bytes: { type: "number" },
      seconds: { type: "number", description: "Until it stood there" },
      timeline: { type: "number" },
      look: LOOK,
    },
  },
  async run(ctx, input) {
    const nodes = await ctx.use("nodes");
    const place = await placeOf(nodes, input.node);
    const { key } = await ctx.use("repository");
    const finish = input.finish === true;
    const found = await restorableRecord(ctx, input.backup_id);
    const order: RecoverOrder = {
      data: finish ? place.data : scratchOf(place.data, ctx.run.id),
      programs: place.programs,
      folder: folderOf(ctx.run.id),
      owner: null,
      user: input.user ?? (await variable(nodes, input.node, "PGUSER")),
      version: key.version,
      timeline: input.timeline,
      stop:
        input.stop_lsn == null ? null : { lsn: input.stop_lsn, inclusive: input.inclusive ?? true },
      recorded: found?.record.server.settings ?? {},
      pgdba: [place.program],
      settings: place.settings,
      checks: (input.checks ?? []).map(({ sql, database }) => ({
        sql,
        database: database ?? "postgres",
      })),
      amcheck: !finish && (input.amcheck ?? true),
      count: input.promote !== true,
      finish: finish || input.promote === true ? "promote" : "stop",
      archive: finish && input.archive !== false,
      ...(finish && input.accounts
        ? { accounts: await accountsOf(ctx, input.accounts as Accounts) }
        : {}),
      histories: finish ? await historiesOf(nodes, input.node, place.data, ctx.run.id) : null,
    };
    return outputOf(
      input.node,
      await work<Recovered>(ctx, nodes, place, { job: "recover", order }),
    );
  },
  async plan(_ctx, { node, timeline, stop_lsn }): Promise<Json> {
    return { node, timeline, stop_lsn: stop_lsn ?? null };
  },
  probe: (ctx, { node }) => probeWork<Recovered>(ctx, node, (result) => outputOf(node, result)),
  async stop(ctx, { node }) {
    await (await ctx.use("nodes")).jobs.stop(node, ctx.step.job, { graceMs: 10_000 });
  },
  // What it wrote to is taken back by whoever made it: `backup.fetch`, or `backup.swap`.
  async undo(ctx, { node }) {
    await (await ctx.use("nodes")).exec(node, ["rm", "-rf", "--", folderOf(ctx.run.id)]);
  },
  async forget(ctx, { node }) {
    await (await ctx.use("nodes")).jobs.forget(node, ctx.step.job);
  },
});

function outputOf(
  node: string,
  { lsn, last_commit, replayed_bytes, seconds, timeline, look }: Recovered,
) {
  return { node, lsn, last_commit, replayed_bytes, seconds: seconds.replay, timeline, look };
}

/** Of the data that was moved aside; none where nothing was. */
async function historiesOf(nodes: Nodes, node: string, data: string, run: string) {
  const before = beforeOf(data, run);
  return (await isThere(nodes, node, before)) ? before : null;
}
