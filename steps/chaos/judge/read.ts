import { toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { onMember, session } from "../../sql/session.ts";
import { digestOf, readAll } from "../load/sql.ts";
import type { Final } from "./final.ts";

const AGAIN_MS = 100;
/**
 * What differs to the end, and so often, the leader asked anew each time, differs. A commit that waits for its standby is seen there and not yet on the leader: for as long as
 * the word of the standby needs, which is many seconds after a network was cut.
 */
const DIFFERS = 5;
const DIFFERS_MS = 300;

/** What the leader holds. @throws PgdbaError when it can't be read */
export async function readLeader(ctx: StepContext, final: Final): Promise<void> {
  await readAll(await session(ctx), {
    id: (id) => final.add(id),
    list: (key, ids) => final.list(key, ids),
  });
}

export interface Copy {
  node: string;
  equal: boolean | null;
  said: string;
}

/** Whether each member holds what the leader holds, once it has replayed all that the leader had written; `ends` is monotonic, ms. */
export async function compareCopies(
  ctx: StepContext,
  members: readonly string[],
  ends: number,
): Promise<Copy[]> {
  const leader = await session(ctx);
  const ask = async () => {
    const [row] = (await leader.ask("SELECT pg_current_wal_lsn()::text AS lsn")).rows;
    return { lsn: row!["lsn"], digest: await digestOf(leader) };
  };
  const first = ask();
  await first;
  // One after the other, for they share its session.
  let asked: ReturnType<typeof ask> = first;
  const anew = () => (asked = asked.then(ask, ask));
  return Promise.all(
    members.map(async (node): Promise<Copy> => {
      let why = "it was not asked";
      let differed = 0;
      do {
        try {
          const { lsn, digest } = await (differed === 0 ? first : anew());
          const said = await onMember(ctx, node, async (pg) => {
            const { rows } = await pg.ask(
              "SELECT pg_is_in_recovery() AS standby, coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false) AS replayed",
              [lsn],
            );
            if (rows[0]?.["standby"] === true && rows[0]["replayed"] !== true) return null;
            return digestOf(pg);
          });
          if (said === digest) return { node, equal: true, said: "equal" };
          if (said !== null) {
            why = "it holds something else than the leader";
            differed += 1;
            await ctx.clock.sleep(DIFFERS_MS, ctx.signal);
          } else why = "it has not replayed what the leader had written";
        } catch (error) {
          ctx.signal.throwIfAborted();
          why = toPgdbaError(error).message;
        }
        await ctx.clock.sleep(AGAIN_MS, ctx.signal);
      } while (performance.now() < ends);
      return { node, equal: differed >= DIFFERS ? false : null, said: why };
    }),
  );
}
