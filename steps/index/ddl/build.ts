import type { StepContext } from "../../../engine/types.ts";
import { dropIndex } from "../../../providers/postgres/drop-index.ts";
import { watch } from "../../sql/long/watch.ts";
import { another, session } from "../../sql/session.ts";
import type { Definition } from "./definition.ts";
import { findIndex } from "./existing.ts";

const POLL_MS = 1000;

export interface BuildOptions {
  lockTimeoutMs: number | undefined;
  timeoutMs?: number | undefined;
}

/**
 * Builds an index in a session of its own, telling how far the server is: the build goes on when this process dies, and must not keep the
 * run's lock then. When it fails, what it leaves behind is dropped: an invalid index costs every write.
 */
export async function build(
  ctx: StepContext,
  definition: Definition,
  schema: string,
  options: BuildOptions,
): Promise<void> {
  const pg = await another(ctx);
  const ended = new AbortController();
  const watching = watch(ctx, pg.info.pid, ended.signal);
  try {
    await pg.query(definition.sql, [], { ...options, signal: ctx.signal, changes: true });
  } catch (error) {
    await sweep(ctx, schema, definition.name, options).catch((left: Error) => {
      ctx.warn(`The invalid index ${schema}.${definition.name} may be left: ${left.message}`);
    });
    throw error;
  } finally {
    ended.abort();
    await watching;
    await pg.close();
  }
}

/** Waits until the build of an index has ended that an earlier process or attempt began. */
export async function follow(ctx: StepContext, schema: string, name: string): Promise<void> {
  const pg = await session(ctx);
  const ended = new AbortController();
  let watching: Promise<void> | undefined;
  try {
    for (;;) {
      const found = await findIndex(pg, schema, name);
      if (found === null || found.valid || found.builder === null) return;
      watching ??= watch(ctx, found.builder, ended.signal);
      await ctx.clock.sleep(POLL_MS, ctx.signal);
    }
  } finally {
    ended.abort();
    await watching;
  }
}

/** Ends the build of an index. The next build of it removes what this one leaves behind. */
export async function cancelBuild(ctx: StepContext, schema: string, name: string): Promise<void> {
  const pg = await session(ctx);
  const found = await findIndex(pg, schema, name);
  if (found?.builder != null) await pg.ask("SELECT pg_cancel_backend($1)", [found.builder]);
}

/** Drops the index when it is not valid and nobody builds it. */
export async function sweep(
  ctx: StepContext,
  schema: string,
  name: string,
  options: BuildOptions,
): Promise<boolean> {
  const pg = await session(ctx);
  const left = await findIndex(pg, schema, name);
  if (left === null || left.valid || left.partitioned || left.builder !== null) return false;
  ctx.log(`dropping the invalid index ${schema}.${name}`);
  await dropIndex(pg, schema, name, { lockTimeoutMs: options.lockTimeoutMs });
  return true;
}
