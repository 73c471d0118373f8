import type { StepContext } from "../../../engine/types.ts";
import { findUnfinished, type Unfinished } from "../../../providers/backup/unfinished.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import type { ClusterKey } from "../../../providers/repository/layout.ts";
import type {} from "../../../providers/target/access.ts";

const LOOK_MS = 5_000;
/** Of one that does not say whose it is: nobody takes so long between two parts. */
const ABANDONED_MS = 24 * 3600_000;

/**
 * Removes what backups have left that were cut off, and gives their names. Somebody is at one as long as a server has a session of its run;
 * where a server can't be asked, nothing is removed. Whoever was taken for dead wrongly finds its parts gone before it writes its record.
 */
export async function sweep(
  ctx: StepContext,
  repository: Repository,
  key: ClusterKey,
): Promise<string[]> {
  const options = { signal: ctx.signal };
  const removed: string[] = [];
  const all = await findUnfinished(repository, key, options);
  if (all.length === 0) return removed;
  const working = await runsAtWork(ctx);
  for (const one of all) {
    if (!isAbandoned(ctx, one, working)) continue;
    await repository.remove(one.names, options);
    removed.push(one.id);
  }
  return removed;
}

function isAbandoned(
  ctx: StepContext,
  { run, at }: Unfinished,
  working: ReadonlySet<string> | null,
): boolean {
  // What this run has begun, in this process or an earlier one, it begins anew.
  if (run === ctx.run.id) return true;
  if (run === null || working === null)
    return ctx.clock.now().getTime() - at.getTime() > ABANDONED_MS;
  return !working.has(run);
}

const SESSIONS =
  "SELECT application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'pgdba/%'";

/** The runs that have a session somewhere; null when a server does not say. */
async function runsAtWork(ctx: StepContext): Promise<Set<string> | null> {
  const runs = new Set<string>();
  const read = async (pg: PgSession) => {
    for (const { name } of (await pg.ask(SESSIONS, [], { timeoutMs: LOOK_MS })).rows)
      runs.add(String(name).slice("pgdba/".length));
  };
  try {
    await read(await (await ctx.use("postgres")).session());
    if (!(await ctx.target.facts()).capabilities.includes("member")) return runs;
    const members = await ctx.use("member");
    for (const name of await members.list()) {
      const pg = await members.open(name, undefined, { timeoutMs: LOOK_MS });
      await read(pg).finally(() => pg.close());
    }
    return runs;
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    return null;
  }
}
