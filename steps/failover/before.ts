import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import type { PatroniHistoryLine } from "../../providers/patroni/status.ts";
import { defineStep } from "../define.ts";
import { newestMove, readMove } from "./moves/moves.ts";

export default defineStep({
  type: "failover.before",
  summary: "Tell who led before a run moved the primary role, or before it moved last",
  docs: `By a run's id from what \`failover.record\` has kept; without one from Patroni's history, which knows who led, whoever moved it, and where that
does not tell, as after a cluster's first move, from the newest move that was kept. Refused where
another member leads by now than the run has made the leader, unless \`force\`.`,
  example: `- failover.before: {run: 20260102-030405-k3f9xz}
`,
  effect: "read",
  idempotent: true,
  needs: ["patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      run: { type: ["string", "null"], description: "Id of the run" },
      force: { type: "boolean", default: false },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["member", "leads", "at"],
    properties: {
      member: { type: "string", description: "It led before" },
      leads: { type: ["string", "null"], description: "It leads now" },
      at: { type: ["string", "null"], description: "When the role was moved" },
    },
  },
  async run(ctx, { run = null, force = false }) {
    const client = await ctx.use("patroni");
    const { leader: leads, members } = await client.cluster(ctx.signal);
    if (run === null) {
      const lines = await client.history(ctx.signal);
      const [before, last] = lines.slice(-2);
      const newest = lines.at(-1);
      const told =
        last !== undefined && last.leader === leads && before?.leader != null
          ? { member: before.leader, at: last.at }
          : await ownMove(ctx, leads, newest);
      if (told === undefined)
        throw new PgdbaError("step_refused", "Patroni's history does not tell who led before", {
          hint: "Give the run that moved the role (--run), or name the member: failover/trigger --target.",
          nothingDone: true,
        });
      assertMember(members, told.member);
      return { leads, ...told };
    }
    const move = readMove(ctx.run.stateDir, run);
    if (move === undefined)
      throw new PgdbaError(
        "unknown_run",
        `${run} has moved no primary role that could be brought back`,
        {
          hint: "`pgdba runs` lists the runs of this state folder.",
        },
      );
    const { identity } = await ctx.target.facts();
    if (move.identity !== null && identity !== null && move.identity !== identity)
      throw new PgdbaError(
        "identity_mismatch",
        `${run} moved the role in ${move.target}, which is another cluster than ${ctx.target.name}`,
        {
          hint: "Name the cluster of that run.",
        },
      );
    if (move.from === null)
      throw new PgdbaError(
        "step_refused",
        `${run} found no primary, so there is nothing to go back to`,
        {
          hint: "Name the member that should lead: failover/trigger --target.",
          nothingDone: true,
        },
      );
    if (leads !== move.to && leads !== move.from && !force)
      throw new PgdbaError(
        "step_refused",
        `${run} made ${move.to} the primary, and ${leads ?? "nobody"} leads now`,
        {
          hint: "The role has moved since: --force brings it back all the same.",
          nothingDone: true,
        },
      );
    assertMember(members, move.from);
    return { member: move.from, leads, at: move.at };
  },
});

/**
 * By the newest move of this state folder. Patroni's history names whom each move has made the leader, so that of a cluster's first one
 * it does not tell who led before; and of what happened just now it tells a moment later.
 */
async function ownMove(
  ctx: StepContext,
  leads: string | null,
  last: PatroniHistoryLine | undefined,
): Promise<{ member: string; at: string | null } | undefined> {
  const { identity } = await ctx.target.facts();
  const move = identity === null ? undefined : await newestMove(ctx.run.stateDir, identity);
  if (move === undefined || move.to !== leads || move.from === null) return undefined;
  const later =
    last !== undefined &&
    last.leader !== leads &&
    (last.at === null || Date.parse(last.at) > Date.parse(move.at));
  return later ? undefined : { member: move.from, at: move.at };
}

function assertMember(members: readonly { name: string }[], member: string): void {
  if (members.some(({ name }) => name === member)) return;
  throw new PgdbaError("step_refused", `${member}, which led before, is no member any more`, {
    hint: "Name the member that should lead: failover/trigger --target.",
    nothingDone: true,
  });
}
