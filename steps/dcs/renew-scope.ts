import type { Json, StepContext } from "../../engine/types.ts";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { DcsAccess } from "../../providers/dcs/contract.ts";
import { defineStep } from "../define.ts";

type Keys = Record<string, string>;

export default defineStep({
  type: "dcs.renew-scope",
  summary: "Take what Patroni keeps of a cluster out of its store, but for the configuration",
  docs: `For other data under the same cluster: who led, how far it was and which timelines it had is not true of them, and would keep Patroni from
leading with them. No Patroni of the cluster may run. The dynamic configuration stays as it is, without a pause. Taken back, all is there again but for
what lives only as long as its holder, and again without a pause: Patroni would start nothing.`,
  example: `- dcs.renew-scope: {}
`,
  effect: "change",
  idempotent: true,
  risk: (input: { new?: boolean }) => (input.new === true ? "change" : "disruptive"),
  locks: "roles",
  needs: ["dcs"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      new: {
        type: "boolean",
        default: false,
        description: "Only of a cluster that this run is making, which nobody uses yet",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["removed", "kept"],
    properties: {
      removed: { type: "array", items: { type: "string" }, description: "The keys" },
      kept: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, input) {
    if (input.new === true) await assertOwn(ctx);
    const dcs = await ctx.use("dcs");
    // An attempt that was cut off has noted what was there before it removed anything.
    const before = (ctx.noted as Keys | undefined) ?? (await dcs.save());
    ctx.note(before);
    await replaced(dcs, configOf(before));
    const names = Object.keys(before);
    return {
      removed: names.filter((name) => name !== "config"),
      kept: names.filter((name) => name === "config"),
    };
  },
  async plan(ctx): Promise<Json> {
    const keys = Object.keys(await (await ctx.use("dcs")).save());
    return { removes: keys.filter((name) => name !== "config") };
  },
  async undo(ctx: StepContext) {
    const before = ctx.noted as Keys | undefined;
    if (before === undefined) return ctx.unchanged();
    await replaced(await ctx.use("dcs"), { ...before, ...configOf(before) });
  },
});

/** @throws PgdbaError step_refused */
async function assertOwn(ctx: StepContext): Promise<void> {
  const { partialBy } = await ctx.target.facts();
  if (partialBy === ctx.run.id) return;
  throw new PgdbaError("step_refused", `${ctx.target.name} is not being made by this run`, {
    hint: "What Patroni keeps of a cluster that is used goes by a run that says so.",
    nothingDone: true,
  });
}

/** The dynamic configuration without a pause; a text that is no JSON is Patroni's to complain about. */
function configOf({ config }: Keys): Keys {
  if (config === undefined) return {};
  try {
    const { pause: _, ...rest } = JSON.parse(config) as Record<string, Json>;
    return { config: JSON.stringify(rest) };
  } catch {
    return { config };
  }
}

/** Somebody's last word may come between the two: then it is done once more. */
async function replaced(dcs: DcsAccess, keys: Keys): Promise<void> {
  for (let left = 2; ; left -= 1) {
    await dcs.remove();
    try {
      return await dcs.restore(keys);
    } catch (error) {
      if (toPgdbaError(error).code !== "step_refused" || left === 0) throw error;
    }
  }
}
