import { PgdbaError } from "../../../engine/errors.ts";
import { parseDuration } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import { readReading } from "../../../providers/postgres/guard/reading.ts";
import { marked } from "../../../providers/postgres/own.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import { refuseSecrets } from "../../query/secret.ts";
import { onSecondServer } from "../../second-server.ts";
import { session } from "../../sql/session.ts";
import { type Met, merge, orderOf } from "./merge.ts";
import { batchOf, selectOf } from "./select.ts";
import { readAlike } from "./settings.ts";
import { Side } from "./side.ts";
import { fromClause, type Pair, pairOf, tableOn } from "./table.ts";
import { assertCondition, guard } from "./where.ts";

/** The inputs that say what is compared. */
export const SIDES = {
  cluster: {
    type: ["string", "null"],
    description: "The second server: another cluster of the registry",
  },
  member: {
    type: ["string", "null"],
    description: "Or another member of the same cluster",
  },
  database: {
    type: ["string", "null"],
    minLength: 1,
    description:
      "The database there; for a member that of the run, for a cluster that of its entry without it",
  },
  where: {
    type: ["string", "null"],
    minLength: 1,
    description: "Only rows for which this condition holds, on each side by itself.",
  },
  indexes: {
    type: "boolean",
    default: false,
    description: "Let the servers use indexes, which are trusted then",
  },
  timeout: {
    type: "string",
    format: "duration",
    default: "1h",
    description: "The servers cancel each statement after this long.",
  },
} as const;

export interface SidesInput {
  cluster?: string | null | undefined;
  member?: string | null | undefined;
  database?: string | null | undefined;
  where?: string | null | undefined;
  indexes?: boolean | undefined;
  timeout?: string | undefined;
}

export interface Sides {
  /** The transactions on the target of the run, and on the second server. */
  here: Run;
  there: Run;
  /** Facts of the sessions. */
  info: { here: PgSession["info"]; there: PgSession["info"] };
  /** The second server as it is called. */
  against: string;
  /** When a standby wrote last what it has replayed; null for a primary. */
  replayed: string | null;
  pair(table: string): Promise<Pair>;
  /** Reads both sides of a table to their end. */
  compare(
    pair: Pair,
    visit: (met: Met) => Promise<void> | void,
  ): Promise<{ here: Side; there: Side }>;
  /** Ends what readies the session on the target for reading. */
  restore(): Promise<void>;
}

/**
 * Opens a transaction on either server, each of which sees the rows of one moment, and does `work` in them. That on the second server only reads; `writes` says
 * how the one on the target may change something.
 * @throws PgdbaError invalid_param | unsupported | insufficient_privilege | step_refused
 */
export async function onBoth<T>(
  ctx: StepContext,
  input: SidesInput,
  writes: { lockTimeoutMs: number } | null,
  work: (sides: Sides) => Promise<T>,
): Promise<T> {
  const { cluster, member, database, indexes = false } = input;
  const where = input.where ?? null;
  if ((cluster ? 1 : 0) + (member ? 1 : 0) !== 1)
    throw new PgdbaError("invalid_param", "One second server must be named", {
      hint: "Give --other with a cluster of the registry (cluster connect makes a server known, a standby too), or --member with a member of the same cluster.",
    });
  await assertCondition(where);
  const timeoutMs = parseDuration(input.timeout ?? "1h");
  const stop = new AbortController();
  const signal = AbortSignal.any([ctx.signal, stop.signal]);
  const options = { timeoutMs, signal, repeatable: true } as const;
  const against = cluster ? `cluster ${cluster}` : `member ${member}`;
  const own = await session(ctx);
  return onSecondServer(
    ctx,
    { cluster, member, database: database ?? (member ? own.info.database : null) },
    (other) =>
      own.transaction({ ...options, readOnly: writes === null, ...writes }, (here) =>
        other.transaction({ ...options, readOnly: true }, async (there) => {
          const { replayed } = await assertOther(here, there, against);
          const bytes = [own, other].some(({ info }) => info.encoding === "SQL_ASCII");
          const { path, restore } = await readAlike(here, { indexes });
          await readAlike(there, { indexes, path });
          const open: Side[] = [];
          try {
            return await work({
              here,
              there,
              info: { here: own.info, there: other.info },
              against,
              replayed,
              restore,
              async pair(table) {
                const mine = await tableOn(here, table, "on the target");
                // By its schema: "$user" of a search_path is another one there.
                const name = quoteName(mine.schema, mine.name);
                const pair = pairOf(mine, await tableOn(there, name, `in ${against}`));
                refuseSecrets((await readReading(`SELECT FROM ${fromClause(pair.here)}`)).names);
                await guard(here, pair.here, where);
                await guard(there, pair.there, where);
                return pair;
              },
              async compare(pair, visit) {
                const side = async (run: Run, which: "here" | "there"): Promise<Side> => {
                  const made = new Side(run, batchOf(pair), signal);
                  open.push(made);
                  await made.open(selectOf(pair, which, { bytes, where }));
                  return made;
                };
                const [left, right] = [await side(here, "here"), await side(there, "there")];
                await merge(left, right, orderOf(pair), visit);
                for (const one of open.splice(0)) await one.close();
                return { here: left, there: right };
              },
            });
          } catch (error) {
            // The other side may be in the middle of a long sort.
            stop.abort(error);
            await Promise.all(open.map((one) => one.settled()));
            throw error;
          }
        }),
      ),
  );
}

/** Not as a text of the time, which the time zone of the role shapes. */
const WHO = `SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint::text || ' ' || pg_catalog.current_database() AS id,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_xact_replay_timestamp()::text END AS replayed`;

/** A server that is compared with itself is always equal. @throws PgdbaError invalid_param */
async function assertOther(
  here: Run,
  there: Run,
  against: string,
): Promise<{ replayed: string | null }> {
  const [own] = (await here(marked(WHO))).rows;
  const [other] = (await there(marked(WHO))).rows;
  if (own?.["id"] !== other?.["id"])
    return { replayed: (other?.["replayed"] ?? null) as string | null };
  throw new PgdbaError("invalid_param", `${against} is the target itself`, {
    hint: "Name another server, or another database there with --other-database.",
  });
}
