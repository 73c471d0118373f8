import { marked } from "../own.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { exposureOf } from "../exposure.ts";
import { sqlstateOf } from "../errors.ts";
import type { PgSession, Run } from "../session.ts";
import { asCatalogue } from "./as-catalogue.ts";
import { ALL, BLOCKED, CLASSIFY, IN_FLIGHT, SOME, STILL } from "./hold-sql.ts";
import type { Rule } from "./judge.ts";
import type { Reached } from "./search.ts";

/** The time for which we try to have everything stand still, and the time for which everything of the database may do so, ms. */
const PATIENCE_MS = 2000;
const WHOLE_MS = 3000;
/** Longer than the statement may take: what we hold ends by itself, should we be cut off. */
const SPARE_MS = 5000;
const PAUSE_MS = 20;
/** The time to wait for the first lock, ms: sessions that want to create something wait with us. An autovacuum in the way ends sooner. */
const FIRST_MS = 300;
const DEADLOCK_MS = 100;
/** Locks on tables beyond which everything is made to stand still instead. */
const MOST_TABLES = 500;

/** Keeps what a judgement rests on from being changed, from before the judgement until what was judged has run. */
export interface Hold {
  /** True when all of it was held already when it was judged; else it is held from now on, and has to be judged again. */
  covers(reached: Reached): Promise<boolean>;
  /** The time that the statement may run, of the time asked for, ms. @throws PgdbaError when something is no longer held */
  confirm(timeoutMs: number): Promise<number>;
  release(): Promise<void>;
}

/** The way to such a role; a standby has the roles of its primary. */
const NEW_ROLE =
  "Where there is none, make one at the primary: `pgdba role create ROLE`, `pgdba role password ROLE` and `pgdba role grant ROLE SCHEMA`; replay brings it here";

/** For roles as which a body that is swapped could do no more than its owner could anyhow, and where nobody is to swap one. */
const NOT_NEEDED: Hold = {
  covers: async () => true,
  confirm: async (timeoutMs) => timeoutMs,
  release: async () => {},
};

/**
 * @param enter prepares the session for the statement, as by SET ROLE. Before it, it is asked whether others could make the connected user run their code: SET ROLE keeps
 * nothing from such code, which can go back to that user
 * @param run in the transaction in which the statement will be judged and run
 * @param another opens a session that holds the locks: that transaction is READ ONLY and can't
 * @throws PgdbaError step_refused where nothing can be held and a body that is swapped would run as a mighty role
 */
export async function holdFor(
  run: Run,
  another: () => Promise<PgSession>,
  rule: Rule,
  enter: () => Promise<void> = async () => {},
): Promise<Hold> {
  const { mighty, superuser, standby, exposed } = await asCatalogue(run, () => exposureOf(run));
  if (!mighty || !exposed) {
    await enter();
    return NOT_NEEDED;
  }
  if (standby || !superuser) {
    throw new PgdbaError(
      "step_refused",
      rule.refuse(
        standby
          ? "pgdba is connected as a superuser to a standby, where what it calls can't be kept from changing meanwhile"
          : "pgdba is connected as a role that may become a superuser or reach the server's files and programs, and what it calls can't be kept from changing meanwhile",
      ).message,
      {
        hint: `Connect as a role that has no more rights than reading these tables takes (--user)${standby ? `, or to the primary. ${NEW_ROLE}` : ", or as a superuser"}.`,
      },
    );
  }
  await enter();
  await pinPath(run);
  return new Holding(await another(), rule);
}

/** A schema that is yet to come, such as that of `"$user"`, is searched no more. */
async function pinPath(run: Run): Promise<void> {
  await run(`SELECT /* pgdba */ pg_catalog.set_config('search_path', coalesce((SELECT pg_catalog.string_agg(pg_catalog.quote_ident(s), ', ' ORDER BY n)
    FROM ROWS FROM (pg_catalog.unnest(pg_catalog.current_schemas(false)::pg_catalog.text[])) WITH ORDINALITY AS p (s, n)), ''), true)`);
}

class Holding implements Hold {
  readonly #session: PgSession;
  readonly #rule: Rule;
  /** All that was reached so far. */
  #wanted: Reached = { functions: [], operators: [], relations: [], types: [], open: false };
  #whole = false;
  /** The catalogue that is locked first. */
  #first = SOME[0];
  #held: { run: Run; end(): Promise<void> } | null = null;

  constructor(session: PgSession, rule: Rule) {
    this.#session = session;
    this.#rule = rule;
  }

  async covers(reached: Reached): Promise<boolean> {
    const wanted = union(this.#wanted, reached);
    if (this.#held !== null && (this.#whole || isSame(wanted, this.#wanted))) return true;
    await this.#end();
    this.#wanted = wanted;
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = await this.#session.transaction({ readOnly: true }, (run) =>
        asCatalogue(run, () => run(marked(CLASSIFY), [wanted.relations, wanted.types])),
      );
      const { oids, names, whole, casts } = found.rows[0] as unknown as Classified;
      this.#whole = whole || wanted.open || oids.length > MOST_TABLES;
      const tables = this.#whole ? { oids: [], names: [] } : { oids, names };
      if (await this.#take(tables, this.#whole || casts, until)) return false;
      const busy = await this.#session.ask(BLOCKED, [this.#whole ? ALL : SOME]);
      this.#first = String(busy.rows[0]?.["name"] ?? SOME[0]);
      if (performance.now() > until)
        throw this.#busy("somebody is changing what it calls or reads");
      await Bun.sleep(PAUSE_MS * (1 + Math.random()));
    }
  }

  async confirm(timeoutMs: number): Promise<number> {
    const allowed = this.#whole ? Math.min(timeoutMs, WHOLE_MS) : timeoutMs;
    // The locks end by themselves when we are cut off; the time for that begins anew here.
    await this.#held?.run(SET_IDLE, [String(Math.ceil(allowed + SPARE_MS))]);
    return allowed;
  }

  async release(): Promise<void> {
    await this.#end().catch(() => {});
    await this.#session.close();
  }

  async #end(): Promise<void> {
    const held = this.#held;
    this.#held = null;
    await held?.end();
  }

