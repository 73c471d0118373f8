import { LOCKED_PARTS, type LockWord } from "../../engine/types.ts";
import type { PgSession, QueryResult, Run } from "../postgres/session.ts";

/** Locks of this server that were taken: whoever else asks for one of them is told who holds it. */
export interface RunLock {
  /** False once the connection that holds them has ended. */
  alive(): boolean;
  /** Asks the server. */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

/** The holder of one of them. */
export interface Held {
  heldBy: string;
  word?: string;
}

type Row = QueryResult["rows"][number];

/** How long the server may take to say who has a lock, ms. */
const ASK_MS = 5_000;
/** How often one that came at the same moment as others, from another database, looks whether they have made way. */
const LOOKS = 20;

/**
 * Takes the locks of `words`, all or none, or says who has one. `session` itself holds them, so that an engine that is stopped still has
 * them and one whose connection died can't act any more. Behind a pooler they would stay with the server process that happened to take
 * them: there an open transaction of a further connection holds them, which the pooler gives to nobody else.
 */
export async function takeRunLock(
  session: PgSession,
  openAnother: () => Promise<PgSession>,
  words: readonly LockWord[],
): Promise<RunLock | Held> {
  const locks = new Locks(words);
  if (session.info.pooled) return heldInTransaction(locks, await openAnother());
  // A server that is cut off does not answer, and must not hold up whoever asks whether the run still has its lock.
  const ask: Run = (sql) => session.ask(sql, [], { timeoutMs: ASK_MS });
  const release = async (): Promise<void> => {
    if (!session.alive()) return;
    // One that does not answer loses them with its connection.
    await ask(locks.release).catch(() => session.close());
  };
  const held = await taken(locks, ask, release);
  if (held !== null) return held;
  return {
    alive: () => session.alive(),
    held: () => stillHeld(locks, session, ask, release),
    release,
  };
}

/** The statements about one advisory lock for each word. */
class Locks {
  /** The locks that we have, as a number; it equals that of the words when we have all of them. */
  readonly held: string;
  readonly release: string;
  /** Another session that has one, in whatever database: advisory locks are kept apart by database, a run is not. */
  readonly other: string;
  readonly #words: readonly string[];

  constructor(words: readonly LockWord[]) {
    // Always in this order: of two that want several, one gets on.
    this.#words = LOCKED_PARTS.filter((part) => words.includes("all") || words.includes(part));
    const rows = this.#words.map((word) => `('${word}')`).join(", ");
    const mine = `FROM (VALUES ${rows}) w (word) JOIN pg_locks l ON ${isLock("w.word")} AND l.pid`;
    this.held = `SELECT /* pgdba */ count(DISTINCT w.word) = ${this.#words.length} AS held ${mine} = pg_backend_pid()`;
    this.release = `SELECT /* pgdba */ pg_advisory_unlock(${keyOf("o.word")}) FROM (SELECT DISTINCT w.word ${mine} = pg_backend_pid()) o`;
    this.other = `SELECT min(a.application_name) AS name, l.pid, string_agg(DISTINCT w.word, ' ') AS word
      ${mine} <> pg_backend_pid() LEFT JOIN pg_stat_activity a USING (pid) GROUP BY l.pid ORDER BY l.pid LIMIT 1`;
  }

  /** Tries one after the other, up to the first that is not free. Tries none while another has one: a session that
   * wants it back after a restart must not meet the attempt of one that is refused. */
  try(how: string): string {
    const each = this.#words.reduceRight((rest, word) => {
      const own = `EXISTS (SELECT FROM pg_locks l WHERE ${isLock(`'${word}'`)} AND l.pid = pg_backend_pid())`;
      return `CASE WHEN CASE WHEN ${own} THEN true ELSE ${how}(${keyOf(`'${word}'`)}) END THEN ${rest} ELSE false END`;
    }, "true");
    return `WITH other AS MATERIALIZED (${this.other})
    SELECT /* pgdba */ CASE WHEN NOT EXISTS (SELECT FROM other) THEN ${each} END AS taken, pg_backend_pid() AS own,
      (SELECT name FROM other) AS name, (SELECT pid FROM other) AS pid, (SELECT word FROM other) AS word`;
  }
}

