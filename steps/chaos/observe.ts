import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { patroniOf } from "../patroni-access.ts";
import { type Drill, kept, placeOf } from "./drills/drill.ts";
import { loads, observers } from "./drills/running.ts";
import { probe } from "./load/sql.ts";
import { Observer } from "./observe/observer.ts";

/** So long all nodes are waited for to be seen once, ms. */
const SEEN_MS = 5_000;

export default defineStep({
  type: "chaos.observe",
  summary:
    "Begin to look at every node of the cluster, ten times a second, for as long as a drill lasts",
  docs: `Each node is asked directly, and by two connections. \`writable\` is a node where a probe insert under the workload's own synchronous_commit was acknowledged;
\`unfenced\` one that is out of recovery and acknowledges nothing, which is told and not counted. Who holds the leader key is read beside it, from the store of Patroni's state or else from
Patroni. It needs the load of the drill, and ends with \`chaos.check\`, or with the run.`,
  example: `- id: load
  chaos.load: {}
- chaos.observe: {drill: "\${steps.load.output.id}"}
- chaos.check: {drill: "\${steps.load.output.id}", confirmed: null}
`,
  effect: "change",
  idempotent: true,
  risk: "change",
  locks: "none",
  needs: ["postgres", "member"],
  uses: ["dcs", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["drill"],
    properties: { drill: { type: "string", description: "The id that chaos.load has given" } },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["members", "nodes"],
    properties: {
      members: { type: "array", items: { type: "string" } },
      nodes: {
        type: "string",
        description:
          "One letter for each member: W writable, U unfenced, S standby, D down, N no answer",
      },
    },
  },
  async run(ctx, { drill }) {
    const [load, known] = [
      await loads.of(ctx, drill),
      kept<Drill>(placeOf(ctx, drill), "drill.json"),
    ];
    if (load === null || known === undefined)
      throw new PgdbaError("step_refused", `No load of the drill ${drill} runs`, {
        hint: "Begin it with chaos.load in the same run. One that pgdba died under can't be gone on with: run the drill again.",
        nothingDone: true,
      });
    const member = await ctx.use("member");
    const members = await Promise.all(
      known.members.map(async (name) => ({ name, way: await member.way(name) })),
    );
    const { synchronous_commit: mode } = known.workload;
    const holder = await leaderKey(ctx);
    const observer = await observers.begun(
      ctx,
      drill,
      () =>
        new Observer({
          members,
          now: () => load.now(),
          probe: (pg, node) => probe(pg, node, mode),
          holder,
        }),
    );
    for (const ends = performance.now() + SEEN_MS; performance.now() < ends;) {
      if (observer.last.includes("W") && !observer.last.includes("N")) break;
      await ctx.clock.sleep(50, ctx.signal);
    }
    return { members: known.members, nodes: observer.last };
  },
});

/** Who holds the leader key now: a function to ask again and again, or undefined where nobody keeps one. */
async function leaderKey(ctx: StepContext): Promise<(() => Promise<string | null>) | undefined> {
  const { capabilities } = await ctx.target.facts();
  if (capabilities.includes("dcs")) {
    const dcs = await ctx.use("dcs");
    return async () => (await dcs.leader())?.holder ?? null;
  }
  const patroni = await patroniOf(ctx);
  if (patroni === null) return undefined;
  return async () => (await patroni.cluster()).leader;
}
