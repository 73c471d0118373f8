import { PgdbaError } from "../../engine/errors.ts";
import type { PgSession } from "./session.ts";

const made = new WeakMap<PgSession, PgSession>();

/** The session as a step that only reads is given it: each statement is in a READ ONLY transaction, and whatever can't be is refused. */
export function readOnlySession(pg: PgSession): PgSession {
  const before = made.get(pg);
  if (before !== undefined) return before;
  const only: PgSession = {
    info: pg.info,
    async query(sql, values, options = {}) {
      if (options.changes === true || options.alone === true) throw refused();
      return pg.query(sql, values, { ...options, readOnly: true });
    },
    ask: (sql, values, options = {}) => pg.ask(sql, values, { ...options, readOnly: true }),
    async transaction(options, work) {
      if (!options.readOnly) throw refused();
      return pg.transaction(options, work);
    },
    readBatch: (statements, options) => pg.readBatch(statements, options),
    setApplicationName: (name) => pg.setApplicationName(name),
    notices: () => pg.notices(),
    alive: () => pg.alive(),
    busy: () => pg.busy(),
    close: () => pg.close(),
  };
  made.set(pg, only);
  return only;
}

function refused(): PgdbaError {
  return new PgdbaError("step_refused", "A step that reads may not run what changes something", {
    hint: "Nothing was run. Declare `effect: change` in the step type when it changes something.",
  });
}
