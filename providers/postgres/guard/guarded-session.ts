import type { PgSession, Run } from "../session.ts";
import { readOnlySession } from "../read-only-session.ts";
import { assertReads } from "./acting.ts";
import { readOnly } from "./read.ts";
import { readReading } from "./reading.ts";

const made = new WeakMap<PgSession, PgSession>();

/**
 * The session as a user's own step type is given it that only reads. READ ONLY keeps tables as they are, but neither functions nor COPY
 * from acting on the server: so each statement is judged as that of `sql.query` is.
 */
export function guardedSession(pg: PgSession): PgSession {
  const before = made.get(pg);
  if (before !== undefined) return before;
  const only = readOnlySession(pg);
  const guarded: PgSession = {
    ...only,
    async query(sql, values, options = {}) {
      // What a session that only reads refuses is refused before anything is looked at.
      if (options.changes === true || options.alone === true)
        return only.query(sql, values, options);
      return readOnly(pg, sql, { values, ...options });
    },
    ask: (sql, values, options) => readOnly(pg, sql, { values, ...options }),
    transaction: (options, work) =>
      only.transaction(options, (run) =>
        work(async (sql, values, more) => {
          await judge(run, sql);
          return run(sql, values, more);
        }),
      ),
    async readBatch(statements, options) {
      await pg.transaction({ ...options, readOnly: true }, async (run) => {
        for (const sql of statements) await judge(run, sql);
      });
      return pg.readBatch(statements, options);
    },
  };
  made.set(pg, guarded);
  return guarded;
}

async function judge(run: Run, sql: string): Promise<void> {
  await assertReads(run, await readReading(sql));
}