function keyOf(word: string): string {
  return `hashtext('pgdba'), hashtext('run ' || ${word})`;
}

/** The same as pg_locks shows it: the numbers of the function are signed, these are not. */
function isLock(word: string): string {
  return `l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
    AND l.classid::bigint = (hashtext('pgdba')::bigint & 4294967295)
    AND l.objid::bigint = (hashtext('run ' || ${word})::bigint & 4294967295)`;
}

/** Takes them for the session, or says who has one; then nothing is left behind. */
async function taken(locks: Locks, ask: Run, release: () => Promise<void>): Promise<Held | null> {
  const held = await tried(locks, ask, "pg_try_advisory_lock");
  if (held !== null) await release();
  return held;
}

/** A statement of the run itself may have let them go (pg_advisory_unlock_all() does): they are taken again then, unless another was quicker. */
async function stillHeld(
  locks: Locks,
  session: PgSession,
  ask: Run,
  release: () => Promise<void>,
): Promise<boolean> {
  // The work under way there was allowed to begin, and may take long.
  if (session.alive() && session.busy()) return true;
  try {
    const { rows } = await ask(locks.held);
    return rows[0]?.["held"] === true || (await taken(locks, ask, release)) === null;
  } catch (error) {
    if (!session.alive()) return false;
    throw error;
  }
}

async function heldInTransaction(locks: Locks, holder: PgSession): Promise<RunLock | Held> {
  const released = Promise.withResolvers<void>();
  const outcome = Promise.withResolvers<Held | null>();
  const holding = holder
    .transaction({ readOnly: true }, async (run) => {
      await run(
        `SELECT /* pgdba */ set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`,
      );
      const found = await tried(locks, run, "pg_try_advisory_xact_lock");
      // The server keeps what a query saw until the next statement begins: whoever rebuilds an index waits for that, and it holds back vacuum. This one sees nothing.
      if (found === null) await run("SET LOCAL search_path = pg_catalog");
      outcome.resolve(found);
      if (found === null) await released.promise;
    })
    .catch(outcome.reject)
    .finally(() => holder.close());
  const held = await outcome.promise;
  const release = async (): Promise<void> => {
    released.resolve();
    await holding;
  };
  const alive = () => holder.alive();
  if (held === null) return { alive, held: async () => alive(), release };
  await release();
  return held;
}

/**
 * Takes them, or says who has one; what was taken until then is for the caller to give back. Those that try at the same moment in several
 * databases all get theirs, and find each other by looking again: the one with the lowest process id stays, and waits until the others
 * have made way. One that does not had it before.
 */
async function tried(locks: Locks, run: Run, how: string): Promise<Held | null> {
  const look = async (): Promise<Row | undefined> =>
    (await run(locks.other.replace("SELECT", "SELECT /* pgdba */"))).rows[0];
  const { rows } = await run(locks.try(how));
  const first = rows[0];
  if (first?.["taken"] !== true) return heldBy(first?.["pid"] == null ? await look() : first);
  let other = await look();
  for (let looks = 1; other !== undefined; looks++) {
    if (Number(other["pid"]) < Number(first["own"]) || looks === LOOKS) return heldBy(other);
    await Bun.sleep(10 + Math.random() * 20);
    other = await look();
  }
  return null;
}

function heldBy(row: Row | undefined): Held {
  if (row === undefined) return { heldBy: "a session that has just ended" };
  const name = typeof row["name"] === "string" ? row["name"].replace(/^pgdba\//, "") : "";
  const words = String(row["word"]).split(" ");
  return {
    heldBy: name === "" ? `the session with process id ${String(row["pid"])}` : name,
    word: words.length === LOCKED_PARTS.length ? "all" : words.join(", "),
  };
}