  /** Nothing is waited for with a lock in hand: who waits for us would wait for that too, or be chosen as the victim of a deadlock. */
  async #take(tables: Tables, all: boolean, until: number): Promise<boolean> {
    const held = await this.#begin();
    try {
      const { run } = held;
      await run(`SET /* pgdba */ LOCAL lock_timeout = ${FIRST_MS}`);
      await run(`SET /* pgdba */ LOCAL deadlock_timeout = ${DEADLOCK_MS}`);
      await run(`LOCK /* pgdba */ TABLE ${this.#first} IN SHARE MODE`);
      await run(
        `LOCK /* pgdba */ TABLE ${(this.#whole ? ALL : SOME).join(", ")} IN SHARE MODE NOWAIT`,
      );
      if (tables.names.length > 0)
        await run(
          `LOCK /* pgdba */ TABLE ${tables.names.map((name) => `ONLY ${name}`).join(", ")} IN ROW EXCLUSIVE MODE NOWAIT`,
        );
      const { functions, operators } = this.#wanted;
      await run("SELECT /* pgdba */ FROM pg_proc WHERE oid = ANY ($1::oid[]) FOR SHARE NOWAIT", [
        functions,
      ]);
      await run(
        "SELECT /* pgdba */ FROM pg_operator WHERE oid = ANY ($1::oid[]) FOR SHARE NOWAIT",
        [operators],
      );
      await this.#awaitOthers(run, tables.oids, all, until);
      this.#held = held;
      return true;
    } catch (error) {
      await held.end().catch(() => {});
      if (!BUSY.has(sqlstateOf(error) ?? "")) throw error;
      return false;
    }
  }

  /** Sessions that were at work before may still commit something that we have not seen. */
  async #awaitOthers(run: Run, oids: string[], all: boolean, until: number): Promise<void> {
    const { rows } = await run(marked(IN_FLIGHT), [all, oids]);
    let open = rows as unknown as InFlight[];
    while (open.length > 0) {
      const [first] = open;
      if (performance.now() > until)
        throw this.#busy(
          `a transaction of ${first?.role} (${/^\d+$/.test(first?.who ?? "") ? `process ${first?.who}` : first?.who}) is open, which may have changed what it calls or reads`,
        );
      await Bun.sleep(PAUSE_MS);
      const still = await run(marked(STILL), [open.map(({ xid }) => xid)]);
      const xids = new Set(still.rows.map(({ xid }) => xid));
      open = open.filter(({ xid }) => xids.has(xid));
    }
  }

  #busy(why: string): PgdbaError {
    return new PgdbaError("step_refused", this.#rule.refuse(why).message, {
      hint: "As a superuser, pgdba looks at a statement only while nobody can change what it runs. Try again when that has ended, or connect as a role that has no more rights than reading these tables takes (--user).",
      retryable: true,
    });
  }

  /** A transaction that stays open until it is ended. */
  async #begin(): Promise<{ run: Run; end(): Promise<void> }> {
    const opened = Promise.withResolvers<Run>();
    const ended = Promise.withResolvers<void>();
    const transaction = this.#session
      .transaction({ readOnly: false, timeoutMs: PATIENCE_MS }, async (run) => {
        await run(
          "SELECT /* pgdba */ pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)",
        );
        opened.resolve(run);
        await ended.promise;
        throw new Ended();
      })
      .catch((error: unknown) => {
        opened.reject(error);
        if (!(error instanceof Ended)) throw error;
      });
    // The end of it reaches its users through `run`.
    transaction.catch(() => {});
    const run = await opened.promise;
    await run(
      "SELECT /* pgdba */ set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'",
    );
    await run(SET_IDLE, [String(WHOLE_MS + SPARE_MS)]);
    return {
      run,
      end: async () => {
        ended.resolve();
        await transaction;
      },
    };
  }
}

class Ended extends Error {}

const SET_IDLE = "SELECT /* pgdba */ set_config('idle_in_transaction_session_timeout', $1, true)";

/** lock_not_available, and what may be of a relation that has just gone. */
const BUSY = new Set(["55P03", "42P01", "40P01"]);

interface Tables {
  oids: string[];
  names: string[];
}
interface Classified extends Tables {
  whole: boolean;
  casts: boolean;
}
interface InFlight {
  xid: string;
  role: string | null;
  who: string;
}

const LISTS = ["functions", "operators", "relations", "types"] as const;

function union(a: Reached, b: Reached): Reached {
  const lists = LISTS.map((key) => [key, [...new Set([...a[key], ...b[key]])]]);
  return { ...(Object.fromEntries(lists) as Omit<Reached, "open">), open: a.open || b.open };
}

function isSame(a: Reached, b: Reached): boolean {
  return a.open === b.open && LISTS.every((key) => a[key].length === b[key].length);
}
