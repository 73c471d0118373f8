import { PgdbaError } from "../../engine/errors.ts";
import { recordPrefix } from "../../providers/repository/layout.ts";
import { defineStep } from "../define.ts";
import { backupPlace } from "./place.ts";
import { removeAll, removeBackup } from "./remove.ts";
import { decide } from "./retention/decide.ts";
import { ABANDONED_MS, garbageOf } from "./retention/gather.ts";
import { DECISION, POLICY, told } from "./retention/input.ts";

export default defineStep({
  type: "backup.expire",
  summary: "Remove the backups and the WAL that a policy does not keep",
  docs: `As \`backup.retention\` tells it. Of each backup the record goes first, children before their parents, and WAL last: what a removal that is cut
off leaves is garbage, and the next one takes it away. Can't be taken back.`,
  example: `- backup.expire: {keep_full: 3, keep_days: 14}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "disruptive",
  uses: ["repository", "postgres"],
  locks: "backup",
  input: POLICY,
  output: {
    ...DECISION,
    required: [...DECISION.required, "garbage", "unfinished"],
    properties: {
      ...DECISION.properties,
      garbage: { type: "integer", description: "Objects that belonged to no backup" },
      unfinished: {
        type: "integer",
        description: "Objects that somebody began to write two days ago, and never ended",
      },
    },
  },
  async run(ctx, input) {
    const place = await backupPlace(ctx);
    const { repository, key } = place;
    const options = { signal: ctx.signal };
    const { decision, gathered } = await decide(ctx, place, input);
    const [refusal] = decision.refused;
    if (refusal !== undefined && decision.remove.length + decision.wal.length === 0) {
      ctx.unchanged();
      throw new PgdbaError("step_refused", `No backup was removed: ${refusal.why}`, {
        hint: refusal.hint,
        data: told(decision),
      });
    }
    for (const { why } of decision.refused)
      ctx.warn(`Not of all kinds were backups removed: ${why}`);
    const total = decision.remove.length + decision.wal.length;
    for (const [at, id] of decision.remove.entries()) {
      ctx.progress({ done: at, total, text: id });
      await removeBackup(repository, key, id, options);
    }
    await removeAll(
      repository,
      decision.wal.map(({ name }) => name),
      {
        ...options,
        onRemoved: (count) =>
          ctx.progress({ done: decision.remove.length + count, total, text: "WAL" }),
      },
    );
    const ids = new Set(gathered.backups.map(({ record }) => record.id));
    // One that was finished meanwhile has a record by now.
    for await (const { name } of repository.list(recordPrefix(key), options))
      ids.add(name.slice(recordPrefix(key).length).replace(/\.json$/, ""));
    const garbage = await garbageOf(
      repository,
      key,
      { ids, now: ctx.clock.now().getTime() },
      options,
    );
    await removeAll(repository, garbage, options);
    const before = new Date(ctx.clock.now().getTime() - ABANDONED_MS);
    const unfinished = await repository.sweep(before, options);
    if (total + garbage.length + unfinished === 0) ctx.unchanged();
    return { ...told(decision), garbage: garbage.length, unfinished };
  },
  async plan(ctx, input) {
    const { decision } = await decide(ctx, await backupPlace(ctx), input);
    return told(decision);
  },
});
