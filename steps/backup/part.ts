import { parseLsn } from "../../engine/shared/units.ts";
import { originText, parseOrigin } from "../../providers/backup/origins.ts";
import { partText } from "../../providers/backup/parts.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { clusterName, keyOf } from "../../providers/repository/layout.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { type Origin, ORIGIN } from "./restore/origin.ts";

export default defineStep({
  type: "backup.part",
  summary:
    "Make a part of its own in the repository for a cluster that is made from another's backups",
  docs: `By the cluster id that was made for it: nobody else's part is written. It says from whom the copy comes and where it left it, the nearest first, so that the copy can be restored when nothing but the repository is left. \`repository\` is
for \`cluster.record\`. Taken back, the part goes with all that the copy has archived.`,
  example: `- backup.part: {origin: "\${steps.origin.output}", timeline: 1, lsn: 0/5000158}
`,
  effect: "change",
  idempotent: true,
  needs: ["repository"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["origin", "timeline", "lsn"],
    properties: {
      origin: { ...ORIGIN, type: "object" },
      timeline: { type: "integer", minimum: 1, description: "On which the copy left it" },
      lsn: { type: "string", format: "lsn", description: "Where it left it" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["part", "where", "origins", "repository"],
    properties: {
      part: { type: "string" },
      where: { type: "string" },
      origins: { type: "array", items: { type: "string" } },
      repository: { type: "object" },
    },
  },
  async run(ctx, { origin, timeline, lsn }) {
    const { repository, key } = await ctx.use("repository");
    const origins = leftAt(origin as unknown as Origin, timeline, parseLsn(lsn));
    ctx.note({ part: keyOf(key) });
    const made = await repository.create(clusterName(key), partText(key, origins), {
      signal: ctx.signal,
    });
    if (made === "same") ctx.unchanged();
    const cluster = ctx.target.cluster!;
    const entry = (await readClusterFile(cluster, clusterFile(ctx.run.stateDir, cluster)))!;
    return {
      part: keyOf(key),
      where: repository.where,
      origins,
      repository: { ...entry.data.repository, origins },
    };
  },
  plan: async (_ctx, { origin, timeline, lsn }) => ({
    origins: leftAt(origin as unknown as Origin, timeline, parseLsn(lsn)),
  }),
  async undo(ctx) {
    const noted = ctx.noted as { part: string } | undefined;
    const { repository, key } = await ctx.use("repository");
    // Only the part that was made here: its id was made by this run, and no other cluster has it.
    if (noted?.part !== keyOf(key)) return ctx.unchanged();
    const names = await Array.fromAsync(repository.names(`${noted.part}/`));
    // What says whose it is goes last, so that the rest is found again.
    const last = clusterName(key);
    await repository.remove(names.filter((name) => name !== last));
    await repository.remove([last]);
  },
});

/** The origin itself, and of those that it comes from itself what was before that. */
function leftAt(origin: Origin, timeline: number, lsn: bigint): string[] {
  const { system_identifier, version, cluster_id } = origin;
  const left = { timeline, lsn };
  const earlier = origin.origins.map((text) => {
    const { key, until } = parseOrigin(text);
    const isBefore =
      until!.timeline < timeline || (until!.timeline === timeline && until!.lsn <= lsn);
    return originText(key, isBefore ? until! : left);
  });
  return [originText({ system_identifier, version, cluster_id }, left), ...earlier];
}
