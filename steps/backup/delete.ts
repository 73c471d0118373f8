import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { ID, noBackup } from "../../providers/backup/read-record.ts";
import { removeBackup } from "./remove.ts";
import { gather } from "./retention/gather.ts";
import type { Kept } from "./retention/history.ts";

interface Input {
  id: string;
  children?: boolean;
  newest?: boolean;
}

export default defineStep({
  type: "backup.delete",
  summary: "Remove one backup",
  docs: `A pinned one is refused. So is one that others build on, unless \`children\` lets these go with it, and the newest verified full one of its kind,
unless \`newest\` says that it may go. Its WAL stays until \`backup.expire\` takes it. The record goes first, and the removal can't be taken back.`,
  example: `- backup.delete: {id: 20261128T184500Z-full-1a2b3c}
`,
  effect: "change",
  idempotent: true,
  risk: "disruptive",
  uses: ["repository", "postgres"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["id"],
    properties: {
      id: { type: "string", minLength: 1 },
      children: {
        type: "boolean",
        default: false,
        description: "Together with all that build on it",
      },
      newest: {
        type: "boolean",
        default: false,
        description: "Also when it is the newest verified full one",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["removed"],
    properties: { removed: { type: "array", items: { type: "string" } } },
  },
  async run(ctx, input: Input) {
    const { repository, key } = await backupPlace(ctx);
    const { removed: begun } = (ctx.noted ?? {}) as { removed?: string[] };
    // What an attempt that was cut off has begun to remove is removed, and not asked about again.
    const gone = begun ?? (await chosen(ctx, input));
    ctx.note({ removed: gone });
    for (const id of gone) await removeBackup(repository, key, id, { signal: ctx.signal });
    return { removed: gone };
  },
  async plan(ctx, input: Input) {
    return { removed: await chosen(ctx, input) };
  },
});

/** Children before parents. @throws PgdbaError invalid_param | step_refused */
async function chosen(ctx: StepContext, { id, children, newest }: Input): Promise<string[]> {
  const { repository, key } = await backupPlace(ctx);
  const { holdings } = await gather(repository, key, { signal: ctx.signal });
  const backups = holdings.backups.toSorted((a, b) => a.started - b.started);
  const backup = ID.test(id) ? backups.find((one) => one.id === id) : undefined;
  if (backup === undefined) throw noBackup(repository, id);
  const all = [...childrenOf(backup, backups), backup];
  const refuse = (why: string, hint: string) => {
    throw new PgdbaError("step_refused", why, { hint, nothingDone: true });
  };
  const pinned = all.find((one) => one.pinned);
  if (pinned !== undefined)
    refuse(`${pinned.id} is pinned`, `\`pgdba backup unpin ${pinned.id}\`, then again.`);
  if (all.length > 1 && children !== true)
    refuse(
      `${all.length - 1} backups build on ${id}: ${all
        .slice(0, -1)
        .map((one) => one.id)
        .join(", ")}`,
      "Without it they are nothing. To remove them with it: --children.",
    );
  const last = backups.findLast(
    (one) => one.verified && one.type !== "incremental" && kindOf(one) === kindOf(backup),
  );
  if (last !== undefined && all.includes(last) && newest !== true)
    refuse(
      `${last.id} is the newest verified ${kindOf(last) === "" ? "full backup" : "one of these databases"}`,
      "Take another one first; or say that it may go: --newest.",
    );
  return all.map((one) => one.id);
}

const kindOf = ({ type, databases }: Kept) =>
  type === "logical" ? JSON.stringify(databases.toSorted()) : "";

/** All that build on it, however far; each before what it builds on. */
function childrenOf(backup: Kept, backups: readonly Kept[], seen = new Set<string>()): Kept[] {
  if (seen.has(backup.id)) return [];
  seen.add(backup.id);
  return backups
    .filter(({ parent }) => parent === backup.id)
    .flatMap((child) => [...childrenOf(child, backups, seen), child]);
}
