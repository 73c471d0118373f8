import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { atServer, membersOf, serversOf } from "./whole/servers.ts";

const LOOK_MS = 200;
/** A commit that leaves nothing but WAL; it waits for whom every commit waits for. */
const COMMIT = "SELECT pg_logical_emit_message(true, 'pgdba', $1)";
/** Disks fill slowly, and to look into a node costs it something. */
const DISK_MS = 3_000;

interface Round {
  /** Milliseconds after the beginning. */
  at: number;
  writable: string[];
  unfenced: string[];
}

export default defineStep({
  type: "chaos.hold",
  summary: "Let a fault last for a time, and give up at once when it does too much harm",
  docs: `Watches each server: *writable* is one that has just acknowledged a commit; one that is out of recovery and acknowledges nothing is *unfenced*, which
is told. The step fails at once when more than one server is writable, or a disk has less free than \`min_free_percent\`, so that the drill's \`always\`
takes the fault back. Its own commits write to the WAL and to no table.`,
  example: `- chaos.hold: {for: 40s}
  timeout: 2m
`,
  // The commits of the probe are all that it changes.
  effect: "change",
  idempotent: true,
  interruptible: true,
  risk: "change",
  locks: "none",
  needs: ["member"],
  uses: ["nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["for"],
    properties: {
      for: { type: "string", format: "duration" },
      min_free_percent: {
        type: "number",
        minimum: 0,
        default: 5,
        description: "Of each disk of the nodes that run; 0 looks at none",
      },
      except: {
        type: "array",
        items: { type: "string" },
        description: "Nodes whose disks are not looked at, for they are what is full",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["seconds", "looks", "most_writable", "leaders", "unfenced", "longest_without_ms"],
    properties: {
      seconds: { type: "number" },
      looks: { type: "integer" },
      most_writable: { type: "integer", description: "At one look" },
      leaders: {
        type: "array",
        items: { type: "string" },
        description: "Who was writable, in the order of the first time",
      },
      unfenced: {
        type: "array",
        items: { type: "string" },
        description: "Who was out of recovery and acknowledged nothing",
      },
      longest_without_ms: {
        type: "integer",
        description: "The longest time in which no look found a writable server",
      },
    },
  },
  async run(ctx, { for: wanted, min_free_percent: least = 5, except = [] }) {
    const members = await membersOf(ctx);
    const began = ctx.clock.monotonic();
    const rounds: Round[] = [];
    let disksAt = 0;
    for (;;) {
      const at = ctx.clock.monotonic() - began;
      if (at >= parseDuration(wanted)) return summary(rounds, at);
      const round = { at, ...(await look(ctx, members)) };
      rounds.push(round);
      if (round.writable.length > 1)
        throw aborted(`${round.writable.join(" and ")} take writes at once`);
      if (least > 0 && at >= disksAt) {
        disksAt = at + DISK_MS;
        await assertRoom(ctx, least, except);
      }
      ctx.progress({
        done: Math.round(at / 1000),
        total: Math.round(parseDuration(wanted) / 1000),
        unit: "s",
        text: round.writable.length === 0 ? "nobody takes writes" : round.writable.join(", "),
      });
      await ctx.clock.sleep(LOOK_MS, ctx.signal);
    }
  },
});

async function look(ctx: StepContext, members: readonly string[]): Promise<Omit<Round, "at">> {
  const seen = await serversOf(ctx, members);
  const out = seen.filter(({ server }) => server?.standby === false).map(({ member }) => member);
  const took = await Promise.all(
    out.map((member) =>
      atServer(ctx, member, (pg, signal) =>
        pg.transaction({ readOnly: false, signal }, (run) => run(COMMIT, [ctx.run.id])),
      ).then(
        () => true,
        () => false,
      ),
    ),
  );
  ctx.signal.throwIfAborted();
  return {
    writable: out.filter((_, i) => took[i]),
    unfenced: out.filter((_, i) => !took[i]),
  };
}

function summary(rounds: readonly Round[], ms: number) {
  let longest = 0;
  let last = 0;
  for (const { at, writable } of rounds) {
    if (writable.length === 0) continue;
    longest = Math.max(longest, at - last);
    last = at;
  }
  return {
    seconds: Math.round(ms / 100) / 10,
    looks: rounds.length,
    most_writable: Math.max(0, ...rounds.map(({ writable }) => writable.length)),
    leaders: [...new Set(rounds.flatMap(({ writable }) => writable))],
    unfenced: [...new Set(rounds.flatMap(({ unfenced }) => unfenced))],
    longest_without_ms: Math.round(Math.max(longest, ms - last)),
  };
}

/** @throws PgdbaError step_failed */
async function assertRoom(
  ctx: StepContext,
  least: number,
  except: readonly string[],
): Promise<void> {
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("nodes")) return;
  const nodes = await ctx.use("nodes");
  const running = (await nodes.list()).filter(
    ({ node, roles, state }) =>
      state.running === "running" && roles.includes("postgres") && !except.includes(node),
  );
  const all = await Promise.all(
    // One that has ended meanwhile has no disk to look at.
    running.map(({ node }) =>
      nodes.facts(node).then(
        (facts) => ({ node, facts }),
        () => null,
      ),
    ),
  );
  ctx.signal.throwIfAborted();
  for (const one of all) {
    for (const { path, freeBytes, totalBytes } of one?.facts.disks ?? []) {
      const percent = (freeBytes / totalBytes) * 100;
      if (percent < least)
        throw aborted(
          `${path} on ${one!.node} has ${percent.toFixed(1)} % free, less than ${least}`,
        );
    }
  }
}

function aborted(why: string): PgdbaError {
  return new PgdbaError("step_failed", `The drill was given up: ${why}`, {
    hint: "The fault was taken back at once. Look at the cluster before the next drill: pgdba cluster status.",
    data: { aborted: true },
  });
}
