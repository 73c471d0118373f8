import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { slotOf } from "../../providers/backup/receive/slot.ts";
import type {} from "../../providers/target/access.ts";
import { changeCluster } from "../../providers/registry/write.ts";
import { defineStep } from "../define.ts";
import { dropSlot } from "./slot.ts";

export default defineStep({
  type: "backup.drop-slot",
  summary:
    "Remove the replication slot by which WAL was streamed into the repository, and its name from the entry",
  docs: `The server keeps WAL for it no more: what is not in the repository yet does not come there. Refused while somebody streams by it. Can't be taken back.`,
  example: `- backup.drop-slot: {slot: pgdba_receive}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  needs: ["postgres"],
  uses: ["patroni"],
  locks: "backup",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["slot"],
    properties: { slot: { type: "string", pattern: "^[a-z0-9_]{1,63}$" } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["slot", "removed"],
    properties: { slot: { type: "string" }, removed: { type: "boolean" } },
  },
  async run(ctx, { slot }) {
    const found = await slotOf(await (await ctx.use("postgres")).session(), slot);
    if (found?.active === true) {
      throw new PgdbaError("step_refused", `Somebody streams WAL by the slot ${slot}`, {
        hint: "End `pgdba backup receive` first.",
        nothingDone: true,
      });
    }
    if (found === null) ctx.unchanged();
    else await dropSlot(ctx, slot);
    await forget(ctx, slot);
    return { slot, removed: found !== null };
  },
  plan: async (_ctx, { slot }) => ({ slot }),
  async undo(ctx) {
    ctx.unchanged();
  },
});

async function forget({ target, run }: StepContext, slot: string): Promise<void> {
  if (target.cluster === null) return;
  await changeCluster(run.stateDir, target.cluster, (before) => {
    const { data } = before!;
    if (data.repository?.slot !== slot) return data;
    const { slot: _, ...repository } = data.repository;
    return { ...data, repository };
  });
}
