import { join } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { type Drill, keep, kept, placeOf, thinOut } from "./drills/drill.ts";
import { eventsOf } from "./drills/events.ts";
import type { Result } from "./drills/result.ts";
import { loads, observers } from "./drills/running.ts";
import { OUTPUT, outputOf } from "./drills/schema.ts";
import { readHistory } from "./history/read.ts";
import { Final } from "./judge/final.ts";
import { judge } from "./judge/judge.ts";
import { nodes, recovery, redundancy } from "./judge/nodes.ts";
import { type Copy, compareCopies, readLeader } from "./judge/read.ts";
import { goesOn, underLoad } from "./judge/around.ts";
import { capacityOf, Tally } from "./judge/tally.ts";
import { hypotheses, verdictOf } from "./judge/verdict.ts";
import { waits } from "./judge/waits.ts";
import type { Load } from "./load/load.ts";
import { dropTables } from "./load/sql.ts";
import type { PatroniHistoryLine } from "../../providers/patroni/status.ts";
import { patroniOf } from "../patroni-access.ts";
import type { Samples } from "./observe/sample.ts";

/** So long clients are given to write again once a fault is over, ms: what TCP could not send it sends again only after as long as that has lasted, two minutes at most. */
const GOES_ON_MS = 120_000;
const POLL_MS = 100;
/** Fewer acknowledged writes prove nothing. */
const LEAST = 1000;

