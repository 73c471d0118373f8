import { originText } from "../../providers/backup/origins.ts";
import { clusterFile } from "../../providers/registry/folder.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { placeHere } from "../../providers/registry/repository.ts";
import { removeSecrets, writeSecret } from "../../providers/registry/secrets.ts";
import { defineStep } from "../define.ts";
import { keptKey, keyOfStore, REPOSITORY_KEY } from "./archive/kept-key.ts";
import { type Origin, ORIGIN, originEntry } from "./restore/origin.ts";

/** No WAL comes after it. */
const LAST = 0xffff_ffff_ffff_ffffn;

export default defineStep({
  type: "backup.key",
  summary:
    "Take the repository of an origin, and the key to it, for the cluster that is made from it",
  docs: `Until it is known where the copy leaves the origin (\`backup.part\`), it reads all of the timeline that is named. Each cluster has a file of its own with the key, so that one is not in need of the other's. A repository without a key has none. \`repository\` and \`secrets\` are for
\`cluster.record\`.`,
  example: `- backup.key: {origin: "\${steps.origin.output}", timeline: 1}
`,
  effect: "change",
  idempotent: true,
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["origin", "timeline"],
    properties: {
      origin: { ...ORIGIN, type: "object" },
      timeline: { type: "integer", minimum: 1 },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["repository", "secrets"],
    properties: { repository: { type: "object" }, secrets: { type: "object" } },
  },
  async run(ctx, input) {
    const {
      cluster,
      repository: place,
      key_env,
      origins,
      ...key
    } = input.origin as unknown as Origin;
    const all = originText(key, { timeline: input.timeline, lsn: LAST });
    const repository = { ...place, origins: [all, ...origins] };
    if (place.kind !== "object_store") {
      ctx.unchanged();
      return { repository, secrets: {} };
    }
    const own = ctx.target.cluster!;
    const entry = cluster === null ? undefined : await originEntry(ctx, cluster);
    const there = entry?.data.repository && placeHere(entry, entry.data.repository);
    let kept = await keptKey(ctx, own, key_env);
    if (kept === undefined && there?.kind === "object_store") {
      const text = keyOfStore(ctx, there);
      kept = await writeSecret(ctx.run.stateDir, own, REPOSITORY_KEY, text);
    }
    return {
      repository: { ...repository, secret: REPOSITORY_KEY },
      secrets: kept === undefined ? {} : { [REPOSITORY_KEY]: kept },
    };
  },
  plan: async (_ctx, input) => ({
    repository: (input.origin as unknown as Origin).repository.location,
  }),
  async undo(ctx) {
    const own = ctx.target.cluster!;
    const entry = await readClusterFile(own, clusterFile(ctx.run.stateDir, own));
    // Where the entry names it, it goes with the entry and its other secrets.
    if (entry?.secrets.some(({ name }) => name === REPOSITORY_KEY) !== false)
      return ctx.unchanged();
    await removeSecrets(ctx.run.stateDir, own, [REPOSITORY_KEY]);
  },
});
