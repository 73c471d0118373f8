import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { createSlot, slotOf } from "../../providers/backup/receive/slot.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";
import { identify } from "../../providers/postgres/replication/commands.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";

/** Patroni makes it in its next loop, which is as long as somebody has set it. */
const MADE_MS = 60_000;
const UNDEFINED_OBJECT = "42704";

export default defineStep({
  type: "backup.slot",
  summary: "Make the replication slot by which WAL is streamed into the repository",
  docs: `From then on the primary keeps all WAL that is not in the repository yet, so that \`backup.receive\` misses nothing while it does not run: watch that it does.
Under Patroni the slot stands in the dynamic configuration, since Patroni removes others, and a new primary has it too.`,
  example: `- backup.slot: {slot: pgdba_receive}
`,
  effect: "change",
  idempotent: true,
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
    required: ["slot", "made", "system_identifier", "version"],
    properties: {
      slot: { type: "string" },
      made: { type: "boolean" },
      system_identifier: { type: "string" },
      version: { type: "integer" },
    },
  },
  async run(ctx, { slot }) {
    const postgres = await ctx.use("postgres");
    const pg = await postgres.session();
    const standbys = (await pg.ask("SHOW synchronous_standby_names")).rows[0]!;
    if (String(Object.values(standbys)[0]).includes("*")) {
      throw new PgdbaError(
        "step_refused",
        "synchronous_standby_names is *: commits would wait for whoever streams WAL into the repository",
        { hint: "Name the standbys there, then again.", nothingDone: true },
      );
    }
    const session = await postgres.replication();
    try {
      const { systemIdentifier } = await identify(session, ctx.signal);
      const version = Math.floor(pg.info.version_num / 10_000);
      const there = (await slotOf(pg, slot)) !== null;
      if (there) ctx.unchanged();
      else {
        ctx.note({ made: true });
        if (await underPatroni(ctx)) await bySlots(ctx, slot, { type: "physical" });
        else await createSlot(session, slot, { signal: ctx.signal });
      }
      return { slot, made: !there, system_identifier: systemIdentifier, version };
    } finally {
      session.close();
    }
  },
  plan: async (_ctx, { slot }) => ({ slot }),
  async undo(ctx, { slot }) {
    if ((ctx.noted as { made?: boolean } | undefined)?.made !== true) return ctx.unchanged();
    await dropSlot(ctx, slot);
  },
});

const underPatroni = async (ctx: StepContext) =>
  (await ctx.target.facts()).capabilities.includes("patroni");

async function bySlots(ctx: StepContext, slot: string, what: JsonObject | null): Promise<void> {
  const patroni = await ctx.use("patroni");
  await patroni.patchConfig({ slots: { [slot]: what } }, ctx.signal);
  const deadline = ctx.clock.monotonic() + MADE_MS;
  for (;;) {
    const found = await slotOf(await (await ctx.use("postgres")).session(), slot);
    if ((found !== null) === (what !== null)) return;
    if (ctx.clock.monotonic() > deadline)
      throw new PgdbaError(
        "timeout",
        `Patroni has not ${what ? "made" : "removed"} the slot ${slot} in time`,
        {
          hint: "Its log says why. Slots need use_slots, and max_replication_slots that are free.",
        },
      );
    await ctx.clock.sleep(500, ctx.signal);
  }
}

/** @throws PgdbaError query_failed while somebody streams by it */
export async function dropSlot(ctx: StepContext, slot: string): Promise<void> {
  if (await underPatroni(ctx)) return bySlots(ctx, slot, null);
  const session = await (await ctx.use("postgres")).replication();
  try {
    await session.ask(`DROP_REPLICATION_SLOT "${slot}"`, ctx.signal);
  } catch (error) {
    if (sqlstateOf(error) !== UNDEFINED_OBJECT) throw error;
  } finally {
    session.close();
  }
}