export default defineStep({
  type: "chaos.check",
  summary:
    "End the load of a drill, compare what its clients were told with what is there, and give the verdict",
  docs: `\`invalid\`: something is proven wrong: an acknowledged write is lost, one is there twice, one is there that failed or that nobody sent, what a client has read is gone, a list has two histories,
two servers acknowledged at a time, nodes hold different data, redundancy did not come back. \`unknown\`: nothing is wrong, and it is not proven either: the fault was not seen to take effect, too little was written, a node could not
be read, or pgdba died meanwhile. Only \`valid\` is good.

\`confirmed\` is what an independent probe saw of the fault; null says that the drill injects none. It waits up to \`settle\` until the standbys hold what the leader holds, and removes the tables of the load. What was found is kept in the
state folder; done again it gives that.`,
  example: `- id: load
  chaos.load: {}
- chaos.check: {drill: "\${steps.load.output.id}", confirmed: null}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres", "member"],
  uses: ["patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["drill", "confirmed"],
    properties: {
      drill: { type: "string", description: "The id that chaos.load has given" },
      confirmed: { type: ["boolean", "null"] },
      lasted: {
        type: ["boolean", "null"],
        default: null,
        description:
          "Whether the fault was in force until the drill took it back; null makes no claim",
      },
      healed: {
        type: ["boolean", "null"],
        default: null,
        description: "Whether it was verified that the fault is gone",
      },
      max_gap: {
        type: ["string", "null"],
        format: "duration",
        default: null,
        description: "The longest time without an acknowledged write that is good; any without it",
      },
      expected: {
        type: "array",
        description: "What this drill claims beside what every drill must hold",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "holds", "why"],
          properties: {
            name: { type: "string" },
            holds: { type: "boolean" },
            why: { type: "string", description: "The reason to expect it" },
          },
        },
      },
      least: {
        type: "integer",
        minimum: 1,
        default: LEAST,
        description:
          "Fewer acknowledged writes prove nothing; where `healed` is true they are waited for, two minutes at most",
      },
      settle: { type: "string", format: "duration", default: "60s" },
      keep: { type: "boolean", default: false, description: "Leave the tables of the load" },
      skipped: {
        type: ["string", "null"],
        default: null,
        description:
          "Why nothing was broken: the place can't do that. Then the verdict is `skipped`",
      },
    },
  },
  output: OUTPUT,
  async run(ctx, input) {
    const place = placeOf(ctx, input.drill);
    const drill = kept<Drill>(place, "drill.json");
    if (drill === undefined)
      throw new PgdbaError("step_refused", `There is no drill ${input.drill}`, {
        hint: "Give the id that chaos.load has given in the same run.",
        nothingDone: true,
      });
    const before = kept<Result>(place, "result.json");
    const result = before ?? (await checked(ctx, place, drill, input));
    if (before === undefined) {
      await keep(place, "result.json", result);
      await thinOut(ctx);
    }
    if (input.keep !== true) await dropTables(await session(ctx));
    return outputOf(drill, result);
  },
});

interface Asked {
  drill: string;
  confirmed: boolean | null;
  lasted?: boolean | null;
  healed?: boolean | null;
  max_gap?: string | null;
  expected?: readonly { name: string; holds: boolean; why: string }[];
  least?: number;
  settle?: string;
  skipped?: string | null;
}

async function checked(
  ctx: StepContext,
  place: string,
  drill: Drill,
  asked: Asked,
): Promise<Result> {
  const [load, observer] = [await loads.of(ctx, drill.id), await observers.of(ctx, drill.id)];
  const flaws: string[] = [];
  if (load === null) flaws.push("pgdba ended while the load ran");
  else await goneOn(ctx, load, asked);
  await load?.stop().catch((error: unknown) => flaws.push(toPgdbaError(error).message));
  const file = join(place, "history");
  const tally = new Tally(capacityOf(file));
  readHistory(file, tally);
  const fault = tally.phaseAt("inject");
  const ends = performance.now() + parseDuration(asked.settle ?? "60s");
  const final = new Final(tally.last);
  let read = true;
  let copies: Copy[] = [];
  try {
    copies = await compareCopies(ctx, drill.members, ends);
    await readLeader(ctx, final);
  } catch (error) {
    ctx.signal.throwIfAborted();
    read = false;
    flaws.push(`the leader could not be read: ${toPgdbaError(error).message}`);
  }
  if (observer !== null) {
    const back = () => redundancy(observer.samples(), fault)?.restored_ms !== null;
    while (!back() && performance.now() < ends) await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
  const samples = await observer?.stop();
  if (samples?.cut === true) flaws.push("the observer saw more than it keeps");
  const history = await historyOf(ctx);
  if (samples !== undefined) await keep(place, "samples.json", samples);
  return resultOf(drill, {
    tally,
    final: read ? final : null,
    copies,
    samples,
    history,
    flaws,
    fault,
    asked,
  });
}

/**
 * The fault is over. The clients are given time to write again, by each way, and until as many writes are acknowledged as a judgement needs: the fault may have kept
 * them from writing nearly all of its time. A drill that was given up only waits until they write again, and not as long.
 */
async function goneOn(ctx: StepContext, load: Load, { settle = "60s", healed, least }: Asked) {
  const since = load.begun("healed", "inject");
  if (since === undefined) return;
  const ms = healed === true ? GOES_ON_MS : parseDuration(settle);
  const enough = healed === true ? (least ?? LEAST) : 0;
  for (const ends = performance.now() + ms; performance.now() < ends;) {
    const again = load.hasWritten(since);
    if (again && load.acknowledged >= enough) return;
    ctx.progress({ text: again ? "waits for enough writes" : "waits until clients write again" });
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/** As much as a person reads of the timelines before. Undefined where no Patroni tells. */
const MOST_HISTORY = 10;

async function historyOf(ctx: StepContext): Promise<PatroniHistoryLine[] | undefined> {
  try {
    return (await (await patroniOf(ctx))?.history(ctx.signal))?.slice(-MOST_HISTORY);
  } catch {
    ctx.signal.throwIfAborted();
    return undefined;
  }
}

interface Gathered {
  tally: Tally;
  final: Final | null;
  copies: Copy[];
  samples: Samples | undefined;
  history: PatroniHistoryLine[] | undefined;
  flaws: string[];
  fault: number | undefined;
  asked: Asked;
}

function resultOf(drill: Drill, all: Gathered): Result {
  const { tally, final, copies, samples, history, flaws, fault, asked } = all;
  const from = tally.phaseAt("steady") ?? 0;
  const to = tally.phaseAt("stopped") ?? tally.end;
  const judged = final === null ? null : judge(tally, final);
  const seen = {
    judged,
    flaws,
    copies,
    nodes: samples === undefined ? null : nodes(samples),
    redundancy: samples === undefined || samples.cut ? null : redundancy(samples, fault),
    goes_on: goesOn(tally),
    waits: waits(tally, { from, to, fault }),
    fault: fault === undefined ? null : { at_ms: ms(fault), under_load: underLoad(tally, fault) },
  };
  const claims = hypotheses({
    ...seen,
    confirmed: asked.confirmed,
    lasted: asked.lasted ?? null,
    healed: asked.healed ?? null,
    least: asked.least ?? LEAST,
    most_gap_ms: asked.max_gap ? parseDuration(asked.max_gap) : null,
  });
  for (const { name, holds, why } of asked.expected ?? [])
    claims.push({ name, held: holds, said: holds ? why : `expected, for ${why}` });
  // What was found to be wrong is told, also where nothing was broken.
  const skipped = verdictOf(claims) === "invalid" ? null : (asked.skipped ?? null);
  const stalls = tally.phases.filter(({ name }) => name === "stalled");
  return {
    format: 1,
    id: drill.id,
    ended: new Date(Date.parse(drill.began) + ms(Math.max(to, tally.end))).toISOString(),
    verdict: skipped === null ? verdictOf(claims) : "skipped",
    ...(skipped === null ? {} : { skipped }),
    hypotheses: claims,
    judged,
    waits: seen.waits,
    nodes: seen.nodes,
    recovery: samples === undefined ? null : recovery(samples, fault),
    redundancy: seen.redundancy,
    copies,
    phases: tally.phases
      .filter(({ name }) => name !== "stalled")
      .map(({ at, name, text }) => ({ at_ms: ms(at), name, text })),
    events: samples === undefined ? [] : eventsOf(samples),
    ...(history === undefined ? {} : { history }),
    reasons: tally.reasons
      .map((reason, n) => ({ reason, times: tally.told[n] ?? 0 }))
      .toSorted((a, b) => b.times - a.times),
    stalled_ms: stalls.reduce((sum, { text }) => sum + Number(/\d+/.exec(text)?.[0] ?? 0), 0),
    seconds: Math.round(to / 1e6),
  };
}

function ms(us: number): number {
  return Math.round(us / 1000);
}
