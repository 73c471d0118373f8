import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import type {} from "../../../providers/target/access.ts";

/** The server that a backup is read from; null for the one that is named, where no members are known. */
export interface Source {
  member: string | null;
  standby: boolean;
  why: string;
}

const LOOK_MS = 5_000;
/** A standby that is further behind is no good source: the backup would be older than it says. */
const MOST_BEHIND = 1024 ** 3;

const STATE = `SELECT pg_is_in_recovery() AS standby, (SELECT status FROM pg_stat_wal_receiver) AS receiver,
  pg_is_in_recovery() AND pg_is_wal_replay_paused() AS paused,
  CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text
    ELSE (pg_current_wal_lsn() - '0/0'::pg_lsn)::text END AS at`;

interface Member {
  name: string;
  standby: boolean;
  healthy: boolean;
  at: bigint;
}

/**
 * `auto` takes the healthy standby that is least behind, for the primary has work of its own; and the primary where there is none.
 * @throws PgdbaError invalid_param | connection_failed
 */
export async function chooseSource(ctx: StepContext, from: string): Promise<Source> {
  const { capabilities } = await ctx.target.facts();
  if (!capabilities.includes("member")) {
    const { info } = await (await ctx.use("postgres")).session();
    if (!["auto", info.standby ? "standby" : "primary"].includes(from))
      throw new PgdbaError(
        "invalid_param",
        `${ctx.target.name} is one server, and no cluster with members`,
        {
          hint: "Leave `from` out.",
        },
      );
    return { member: null, standby: info.standby, why: "the server that is named" };
  }
  const access = await ctx.use("member");
  if (!["auto", "primary", "standby"].includes(from)) {
    const member = await access.find(from);
    const state = await lookAt(ctx, member);
    if (state === null)
      throw new PgdbaError("connection_failed", `${member} does not answer`, {
        hint: "Choose another member, or none.",
        retryable: true,
      });
    return { member, standby: state.standby, why: "it was named" };
  }
  const all = (await Promise.all((await access.list()).map((name) => lookAt(ctx, name)))).filter(
    (one) => one !== null,
  );
  const primary = all.find(({ standby }) => !standby);
  const newest = all.reduce((most, { at }) => (at > most ? at : most), 0n);
  const [best] = all
    .filter(({ standby, healthy, at }) => standby && healthy && newest - at <= MOST_BEHIND)
    .toSorted((a, b) => (a.at === b.at ? (a.name < b.name ? -1 : 1) : a.at > b.at ? -1 : 1));
  if (from !== "primary" && best !== undefined)
    return { member: best.name, standby: true, why: "a healthy standby" };
  if (from === "standby")
    throw new PgdbaError("step_refused", `${ctx.target.name} has no healthy standby`, {
      hint: "`from: auto` takes the primary then.",
    });
  if (primary !== undefined)
    return {
      member: primary.name,
      standby: false,
      why: from === "primary" ? "asked for" : "there is no healthy standby",
    };
  throw new PgdbaError("connection_failed", `No member of ${ctx.target.name} is the primary`, {
    hint: "A failover may be under way: `pgdba cluster status`.",
    retryable: true,
  });
}

async function lookAt(ctx: StepContext, name: string): Promise<Member | null> {
  let pg: PgSession | undefined;
  try {
    pg = await (await ctx.use("member")).open(name, undefined, { timeoutMs: LOOK_MS });
    const { rows } = await pg.ask(STATE, [], { timeoutMs: LOOK_MS, signal: ctx.signal });
    const { standby, receiver, paused, at } = rows[0] as Record<string, unknown>;
    return {
      name,
      standby: standby === true,
      // A role that may not see the receiver is told nothing of it.
      healthy: paused !== true && (receiver === null || receiver === "streaming"),
      at: BigInt(String(at ?? 0)),
    };
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    return null;
  } finally {
    await pg?.close();
  }
}
