import { PgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import { everySoOften } from "../../providers/backup/every-so-often.ts";
import { verify } from "../../providers/backup/verify.ts";
import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { recordIfThere } from "../../providers/backup/read-record.ts";
import { recordName } from "../../providers/repository/layout.ts";
import { mark, recordOf } from "./records.ts";
import { withoutCombine } from "./take/combine.ts";

export default defineStep({
  type: "backup.verify",
  summary: "Read back every stored byte of a backup, and of all that it builds on",
  docs: `Each object is read whole, its checksum compared with the one that was taken when it was written, each file in it with PostgreSQL's manifest, and
each segment of WAL that the backup needs is read as well. What is found stands beside the backup as a mark: \`verified\` or \`damaged\`. Damage is no
failure of this step: look at \`verified\`.`,
  example: `- backup.verify: {backup_id: 20261128T184500Z-full-1a2b3c}
`,
  effect: "change",
  // The marks of two verifications say the same.
  idempotent: true,
  risk: "change",
  // It changes nothing that another run works with, and takes hours.
  locks: "none",
  interruptible: true,
  uses: ["repository", "nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id"],
    properties: { backup_id: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id", "verified", "chain", "damage", "files", "segments", "bytes"],
    properties: {
      backup_id: { type: "string" },
      verified: { type: "boolean", description: "Every byte is as it was written" },
      chain: {
        type: "array",
        items: { type: "string" },
        description: "The full backup first, then what builds on it, up to this one",
      },
      damage: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["backup", "object", "why"],
          properties: {
            backup: { type: "string" },
            object: { type: "string" },
            why: { type: "string" },
          },
        },
      },
      files: { type: "number" },
      segments: { type: "number" },
      bytes: { type: "number", description: "Read from the repository, without WAL" },
    },
  },
  async run(ctx, { backup_id: id }) {
    const place = await backupPlace(ctx);
    const { repository, key } = place;
    const { signal } = ctx;
    const { type } = await recordOf(place, id);
    if (type === "logical") {
      throw new PgdbaError(
        "step_refused",
        `${id} holds dumps: that their bytes are as they were does not say that they can be read`,
        {
          hint: "`backup.read-dump` reads them through as well; `pgdba backup verify ID` does it by itself.",
        },
      );
    }
    const tell = everySoOften(({ done = null, total = null, unit = null, text = null }) =>
      ctx.progress({ done, total, unit, text }),
    );
    const { verified, damage, ...counts } = await verify(key, id, { repository, tell, signal });
    const facts = { ...counts, damage };
    for (const backup of marked(id, verified, damage)) {
      // One that was removed meanwhile is gone, and not damaged.
      if ((await recordIfThere(repository, recordName(key, backup))) === null) continue;
      const kind = verified ? "verified" : "damaged";
      await mark(ctx, place, { backup, kind, facts });
    }
    if (counts.chain.length > 1) {
      const why = await withoutCombine(ctx);
      if (why !== null) ctx.warn(why);
    }
    return { backup_id: id, verified, damage, ...counts };
  },
  async plan(ctx, { backup_id: id }): Promise<Json> {
    const { stored_bytes } = await recordOf(await backupPlace(ctx), id);
    return { backup_id: id, bytes: stored_bytes };
  },
});

/** An increment is as good as all of its chain: what is damaged below it is said of that, and of it. */
function marked(id: string, verified: boolean, damage: readonly { backup: string }[]): string[] {
  return verified ? [id] : [...new Set([...damage.map(({ backup }) => backup), id])];
}
