import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PatroniClient } from "../../../providers/patroni/client.ts";
import { isLeader, isUp, type PatroniMember } from "../../../providers/patroni/members.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { type Given, textOf } from "../../settings-file.ts";
import { opensSessions } from "./new-session.ts";
import type { Confirmed } from "./place.ts";
import { hideSecrets } from "../check/secrets.ts";
import {
  awaitsRestart,
  type FileEntry,
  isOverriddenHere,
  neededFor,
  readFileEntries,
  readSettings,
  type Setting,
  winningEntries,
} from "../../../providers/postgres/settings.ts";
import { sameValue } from "../../../providers/postgres/setting-value.ts";

const POLL_MS = 100;

/** A standby keeps the primary's larger value of these until the primary has restarted with the smaller one. */
export const NOT_BELOW_PRIMARY = new Set([
  "max_connections",
  "max_locks_per_transaction",
  "max_prepared_transactions",
  "max_wal_senders",
  "max_worker_processes",
]);

/** A Patroni cluster whose settings are being changed. */
export interface World {
  ctx: StepContext;
  client: PatroniClient;
  /** The values of the dynamic configuration when we began. */
  held: ReadonlyMap<string, Given>;
  /** How long Patroni may take to write a change to a member's files, ms. */
  settleMs: number;
}

/** A member as it is now. */
interface Seen {
  member: PatroniMember;
  settings: Map<string, Setting>;
  entries: FileEntry[];
  pendingRestart: boolean;
}

/**
 * Waits until every member that runs has `values`, in its files and in force, or waits for a restart with them.
 * @throws PgdbaError step_failed naming each member and what it has instead
 */
export async function confirmOnMembers(
  world: World,
  values: ReadonlyMap<string, Given>,
  patience: number,
): Promise<Confirmed> {
  const { ctx } = world;
  const began = ctx.clock.monotonic();
  const up = await running(world);
  const sessions = new Map<string, PgSession>();
  try {
    const opened = await Promise.allSettled(
      up.map(async (member) => sessions.set(member.name, await sessionOf(world, member))),
    );
    for (const one of opened) if (one.status === "rejected") throw one.reason;
    for (;;) {
      const seen = await Promise.all(
        up.map((member) => look(world, member, sessions.get(member.name))),
      );
      const settled = ctx.clock.monotonic() - began >= world.settleMs;
      const faults = seen.flatMap((one) =>
        [...values].flatMap(([name, value]) => fault(world, one, name, value, settled)),
      );
      if (faults.length === 0) {
        for (const member of up)
          await opensSessions(ctx, member.name, () => sessionOf(world, member));
        return confirmed(seen, values);
      }
      if (ctx.clock.monotonic() - began >= patience) throw notEverywhere(faults);
      await ctx.clock.sleep(POLL_MS, ctx.signal);
    }
  } finally {
    await Promise.all([...sessions.values()].map((pg) => pg.close()));
  }
}

/** The members that run now, by what they say themselves: the store is a loop old. */
export async function running({ ctx, client }: World): Promise<PatroniMember[]> {
  const all = await client.members(ctx.signal);
  const states = await Promise.all(
    all.map(async ({ api }) =>
      client.status(api, ctx.signal).then(
        ({ state }) => state,
        (error: unknown) => {
          if (ctx.signal.aborted) throw error;
          return "unreachable";
        },
      ),
    ),
  );
  return all.filter((member, index) => {
    const state = states[index] ?? "";
    const up = isUp({ state });
    if (!up) ctx.warn(`${member.name} is ${state}; it takes the settings when it runs again`);
    return up;
  });
}

/** A session of its own with a member, by what Patroni says of it. */
export async function sessionOf({ ctx }: World, { name }: PatroniMember): Promise<PgSession> {
  return (await ctx.use("member")).open(name);
}

async function look(
  { ctx, client }: World,
  member: PatroniMember,
  pg: PgSession | undefined,
): Promise<Seen> {
  if (pg === undefined) throw new PgdbaError("internal", `no session with ${member.name}`);
  const { pending_restart } = await client.status(member.api, ctx.signal);
  const settings = hideSecrets(ctx, await readSettings(pg, ctx.signal));
  return {
    member,
    settings,
    entries: await readFileEntries(pg, ctx.signal),
    pendingRestart: pending_restart,
  };
}

/** Why a member does not have a value; nothing when it has, or waits for a restart only. */
function fault(world: World, seen: Seen, name: string, value: Given, settled: boolean): string[] {
  const { member, settings, entries, pendingRestart } = seen;
  const setting = settings.get(name.toLowerCase());
  if (setting === undefined) return [`${member.name} does not know ${name}`];
  const winner = winningEntries(entries).get(name.toLowerCase());
  const restarts = neededFor(setting.context) === "restart";
  if (value === null) {
    // The value that takes its place may be equal to it; then only time shows that it was taken out.
    const before = world.held.get(name.toLowerCase());
    const still =
      before !== undefined &&
      before !== null &&
      sameValue(setting, winner?.setting ?? "", textOf(before));
    return still && !settled ? [`${member.name} still has ${name} = ${winner?.setting}`] : [];
  }
  const text = textOf(value);
  if (winner === undefined || !sameValue(setting, winner.setting ?? "", text)) {
    if (pendingRestart && NOT_BELOW_PRIMARY.has(setting.name) && !isLeader(member)) return [];
    const from =
      winner === undefined
        ? "nothing"
        : `${winner.setting} (${winner.sourcefile}:${winner.sourceline})`;
    return [`${member.name} has ${from} for ${name} instead of ${text}`];
  }
  if (restarts)
    return pendingRestart || sameValue(setting, setting.setting, text)
      ? []
      : [`${member.name} has not noticed ${name} = ${text}`];
  const has = setting.reset_val ?? setting.setting;
  if (isOverriddenHere(setting)) return [];
  return sameValue(setting, has, text)
    ? []
    : [`${member.name} runs with ${name} = ${has} instead of ${text}`];
}

function confirmed(seen: Seen[], values: ReadonlyMap<string, Given>): Confirmed {
  const awaiting = [...values].filter(([name, value]) =>
    seen.some(({ settings, entries }) => {
      const key = name.toLowerCase();
      const next = value === null ? winningEntries(entries).get(key)?.setting : textOf(value);
      return awaitsRestart(settings.get(key), next);
    }),
  );
  return {
    awaiting_restart: awaiting.map(([name]) => name),
    members: seen.map(({ member, pendingRestart }) => ({
      name: member.name,
      role: member.role,
      pending_restart: pendingRestart,
    })),
  };
}

function notEverywhere(faults: string[]): PgdbaError {
  return new PgdbaError("step_failed", `Not every member took the settings: ${faults.join("; ")}`, {
    hint: "A member's own configuration (postgresql.parameters in its patroni.yml), or ALTER SYSTEM, wins over the dynamic one: take the setting out there. Patroni's log says more.",
    data: { faults },
  });
}
