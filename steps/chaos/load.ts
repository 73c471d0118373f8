import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseDuration } from "../../engine/shared/units.ts";
import { fileError } from "../../engine/shared/write-file.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { poolerFor } from "../clients.ts";
import { commandLine, wordsOf } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { type Drill, folderOf, idOf, keep, placeOf } from "./drills/drill.ts";
import { loads } from "./drills/running.ts";
import type { Header } from "./history/lines.ts";
import { toLeader } from "./load/leader.ts";
import { Load } from "./load/load.ts";
import { settingsOf } from "./load/settings.ts";
import { dropTables, makeTables } from "./load/sql.ts";

const CONNECT_MS = 1_000;
/** How long standbys are given to have the tables, ms. */
const REPLAYED_MS = 10_000;
const MODES = ["on", "remote_apply", "remote_write", "local", "off"] as const;

export default defineStep({
  type: "chaos.load",
  summary: "Begin the load of a drill: writers and readers that go on beside the steps that follow",
  docs: `Writes are due by the clock, \`rate\` in a second by each of two ways, whatever becomes of those before: directly to whoever leads, and through the
first PgBouncer of the cluster where there is one that lets the role in. \`inside\` adds a way to one member alone. Each write has an id of its own, which goes into a set and to the end of a list. All that a client was
told stands in a history in the state folder (\`chaos/CLUSTER/DRILL/history\`): acknowledged, failed, or unknown. Unknown is a COMMIT whose connection broke, and one that came back with a warning
that no standby has confirmed it. Nothing limits the time of a COMMIT.

Connections that give no answer for a second have others put beside them, three times \`connections\` at most by each way.

The tables are in a schema \`pgdba_chaos\` of their own; \`chaos.check\` removes it, and so does the undo. The load ends with \`chaos.check\`, or with the run.`,
  example: `- id: load
  chaos.load: {params: "\${params}"}
- chaos.check: {drill: "\${steps.load.output.id}", confirmed: null}
`,
  effect: "change",
  idempotent: false,
  risk: "change",
  locks: "none",
  needs: ["postgres", "primary", "member"],
  uses: ["pgbouncer", "patroni"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      rate: {
        type: "number",
        exclusiveMinimum: 0,
        maximum: 2000,
        default: 100,
        description: "Writes due per second, by each way",
      },
      connections: { type: "integer", minimum: 1, maximum: 50, default: 4 },
      synchronous_commit: { type: "string", enum: MODES, default: "on" },
      deadline: {
        type: "string",
        format: "duration",
        default: "250ms",
        description: "A write that is acknowledged later has failed its client",
      },
      inside: {
        type: ["string", "null"],
        default: null,
        description:
          "A member that one more client writes to and never leaves, as one does that is cut off together with it",
      },
      lists: { type: "integer", minimum: 1, maximum: 4096, default: 128 },
      warm_up: {
        type: "integer",
        minimum: 0,
        maximum: 100_000,
        default: 1000,
        description: "The step ends when so many are acknowledged",
      },
      warm_up_timeout: { type: "string", format: "duration", default: "2m" },
      name: { type: "string", description: "The drill; without it the runbook of the run" },
      params: {
        type: "object",
        default: {},
        description:
          "The parameters of the drill, for the report and for the command that does it again",
      },
      seed: {
        type: ["integer", "null"],
        default: null,
        description: "That of the drill, for the report",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["id", "ways", "members", "acknowledged"],
    properties: {
      id: { type: "string", description: "By which the other steps of the drill know it" },
      ways: { type: "array", items: { type: "string" } },
      members: { type: "array", items: { type: "string" } },
      acknowledged: { type: "integer" },
    },
  },
  async run(ctx, input) {
    const id = idOf(ctx);
    const place = placeOf(ctx, id);
    const {
      rate = 100,
      connections = 4,
      synchronous_commit = "on",
      lists = 128,
      warm_up = 1000,
    } = input;
    const member = await ctx.use("member");
    const members = await Promise.all(
      (await member.list()).map(async (name) => ({ name, way: await member.way(name) })),
    );
    const through = await poolerFor(ctx, "The load", CONNECT_MS);
    const postgres = await ctx.use("postgres");
    const ways = [
      { way: "direct" as const, open: toLeader(members, CONNECT_MS) },
      ...(through === null
        ? []
        : [
            {
              way: "pooled" as const,
              open: () => postgres.open(undefined, { through, timeoutMs: CONNECT_MS }),
            },
          ]),
      ...(input.inside == null ? [] : [await insideOf(ctx, input.inside)]),
    ];
    const workload: Drill["workload"] = {
      rate,
      connections,
      synchronous_commit,
      deadline_ms: parseDuration(input.deadline ?? "250ms"),
      ways: ways.map(({ way }) => way),
      lists,
    };
    const params = (input.params ?? {}) as JsonObject;
    const name = input.name ?? ctx.run.runbook;
    const settings = await settingsOf(ctx);
    await made(ctx, lists);
    try {
      await mkdir(folderOf(ctx), { recursive: true, mode: 0o700 });
      // Of an attempt that did not come to its end.
      await rm(place, { recursive: true, force: true });
      await mkdir(place, { mode: 0o700 });
    } catch (error) {
      throw fileError(place, error);
    }
    const began = ctx.clock.now().toISOString();
    const drill: Drill = {
      format: 1,
      id,
      run: ctx.run.id,
      name,
      params,
      command: commandOf(ctx, name, params, input.seed ?? null),
      cluster: ctx.target.cluster ?? ctx.target.name,
      seed: input.seed ?? null,
      began,
      members: members.map((one) => one.name),
      workload,
      settings,
    };
    await keep(place, "drill.json", drill);
    const header: Header = { format: 1, began, ...workload };
    const load = await loads.begun(
      ctx,
      id,
      () =>
        new Load({ file: join(place, "history"), header, ways, connections, synchronous_commit }),
    );
    try {
      await load.reached(warm_up, parseDuration(input.warm_up_timeout ?? "2m"), ctx.signal);
    } catch (error) {
      // Nothing was broken, so that nothing is to be compared: it leaves nothing, also where a drill has its check instead of an undo.
      await load.stop().catch(() => {});
      await session(ctx)
        .then(dropTables)
        .catch(() => {});
      throw error;
    }
    load.phase("steady");
    return {
      id,
      ways: workload.ways,
      members: drill.members,
      acknowledged: load.acknowledged,
    };
  },
  async plan(ctx) {
    return { members: await (await ctx.use("member")).list() };
  },
  /** It ends with its process: nothing of it goes on, and it is begun anew, with tables of its own. */
  async probe() {
    return { state: "not_done" };
  },
  async undo(ctx) {
    const load = await loads.of(ctx, idOf(ctx));
    // A history that could not be written says nothing more: the tables go all the same.
    await load?.stop().catch(() => {});
    if (!(await dropTables(await session(ctx)))) ctx.unchanged();
  },
});

/** So long a client waits before it tries a member again that does not let it write, ms. */
const AGAIN_MS = 300;

async function insideOf(ctx: StepContext, name: string) {
  const open = toLeader([{ name, way: await (await ctx.use("member")).way(name) }], CONNECT_MS);
  return {
    way: "inside" as const,
    connections: 1,
    open: (attempt: number) =>
      open(attempt).catch(async (error: unknown) => {
        await Bun.sleep(AGAIN_MS);
        throw error;
      }),
  };
}

/** Makes the tables, and waits until the standbys have them: a drill is about what comes after. */
async function made(ctx: StepContext, lists: number): Promise<void> {
  const pg = await session(ctx);
  await makeTables(pg, lists);
  const [row] = (await pg.ask("SELECT pg_current_wal_insert_lsn()::text AS lsn")).rows;
  for (const ends = performance.now() + REPLAYED_MS; ; await ctx.clock.sleep(50, ctx.signal)) {
    const { rows } = await pg.ask(
      "SELECT count(*) FILTER (WHERE replay_lsn < $1::pg_lsn OR replay_lsn IS NULL)::int AS n FROM pg_stat_replication WHERE state = 'streaming'",
      [row!["lsn"]],
    );
    if (rows[0]?.["n"] === 0 || performance.now() > ends) return;
  }
}

/** With the seed that was drawn, so that the command does the same again. */
function commandOf(
  ctx: StepContext,
  name: string,
  params: JsonObject,
  seed: number | null,
): string {
  const all = "seed" in params ? { ...params, seed } : params;
  return commandLine(ctx.target, ["run", name, ...wordsOf(all)]);
}
