import { PgdbaError } from "../engine/errors.ts";
import type { Access, StepContext } from "../engine/types.ts";
import type { PgSession } from "../providers/postgres/session.ts";
import { resolveTarget } from "../providers/target/resolve.ts";
import { patroniOf } from "./patroni-access.ts";
import { onMember } from "./sql/session.ts";

/** A server beside the target of the run: a cluster of the registry, or a member of the same cluster. */
export interface SecondServer {
  cluster?: string | null | undefined;
  member?: string | null | undefined;
  database?: string | null | undefined;
}

/** Does `work` with a session there that can only read. @throws PgdbaError invalid_param | capability_missing | connection_failed */
export async function onSecondServer<T>(
  ctx: StepContext,
  { cluster, member, database }: SecondServer,
  work: (pg: PgSession) => Promise<T>,
): Promise<T> {
  if (member) {
    await assertMembers(ctx);
    return onMember(ctx, member, work, database ?? undefined);
  }
  const target = await resolveTarget({
    flags: { cluster: cluster!, ...(database ? { database } : {}) },
    env: ctx.env,
    stateDir: ctx.run.stateDir,
    onSecret: (value) => ctx.secret(value),
    log: (message) => ctx.log(message),
  });
  try {
    const there = (await target.use?.("postgres", {
      run: ctx.run.id,
      path: ctx.step.path,
      effect: "read",
      rollsBack: false,
      hazards: [],
      signal: ctx.signal,
    })) as Access["postgres"];
    return await work(await there.session());
  } finally {
    await target.close();
  }
}

async function assertMembers(ctx: StepContext): Promise<void> {
  if ((await patroniOf(ctx)) !== null) return;
  const { capabilities } = await ctx.target.facts();
  if (capabilities.includes("member")) return;
  throw new PgdbaError(
    "capability_missing",
    `${ctx.target.name} has no members that pgdba knows of`,
    {
      hint: "Name Patroni's REST API in the cluster's file (`patroni: {endpoints: [http://host:8008]}`), or name a cluster of the registry with --other.",
    },
  );
}
