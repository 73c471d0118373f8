import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, JsonObject, StepContext } from "../../../engine/types.ts";
import {
  isLeader,
  isUp,
  leaderOf,
  type PatroniMember,
} from "../../../providers/patroni/members.ts";
import { milliseconds, session } from "../../sql/session.ts";
import { pending } from "./waiting.ts";
import type { World } from "./world.ts";

const POLL_MS = 100;

export interface RestartInput {
  members?: readonly Json[] | null;
  only_pending?: boolean;
  timeout?: string;
  stream?: boolean;
}

export async function open(ctx: StepContext, input: RestartInput): Promise<World> {
  return {
    ctx,
    client: await ctx.use("patroni"),
    timeoutMs: milliseconds(input.timeout ?? "5m") ?? 0,
    stream: input.stream !== false,
  };
}

/** The members to restart, in order. @throws PgdbaError invalid_param for a member that does not exist */
export async function choose(
  world: World,
  { members: names, only_pending }: RestartInput,
): Promise<PatroniMember[]> {
  const all = await world.client.members(world.ctx.signal);
  const unknown = names?.find((name) => !all.some((member) => member.name === name));
  if (unknown !== undefined) {
    throw new PgdbaError("invalid_param", `There is no member ${String(unknown)}`, {
      hint: `There are ${all.map((member) => member.name).join(", ")}.`,
    });
  }
  if (leaderOf(all) === undefined) {
    throw new PgdbaError("step_refused", "The Patroni cluster has no leader now", {
      hint: "Nothing is restarted while it has none: look at `patronictl list`.",
      retryable: true,
    });
  }
  const asked = names ? all.filter((member) => names.includes(member.name)) : all;
  const chosen = only_pending === false ? asked : await pending(world, asked);
  const rank = (member: PatroniMember): number =>
    isLeader(member) ? 2 : member.role === "replica" ? 0 : 1;
  return chosen.toSorted((a, b) => rank(a) - rank(b));
}

/** Restarts one member and waits until it is back. Gives the seconds it took. @throws PgdbaError http_failed | step_failed */
export async function restartOne(world: World, member: PatroniMember): Promise<number> {
  const { ctx } = world;
  const pg = await session(ctx);
  try {
    return await restartAndWait(world, member);
  } finally {
    // At once, so that nobody else takes the lock in the meantime. A server that stays away is met by whoever needs it next.
    if (!(await answers(pg))) await session(ctx).catch((error: Error) => ctx.log(error.message));
  }
}

async function restartAndWait(world: World, member: PatroniMember): Promise<number> {
  const { ctx, client, timeoutMs } = world;
  const began = ctx.clock.monotonic();
  const { postmaster_start_time: before } = await client.status(member.api, ctx.signal);
  ctx.log(`restarting ${member.name} (${member.role})`);
  try {
    await client.restart(member.api, timeoutMs, ctx.signal);
  } catch (error) {
    if (!(error instanceof PgdbaError) || ctx.signal.aborted) throw error;
    if (error.code === "http_failed") {
      throw new PgdbaError("step_failed", `${member.name} did not restart: ${error.message}`, {
        hint: "PostgreSQL's log on that member says why. No other member was touched after it.",
        cause: error,
      });
    }
    // Without an answer the restart goes on: what the member says of itself decides.
    ctx.warn(`${member.name}: ${error.message}`);
  }
  return waitUntilBack(world, member, before, began);
}

/** When the server of each member was started, as far as its Patroni tells it. */
export async function startTimes(
  { ctx, client }: World,
  members: readonly PatroniMember[],
): Promise<JsonObject> {
  const times: JsonObject = {};
  for (const { name, api } of members) {
    const status = await client.status(api, ctx.signal).catch(unreachable(ctx));
    times[name] = status?.postmaster_start_time ?? null;
  }
  return times;
}

/** The members whose server was started at another time than was noted, or is being started. */
export async function restartedSince(world: World, noted: JsonObject): Promise<PatroniMember[]> {
  const members = (await world.client.members(world.ctx.signal)).filter(
    ({ name }) => typeof noted[name] === "string",
  );
  const now = await startTimes(world, members);
  return members.filter(({ name }) => now[name] !== noted[name]);
}

/** Waits for a member whose server was started at `before`. Gives the seconds since it `began`. @throws PgdbaError step_failed */
export async function waitUntilBack(
  world: World,
  member: PatroniMember,
  before: string | null,
  began = world.ctx.clock.monotonic(),
): Promise<number> {
  const { ctx, timeoutMs } = world;
  let missing = "";
  while ((missing = await whatIsMissing(world, member, before)) !== "") {
    if (ctx.clock.monotonic() - began > timeoutMs) {
      throw new PgdbaError("step_failed", `${member.name} was restarted and ${missing}`, {
        hint: "No other member was touched after it. Look at Patroni's and PostgreSQL's log there.",
      });
    }
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
  return Math.round((ctx.clock.monotonic() - began) / 10) / 100;
}

/** The condition that a restarted member does not fulfil yet, or an empty text. */
async function whatIsMissing(
  { ctx, client, stream }: World,
  member: PatroniMember,
  before: string | null,
): Promise<string> {
  const now = await client.status(member.api, ctx.signal).catch(unreachable(ctx));
  if (now?.state !== "running") return `is ${now?.state ?? "unreachable"}`;
  if (now.postmaster_start_time === before) return "has not restarted";
  const members = await client.members(ctx.signal);
  const leader = leaderOf(members);
  if (leader === undefined) return "the cluster has no leader";
  if (isLeader(member) && leader.name !== member.name) return `${leader.name} leads in its place`;
  if (isLeader(member) && !stream) return "";
  const state = await client.status(leader.api, ctx.signal).catch(unreachable(ctx));
  const streaming = new Set(
    state?.replication
      .filter((one) => one.state === "streaming")
      .map((one) => one.application_name),
  );
  const standbys = isLeader(member)
    ? members.filter((one) => one.name !== leader.name && isUp(one))
    : [member];
  const behind = standbys.filter((one) => !streaming.has(one.name));
  return behind.length === 0
    ? ""
    : `${behind.map((one) => one.name).join(", ")} does not stream from ${leader.name}`;
}

/** A member that restarts may not answer for a moment. */
function unreachable(ctx: StepContext): (error: unknown) => null {
  return (error) => {
    if (ctx.signal.aborted) throw error;
    return null;
  };
}

/** True when the session outlived the restart: the restarted server was another one. */
async function answers(pg: {
  alive(): boolean;
  query(sql: string): Promise<unknown>;
}): Promise<boolean> {
  return (
    pg.alive() &&
    pg.query("SELECT 1").then(
      () => true,
      () => false,
    )
  );
}
