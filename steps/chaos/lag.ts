import { PgdbaError } from "../../engine/errors.ts";
import { parseLsn } from "../../engine/shared/units.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { Inverse, Nodes } from "../../providers/nodes/contract.ts";
import { defineStep } from "../define.ts";
import { FAULT, FOR, inject, INJECTED, NODE, type Proof } from "./fault/inject.ts";
import { atServer, membersOf, serversOf } from "./whole/servers.ts";

/** So long a standby that lives needs at most for a small piece of WAL here, ms. */
const PROOF_MS = 1_500;
/** A fault that shows nothing by then did not bite. */
const SHOWS_MS = 10_000;

/** It runs on: one that has ended meanwhile stands still no more. */
const CONTINUE = `kill -CONT "$1" 2>/dev/null
! grep -q '^State:[[:space:]]*T' "/proc/$1/status" 2>/dev/null`;
const STOPPED = `grep -q '^State:[[:space:]]*T' "/proc/$1/status"`;
/** Not pg_wal_replay_pause: Patroni ends such a pause in its next loop. */
const OF = {
  receiver: {
    pid: "SELECT pid FROM pg_stat_wal_receiver",
    none: "receives no WAL",
    name: "WAL receiver",
    what: "received",
  },
  replay: {
    pid: "SELECT pid FROM pg_stat_activity WHERE backend_type = 'startup'",
    none: "replays no WAL",
    name: "startup process",
    what: "replayed",
  },
} as const;
type Part = (typeof OF)[keyof typeof OF];
/** WAL that no commit waits for. */
const WRITE = "SELECT pg_logical_emit_message(false, 'pgdba', repeat('x', 1000))::text AS lsn";

export default defineStep({
  ...FAULT,
  type: "chaos.lag",
  summary: "Let a standby fall behind on purpose, for a time",
  docs: `\`receiver\` lets its WAL receiver stand still (SIGSTOP): it looks as if it streamed until \`wal_sender_timeout\`, and receives nothing. \`replay\` does the same
to its startup process: it receives and applies nothing. The proof is WAL that the leader writes and that the standby has not received (replayed) a second and a half later.`,
  example: `- chaos.lag: {node: pg2, how: receiver, for: 60s}
`,
  hazards: ["fault"],
  needs: ["nodes", "member"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["node", "how"],
    properties: { node: NODE, how: { enum: ["receiver", "replay"] }, for: FOR },
  },
  output: INJECTED,
  async run(ctx, { node, how, for: lasts }) {
    const nodes = await ctx.use("nodes");
    const part = OF[how];
    const pid = await pidOf(ctx, node, part);
    const inverse: Inverse = {
      on: node,
      argv: ["sh", "-c", CONTINUE, "sh", String(pid)],
      still: ["sh", "-c", STOPPED, "sh", String(pid)],
    };
    return inject(ctx, nodes, {
      kind: `lag-${how}`,
      node,
      lasts,
      inverse,
      async act() {
        await stopped(nodes, node, pid, part);
        return proof(ctx, node, part.what);
      },
    });
  },
  async plan(_ctx, { node, how }): Promise<Json> {
    return { node, how };
  },
});

async function pidOf(ctx: StepContext, node: string, part: Part): Promise<number> {
  const { rows } = await atServer(ctx, node, (pg, signal) => pg.ask(part.pid, [], { signal }));
  const pid = rows[0]?.["pid"];
  if (pid != null) return Number(pid);
  ctx.unchanged();
  throw new PgdbaError("step_refused", `${node} ${part.none}`, {
    hint: "Name a standby that streams.",
    nothingDone: true,
  });
}

/** @throws PgdbaError command_failed */
async function stopped(nodes: Nodes, node: string, pid: number, { name }: Part): Promise<void> {
  const done = await nodes.exec(node, ["sh", "-c", 'kill -STOP "$1"', "sh", String(pid)]);
  if (done.exit_code === 0) return;
  throw new PgdbaError(
    "command_failed",
    `The ${name} of ${node} can't be stopped: ${done.stderr}`,
    {
      hint: "It may have ended meanwhile: look at the standby's log.",
    },
  );
}

/** The leader writes, and the standby is looked at for a while. What had come to it before may still be on its way: then the leader writes again. */
async function proof(ctx: StepContext, node: string, what: Part["what"]): Promise<Proof> {
  const servers = await serversOf(ctx, await membersOf(ctx));
  const leader = servers.find(({ server }) => server?.standby === false)?.member;
  if (leader === undefined)
    return { took: null, evidence: "no leader writes, so nothing can be told" };
  const ends = ctx.clock.monotonic() + SHOWS_MS;
  for (;;) {
    const wrote = await atServer(ctx, leader, async (pg, signal) => {
      const { rows } = await pg.transaction({ readOnly: false, signal }, (run) => run(WRITE));
      return String(rows[0]!["lsn"]);
    });
    const has = await cameTo(ctx, node, what, wrote);
    if (has === null)
      return { took: null, evidence: `${node} does not answer, so nothing can be told` };
    if (!has.came)
      return {
        took: true,
        evidence: `${leader} wrote ${wrote}, and ${node} has ${what} ${has.at} ${PROOF_MS / 1000} s later`,
      };
    if (ctx.clock.monotonic() > ends)
      return { took: false, evidence: `${node} has ${what} ${has.at}, as ${leader} wrote it` };
  }
}

/** Whether WAL comes to a standby within a moment, and how far it is; null when it does not answer. */
async function cameTo(
  ctx: StepContext,
  node: string,
  what: Part["what"],
  wrote: string,
): Promise<{ came: boolean; at: string } | null> {
  const until = ctx.clock.monotonic() + PROOF_MS;
  for (;;) {
    const [seen] = await serversOf(ctx, [node]);
    const at = seen?.server?.[what] ?? null;
    if (at !== null && BigInt(parseLsn(at)) >= BigInt(parseLsn(wrote))) return { came: true, at };
    if (ctx.clock.monotonic() > until)
      return seen?.server == null ? null : { came: false, at: at ?? "nothing" };
    await ctx.clock.sleep(100, ctx.signal);
  }
}
