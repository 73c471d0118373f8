import { toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import look from "../sql/look.sql" with { type: "text" };

/** How long one server is given, ms: one that hangs must not hide the others. */
const SERVER_MS = 1_500;

export interface ServerSeen {
  standby: boolean;
  timeline: number | null;
  receiver: string | null;
  paused: boolean;
  received: string | null;
  replayed: string | null;
  senders: string[];
  synchronous: string[];
}

export interface Seen {
  member: string;
  /** Null where it did not answer. */
  server: ServerSeen | null;
  why: string | null;
}

/** All that Patroni or the registry knows; without Patroni the registry alone. */
export async function membersOf(ctx: StepContext): Promise<string[]> {
  const member = await ctx.use("member");
  const registered = member.registered();
  const listed = await member.list().catch(() => []);
  ctx.signal.throwIfAborted();
  return [...new Set([...registered, ...listed])].toSorted();
}

export async function serversOf(ctx: StepContext, members: readonly string[]): Promise<Seen[]> {
  const seen = await Promise.all(
    members.map((member) =>
      atServer(
        ctx,
        member,
        async (pg, signal) => (await pg.ask(look, [], { signal })).rows[0],
      ).then(
        (row): Seen => ({ member, server: row as unknown as ServerSeen, why: null }),
        (error: unknown): Seen => ({ member, server: null, why: toPgdbaError(error).message }),
      ),
    ),
  );
  ctx.signal.throwIfAborted();
  return seen;
}

/** With a session of its own, and no longer than a server is given. */
export async function atServer<T>(
  ctx: StepContext,
  member: string,
  work: (pg: PgSession, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(SERVER_MS)]);
  const pg = await (await ctx.use("member")).open(member, undefined, { timeoutMs: SERVER_MS });
  try {
    return await work(pg, signal);
  } finally {
    await pg.close();
  }
}
