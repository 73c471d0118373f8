import { MARK } from "./own.ts";

export interface Timeouts {
  /** Milliseconds; the server cancels the statement then. Its own statement_timeout without it. */
  timeoutMs?: number | undefined;
  /** Milliseconds to wait for a lock. */
  lockTimeoutMs?: number | undefined;
}

/**
 * The settings with which each of our transactions begins. They hold only for it: behind a pooler the server's session later serves others.
 * With these styles pgdba reads values and writes statements, independent of the settings of server and role.
 */
const STYLES: readonly [name: string, value: string][] = [
  ["DateStyle", "ISO"],
  ["IntervalStyle", "postgres"],
  ["bytea_output", "hex"],
  ["client_min_messages", "notice"],
  ["standard_conforming_strings", "on"],
];

function given({ timeoutMs, lockTimeoutMs }: Timeouts): [name: string, value: string][] {
  const named = { statement_timeout: timeoutMs, lock_timeout: lockTimeoutMs };
  return Object.entries(named).flatMap(([name, ms]): [string, string][] =>
    ms === undefined ? [] : [[name, String(milliseconds(ms))]],
  );
}

export interface Manner extends Timeouts {
  /** Unqualified names mean the server's own objects, never one that somebody has put into a schema of the search_path. */
  own?: boolean | undefined;
  /** Texts as they are stored, not converted: a byte that is not valid is ours to deal with. */
  raw?: boolean | undefined;
  /** The transaction may not write. */
  readOnly?: boolean | undefined;
  /** False for questions about catalogues: compiling one may take a hundred times as long as answering it. */
  jit?: false | undefined;
  /** False where an index may be damaged: tables are read from end to end. */
  indexes?: false | undefined;
  /** All statements of an explicit transaction see the same rows. */
  repeatable?: true | undefined;
}

/** The planner takes what is switched off where it has nothing else, so that reading from end to end must be on. */
export const WITHOUT_INDEXES: readonly [name: string, value: string][] = [
  ["enable_indexscan", "off"],
  ["enable_indexonlyscan", "off"],
  ["enable_bitmapscan", "off"],
  ["enable_seqscan", "on"],
];

/** Sets the styles, timeouts and the rest until the transaction ends. */
export function local(manner: Manner): string {
  const more: [name: string, value: string][] = [];
  if (manner.own === true) more.push(["search_path", "pg_catalog, pg_temp"]);
  if (manner.raw === true) more.push(["client_encoding", "SQL_ASCII"]);
  if (manner.jit === false) more.push(["jit", "off"]);
  if (manner.indexes === false) more.push(...WITHOUT_INDEXES);
  if (manner.readOnly === true) more.push(["transaction_read_only", "on"]);
  const settings = [...STYLES, ...more, ...given(manner)].map(
    ([name, value]) => `pg_catalog.set_config('${name}', '${value}', true)`,
  );
  return `SELECT ${MARK} ${settings.join(", ")}`;
}

/** The statements that begin an explicit transaction. */
export function begin(mode: "READ ONLY" | "READ WRITE", manner: Manner): string[] {
  const level = manner.repeatable === true ? " ISOLATION LEVEL REPEATABLE READ" : "";
  return [`BEGIN ${MARK} ${mode}${level}`, local(manner)];
}

/** For a command that can't run in a transaction: its timeouts for the session, and what takes them back. Empty without timeouts. */
export function sessionWide(timeouts: Timeouts): { set: string; reset: string } {
  const wanted = given(timeouts);
  return {
    set: wanted.map(([name, value]) => `SET ${MARK} ${name} = ${value}`).join("; "),
    reset: wanted.map(([name]) => `RESET ${MARK} ${name}`).join("; "),
  };
}

/** A whole number of milliseconds that the server takes; it reads 0 as "none". */
function milliseconds(ms: number): number {
  return Math.min(2_147_483_647, Math.max(1, Math.ceil(ms)));
}
