import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import {
  type Archiver,
  archiverOf,
  type ArchiveSettings,
  awaitsRestart,
  READ_SETTINGS,
} from "../../../providers/backup/archive.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type {} from "../../../providers/target/access.ts";

export interface ArchiveMember extends ArchiveSettings {
  name: string;
  port: number;
  data: string;
  standby: boolean;
  version: number;
  system_identifier: string;
  archiver: Archiver;
  awaits_restart: boolean;
}

/**
 * Runs `work` on a session with each member that answers, up to the first whose result is `enough`; with the server itself where the target
 * has no members.
 */
export async function onMembers<T>(
  ctx: StepContext,
  work: (session: PgSession, member: { name: string; port: number }) => Promise<T>,
  enough: (result: T) => boolean = () => false,
): Promise<{ done: T[]; silent: string[] }> {
  const { capabilities, facts } = await ctx.target.facts();
  const done: T[] = [];
  const silent: string[] = [];
  if (!capabilities.includes("member")) {
    const session = await (await ctx.use("postgres")).session();
    const { member, port } = facts as { member?: string | null; port?: number };
    done.push(await work(session, { name: member ?? ctx.target.name, port: Number(port) }));
    return { done, silent };
  }
  const members = await ctx.use("member");
  for (const name of await members.list()) {
    const { port } = await members.place(name);
    let session: PgSession;
    try {
      session = await members.open(name, undefined, { timeoutMs: 5_000 });
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof PgdbaError) || error.code !== "connection_failed") throw error;
      silent.push(name);
      continue;
    }
    try {
      const result = await work(session, { name, port });
      done.push(result);
      if (enough(result)) break;
    } finally {
      await session.close();
    }
  }
  return { done, silent };
}

/** How each member archives now. */
export async function archiveMembers(
  ctx: StepContext,
): Promise<{ members: ArchiveMember[]; silent: string[] }> {
  const { done, silent } = await onMembers(ctx, async (session, member) => {
    const { rows } = await session.ask(READ_SETTINGS, [], { signal: ctx.signal });
    const settings = rows[0] as unknown as ArchiveMember;
    return {
      ...settings,
      ...member,
      archiver: archiverOf(settings),
      awaits_restart: awaitsRestart(settings),
    };
  });
  return { members: done, silent };
}

/**
 * Runs `work` on a session with the primary of this moment: the run's own session may have gone to a standby while the primary restarted.
 * @throws PgdbaError connection_failed (retryable) when no member takes writes
 */
export async function onPrimary<T>(
  ctx: StepContext,
  work: (session: PgSession) => Promise<T>,
): Promise<T> {
  const { done } = await onMembers(
    ctx,
    async (session) => (session.info.standby ? null : { result: await work(session) }),
    (one) => one !== null,
  );
  const found = done.at(-1);
  if (found != null) return found.result;
  throw new PgdbaError("connection_failed", `No server of ${ctx.target.name} takes writes now`, {
    hint: "Look who leads: pgdba cluster status.",
    retryable: true,
    nothingDone: true,
  });
}
