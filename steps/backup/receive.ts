import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import { everySoOften } from "../../providers/backup/every-so-often.ts";
import { receive } from "../../providers/backup/receive.ts";
import type {} from "../../providers/target/access.ts";
import { defineStep } from "../define.ts";
import { onMembers } from "./archive/members.ts";

export default defineStep({
  type: "backup.receive",
  summary: "Stream WAL from the primary into the repository, until the run is interrupted",
  docs: `For servers beside which nothing can be installed: what archive_command does elsewhere. It reads by the replication protocol and by the slot of the cluster's
entry, makes each segment in the repository once, and tells the server that it has it when it is durable there: what it has not, the server keeps. It goes
on where it stopped, follows a timeline to the next one, and a failover to the new primary. The unfinished segment of a timeline that ended is kept as \`.partial\`.

A segment with a commit in it is ended after \`archive_timeout\`, for which the role needs EXECUTE on pg_switch_wal(). A repository that is away is asked again and
again; another content under a name that is taken ends it, since another server writes there. In a runbook with \`watches: true\` an interrupt is its good end.`,
  example: `- backup.receive: {}
`,
  effect: "change",
  // It begins where the repository ends.
  idempotent: true,
  risk: "change",
  locks: "none",
  interruptible: true,
  needs: ["postgres", "repository"],
  uses: ["member", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      archive_timeout: {
        type: "string",
        format: "duration",
        default: "60s",
        description: "When a segment that is not full is ended; 0s for never",
      },
      until: {
        type: ["string", "null"],
        pattern: "^[0-9A-F]{24}$",
        description: "End well once this segment is in the repository",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["last"],
    properties: { last: { type: "string", description: "The segment that it ended with" } },
  },
  async run(ctx, { archive_timeout, until }) {
    const { repository, key, slot } = await ctx.use("repository");
    if (slot === undefined) {
      throw new PgdbaError("step_refused", `The entry of ${ctx.target.name} names no slot`, {
        hint: "`pgdba backup receive --repository /backups` makes one.",
        nothingDone: true,
      });
    }
    const postgres = await ctx.use("postgres");
    const tell = everySoOften(({ done = null, unit = null, text = null }) =>
      ctx.progress({ done, total: null, unit, text }),
    );
    const timeout = parseDuration(archive_timeout ?? "60s");
    return receive(
      { key, slot, switchMs: timeout === 0 ? null : timeout, until: until ?? null },
      {
        repository,
        replication: () => postgres.replication(),
        primary: () => postgres.session(),
        log: (message, level) => ctx.log(message, level),
        tidy: () => tidied(ctx, slot),
        tell,
        signal: ctx.signal,
      },
    );
  },
  probe: async () => ({ state: "not_done" }),
  plan: async (ctx) => ({ slot: (await ctx.use("repository")).slot ?? null }),
  async undo(ctx) {
    // What is kept is the archive.
    ctx.unchanged();
  },
});

const LEFT = `SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
  WHERE slot_name = $1 AND NOT active AND pg_catalog.pg_is_in_recovery()`;

/** Of a former primary. Patroni sees to its own. */
async function tidied(ctx: StepContext, slot: string): Promise<void> {
  const { capabilities } = await ctx.target.facts();
  if (capabilities.includes("patroni") || !capabilities.includes("member")) return;
  await onMembers(ctx, async (session) => {
    if (session.info.standby) await session.query(LEFT, [slot], { changes: true });
  });
}
