import type { Json, StepContext } from "../../engine/types.ts";
import { parseBytes, parseDuration } from "../../engine/shared/units.ts";
import { lsnText } from "../../providers/postgres/lsn.ts";
import { defineStep } from "../define.ts";
import { leaderOf, valueOf } from "./facts/facts.ts";
import { gather } from "./facts/gather.ts";
import { LEVELS, type Move } from "./judge/check.ts";
import { candidates, explained, judge, refusals } from "./judge/judge.ts";
import { lastKnown } from "./judge/lag.ts";

const NUMBER = { type: ["number", "null"] } as const;
const TEXT = { type: ["string", "null"] } as const;

export default defineStep({
  type: "failover.checks",
  summary: "Tell whether the primary role could be moved now, and all that speaks against it",
  docs: `Asks Patroni, each member's server, the store, the PgBouncers and the hosts, as far as the target has them, and judges what they say. All
checks are run, and all are told, with figure and threshold. A fact that can't be had is \`unseen\`, never good. Lag is measured by SQL,
twice; what Patroni's \`/cluster\` tells is up to a loop old.

| level | a check that is not met |
|---|---|
| \`refuse\` | nothing is moved |
| \`data_loss\` | nothing is moved unless \`accept_data_loss\` |
| \`warn\` | a person should know |
| \`act\` | the move sees to it: a checkpoint, the cancelling of transactions |

The step itself never fails because of a check: \`refused\` and \`reasons\` say what to assert. \`candidates\` judges each member that does
not lead, the best first; without \`candidate\` the first of them is judged in \`checks\`.`,
  example: `- id: checks
  failover.checks: {candidate: pg2}
- assert:
    that: "!steps.checks.output.refused"
    message: "{{#each steps.checks.output.reasons}}{{this}}; {{/each}}"
`,
  effect: "read",
  idempotent: true,
  needs: ["patroni"],
  uses: ["member", "dcs", "pgbouncer", "nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      candidate: { ...TEXT, description: "The member that should lead; the best one without it" },
      max_lag: {
        ...TEXT,
        format: "bytes",
        description:
          "WAL that it may have still to receive and to replay; by default what Patroni allows",
      },
      accept_data_loss: { type: "boolean", default: false },
      cancel_transactions: {
        type: "boolean",
        default: false,
        description: "Long transactions will be cancelled, so they speak against nothing",
      },
      long_transaction: { type: "string", format: "duration", default: "15s" },
      force: {
        type: "boolean",
        default: false,
        description: "There is no primary to hand the role over: the leader key must be free",
      },
      dead: {
        type: "array",
        items: { type: "string" },
        description: "Members that are proven dead",
      },
      fences: {
        type: "boolean",
        default: false,
        description: "The old primary's node is stopped for good before the move",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "leader",
      "candidate",
      "refused",
      "reasons",
      "warnings",
      "checks",
      "candidates",
      "unproven",
      "last_known",
      "timeline",
      "synchronous",
      "pause",
      "standbys",
      "transactions",
      "pausable",
    ],
    properties: {
      leader: {
        ...TEXT,
        description: "The member that leads; null when there is none, or more than one",
      },
      candidate: TEXT,
      refused: { type: "boolean" },
      reasons: {
        type: "array",
        items: { type: "string" },
        description: "What speaks against the move, each with what to do about it",
      },
      warnings: { type: "array", items: { type: "string" } },
      checks: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["id", "about", "level", "status", "figure", "threshold", "message", "hint"],
          properties: {
            id: { type: "string" },
            about: {
              ...TEXT,
              description: "A member, a slot or a PgBouncer; null for the cluster",
            },
            level: { type: "string", enum: LEVELS },
            status: { type: "string", enum: ["ok", "failed", "unseen"] },
            figure: { type: ["number", "string", "null"] },
            threshold: { type: ["number", "string", "null"] },
            message: { type: "string" },
            hint: TEXT,
          },
        },
      },
      candidates: {
        type: "array",
        description: "Members that do not lead, the best first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["member", "able", "why", "receive_lag", "replay_lag", "at_risk", "timeline"],
          properties: {
            member: { type: "string" },
            able: { type: "boolean", description: "It could take over now" },
            why: { type: "array", items: { type: "string" }, description: "Why it could not" },
            receive_lag: {
              ...NUMBER,
              description: "Bytes; null where nobody leads, or it was not seen",
            },
            replay_lag: NUMBER,
            at_risk: {
              ...NUMBER,
              description: "Bytes that it lacks of all that is known to have been written",
            },
            timeline: NUMBER,
          },
        },
      },
      unproven: {
        type: "array",
        items: { type: "string" },
        description:
          "Members other than the candidate that take writes, or may do so for all that is known",
      },
      last_known: {
        type: ["object", "null"],
        description: "The end of the WAL as far as anybody knows it",
        additionalProperties: false,
        required: ["lsn", "by"],
        properties: { lsn: { type: "string" }, by: { type: "string" } },
      },
      timeline: { ...NUMBER, description: "Of the leader" },
      synchronous: { type: "string", enum: ["off", "on", "strict", "quorum"] },
      pause: { type: "boolean" },
      standbys: {
        type: "array",
        items: { type: "string" },
        description: "Members that stream from the leader now",
      },
      pausable: {
        type: "array",
        items: { type: "string" },
        description: "The PgBouncers that have a follower, so that their clients can be held back",
      },
      transactions: {
        type: "array",
        items: { type: "integer" },
        description: "The backends whose transactions are long",
      },
    },
  },
  async run(ctx, input) {
    const facts = await gather(ctx);
    const asked =
      typeof input.candidate === "string" ? await memberMeant(ctx, input.candidate) : null;
    const accepts = input.accept_data_loss === true;
    const named = asked !== null;
    const move: Omit<Move, "candidate"> = {
      run: ctx.run.id,
      named,
      maxLag: typeof input.max_lag === "string" ? parseBytes(input.max_lag) : facts.patroni.maxLag,
      longTransaction: parseDuration(input.long_transaction ?? "15s") / 1000,
      cancels: input.cancel_transactions === true,
      force: input.force === true,
      dead: (input.dead ?? []) as string[],
      fences: input.fences === true,
    };
    const all = candidates(facts, move, accepts);
    const candidate = named ? asked : (all[0]?.member ?? null);
    const checks = judge(facts, { ...move, candidate: candidate ?? "" });
    const against = refusals(checks, accepts);
    const told = [...against, ...explained(checks)];
    const said = ({ message, hint }: { message: string; hint: string | null }) =>
      `${message.replace(/\.$/, "")}.${hint === null ? "" : ` ${hint}`}`;
    const leader = leaderOf(facts);
    const server = leader && valueOf(leader.server);
    const sends = server && valueOf(server.standbys);
    const long = server && valueOf(server.transactions);
    const last = lastKnown(facts);
    return {
      leader: leader?.name ?? null,
      candidate,
      refused: against.length > 0,
      reasons: against.map(said),
      warnings: checks
        .filter((one) => one.status !== "ok" && one.level !== "act" && !told.includes(one))
        .map(said),
      checks: checks as unknown as Json,
      candidates: all as unknown as Json,
      unproven: checks
        .filter(({ id, status }) => id === "old_primary" && status !== "ok")
        .flatMap(({ about }) => about ?? []),
      last_known: last && { lsn: lsnText(last.lsn), by: last.by },
      timeline: server?.timeline ?? null,
      synchronous: facts.patroni.synchronous,
      pause: facts.patroni.pause,
      standbys: (sends ?? [])
        .filter(
          ({ name, state }) =>
            state === "streaming" && facts.members.some((one) => one.name === name),
        )
        .map(({ name }) => name),
      pausable: facts.poolers
        .filter(({ follower }) => valueOf(follower) != null)
        .map(({ name }) => name),
      transactions: (long ?? [])
        .filter(({ seconds }) => seconds > move.longTransaction)
        .map(({ pid }) => pid),
    };
  },
});

/** A name, a host or host:port may have been given; one that nobody knows is told by a check. */
async function memberMeant(ctx: StepContext, text: string): Promise<string> {
  try {
    return await (await ctx.use("member")).find(text);
  } catch {
    ctx.signal.throwIfAborted();
    return text;
  }
}
