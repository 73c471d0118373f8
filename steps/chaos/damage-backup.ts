import { PgdbaError } from "../../engine/errors.ts";
import type { Json, ProbeResult } from "../../engine/types.ts";
import type { Repository } from "../../providers/repository/contract.ts";
import { backupPrefix } from "../../providers/repository/layout.ts";
import { backupPlace } from "../backup/place.ts";
import { mark, recordOf } from "../backup/records.ts";
import { defineStep } from "../define.ts";
import { digestOf, FLIPPED, flipped } from "./damage/page.ts";
import { assertTest } from "./fault/inject.ts";

/** Larger ones are not taken into memory. */
const MOST_BYTES = 64 * 1024 * 1024;

export default defineStep({
  type: "chaos.damage-backup",
  summary: "Damage an object of a backup on purpose",
  docs: `${FLIPPED} bytes in the middle of its largest object (of those up to 64 MiB) are turned over. The backup is marked as damaged before, so that nobody restores from it or builds
on it, whatever becomes of the run: name one that was made for this. \`took\`: read again, the object is another one. \`backup.verify\` must find it.`,
  example: `- chaos.damage-backup: {backup_id: 20261128T184500Z-full-1a2b3c}
`,
  effect: "change",
  idempotent: false,
  risk: "disruptive",
  hazards: ["fault", "loses"],
  uses: ["repository"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id"],
    properties: { backup_id: { type: "string", minLength: 1 } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["backup_id", "object", "at", "bytes", "took", "evidence", "began"],
    properties: {
      backup_id: { type: "string" },
      object: { type: "string", description: "Its name in the repository" },
      at: { type: "integer", description: "The first byte that is another one" },
      bytes: { type: "integer" },
      took: { type: "boolean" },
      evidence: { type: "string" },
      began: { type: "string" },
    },
  },
  async run(ctx, { backup_id: id }) {
    assertTest(ctx);
    const place = await backupPlace(ctx);
    const { repository, key } = place;
    await recordOf(place, id);
    const name = await largest(repository, backupPrefix(key, id));
    const bytes = await contentOf(repository, name);
    const at = Math.floor((bytes.length - FLIPPED) / 2);
    const other = flipped(bytes, at);
    await mark(ctx, place, {
      backup: id,
      kind: "damaged",
      facts: {
        damage: [
          { backup: id, object: name, why: `a drill has damaged it on purpose, run ${ctx.run.id}` },
        ],
      },
    });
    const began = ctx.clock.now().toISOString();
    // An object is never changed: another one takes its place.
    await repository.remove([name], { signal: ctx.signal });
    await repository.create(name, other);
    const took = digestOf(await contentOf(repository, name)) === digestOf(other);
    return {
      backup_id: id,
      object: name,
      at,
      bytes: FLIPPED,
      took,
      evidence: `${name} has ${FLIPPED} bytes turned over from byte ${at} on`,
      began,
    };
  },
  async plan(_ctx, { backup_id }): Promise<Json> {
    return { backup_id };
  },
  /** A backup that may be damaged is marked so, and made anew. */
  async probe(): Promise<ProbeResult> {
    return {
      state: "failed",
      error: new PgdbaError("step_failed", "The run was killed while it damaged a backup", {
        hint: "It is marked as damaged. Give the same command again.",
      }),
    };
  },
  async undo(ctx) {
    // It was made for this, is marked, and goes with the run that has made it.
    ctx.unchanged();
  },
});

/** @throws PgdbaError step_refused */
async function largest(repository: Repository, prefix: string): Promise<string> {
  let found: { name: string; bytes: number } | undefined;
  for await (const one of repository.list(prefix))
    if (one.bytes <= MOST_BYTES && one.bytes > (found?.bytes ?? FLIPPED)) found = one;
  if (found !== undefined) return found.name;
  throw new PgdbaError("step_refused", `No object below ${prefix} is small enough to be damaged`, {
    hint: `Take a backup of a smaller cluster: objects up to ${MOST_BYTES} bytes are damaged.`,
    nothingDone: true,
  });
}

/** @throws PgdbaError backup_damaged */
async function contentOf(repository: Repository, name: string): Promise<Uint8Array> {
  const content = await repository.read(name);
  if (content === null)
    throw new PgdbaError("backup_damaged", `${name} is gone`, {
      hint: "Somebody has removed it meanwhile: look at `pgdba backup list`.",
    });
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}
