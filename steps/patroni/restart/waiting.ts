import { toPgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { isUp, type PatroniMember } from "../../../providers/patroni/members.ts";
import { awaitingOn } from "../../config/place/awaiting.ts";
import type { World } from "./world.ts";

export interface Waiting {
  member: PatroniMember;
  /** The settings that a restart would change; empty when the member can't be asked. */
  settings: string[];
}

/** The members that wait for a restart which would change something. */
export async function pending(world: World, members: PatroniMember[]): Promise<PatroniMember[]> {
  return (await waiting(world, members)).map(({ member }) => member);
}

/** The same with the settings: a member says that it waits also when a value has gone back to where it was. */
export async function waiting(world: World, members: PatroniMember[]): Promise<Waiting[]> {
  const { ctx, client } = world;
  const states = await Promise.all(
    // The store lags by up to one loop, so each member is asked itself.
    members.map((member) => (isUp(member) ? client.status(member.api, ctx.signal) : null)),
  );
  const saying = members.filter((_, index) => states[index]?.pending_restart);
  if (saying.length === 0) return [];
  const config = await client.config(ctx.signal);
  const found = await Promise.all(
    saying.map(async (member): Promise<Waiting | null> => {
      const settings = await settingsOf(world, member, config);
      if (settings?.length === 0) return null;
      return { member, settings: settings ?? [] };
    }),
  );
  return found.filter((one) => one !== null);
}

/** The settings that a restart of the member would change; null when it can't be asked, and then it is believed. */
async function settingsOf(
  { ctx }: World,
  { name }: PatroniMember,
  config: JsonObject,
): Promise<string[] | null> {
  try {
    const pg = await (await ctx.use("member")).open(name);
    try {
      return await awaitingOn(pg, config, ctx.signal);
    } finally {
      await pg.close();
    }
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    ctx.log(
      `${name} can't be asked which settings wait for its restart: ${toPgdbaError(error).message}`,
    );
    return null;
  }
}
