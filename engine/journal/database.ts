import { constants, Database } from "bun:sqlite";
import { closeSync, lstatSync, mkdirSync, openSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { PgdbaError } from "../errors.ts";
import { errnoOf, otherKind } from "../shared/read-file.ts";
import { beginChain } from "./audit.ts";
import schema from "./schema.sql" with { type: "text" };

/** Another process may hold the database's write lock for so long before we give up, ms. */
const BUSY_TIMEOUT_MS = 10_000;
/** The version of `schema.sql`. The journal of an older pgdba is brought up to it, that of a newer one is left alone. */
const VERSION = 8;
const FIRST_WITH_AUDIT = 8;
/** The tables of every version. */
const TABLES = ["lock", "run", "step"];
const NEWER_TABLES = ["answer", "audit", "child", "saw"];

/** The journal's database in the state folder, made when there is none. @throws PgdbaError journal_failed */
export function openForWriting(stateDir: string): Database {
  const file = join(stateDir, "journal.db");
  return guarded(() => {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    isThere(file);
    // Outputs are the operator's own business; SQLite gives its side files the same mode.
    closeSync(openSync(file, "a", 0o600));
    const db = new Database(file, { create: true });
    db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    if (versionOf(db, file) < VERSION) upgrade(db, file);
    db.exec("PRAGMA synchronous = FULL");
    return db;
  });
}

/**
 * The same for looking at it alone: nothing is made or changed, and it may lie on a disk that can't be written. Empty when there is
 * none. @throws PgdbaError journal_failed
 */
export function openForReading(stateDir: string): Database {
  const file = join(stateDir, "journal.db");
  return guarded(() => {
    if (!isThere(file)) return openInMemory();
    try {
      return readOnly(file, constants.SQLITE_OPEN_READONLY);
    } catch (error) {
      if (!CANT_WRITE.has(errnoOf(error) ?? "")) throw error;
      // SQLite writes files beside a database even to read it, unless it is opened as immutable.
      const uri = `file:${encodeURI(file).replaceAll("?", "%3F").replaceAll("#", "%23")}?immutable=1`;
      return readOnly(uri, constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI);
    }
  });
}

/** A journal that ends with this process: for what changes nothing, where no other can be had. */
export function openInMemory(): Database {
  const db = new Database(":memory:");
  db.exec(schema);
  return db;
}

const CANT_WRITE = new Set(["SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY"]);

function readOnly(file: string, flags: number): Database {
  const db = new Database(file, flags);
  db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  versionOf(db, file);
  if (tablesOf(db).length > 0) return db;
  // Another engine is just making it.
  db.close();
  return openInMemory();
}

/** True when there is a journal. @throws PgdbaError for anything else in its place: opening a FIFO would wait for ever */
function isThere(file: string): boolean {
  let found: Stats;
  try {
    found = lstatSync(file);
    // A link that leads nowhere: the disk it leads to is perhaps not mounted.
    if (found.isSymbolicLink()) found = statSync(file);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    if (!found!) return false;
    throw unusable(
      `${file} is a link that leads nowhere`,
      "Bring back what it leads to, or remove it.",
    );
  }
  const other = otherKind(found);
  if (other !== undefined) throw unusable(`${file} is ${other}, not a file`, AWAY);
  return true;
}

/** Whether its version is one that has an audit. */
export function hadAudit(db: Database): boolean {
  const row = db.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return (row?.user_version ?? 0) >= FIRST_WITH_AUDIT;
}

export function hasTable(db: Database, name: string): boolean {
  return tablesOf(db).includes(name);
}

function tablesOf(db: Database): string[] {
  return db
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    .all()
    .map(({ name }) => name);
}

/** @throws Error for a database of something else, or of a newer pgdba */
function versionOf(db: Database, file: string): number {
  const version =
    db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
  if (version > VERSION)
    throw unusable(
      `${file} was written by a newer pgdba (version ${version} of its tables, this one knows ${VERSION})`,
      "Run the newer pgdba, or use another state folder (PGDBA_HOME).",
    );
  const tables = tablesOf(db);
  const ours =
    version === 0
      ? tables.every((name) => TABLES.includes(name) || NEWER_TABLES.includes(name))
      : TABLES.every((name) => tables.includes(name));
  if (!ours) throw unusable(`${file} is a database of something else`, AWAY);
  return version;
}

function upgrade(db: Database, file: string): void {
  switchToWal(db);
  db.transaction(() => {
    // Another process may have been quicker.
    if (versionOf(db, file) === VERSION) return;
    // Version 1 judged a lease by the time of day. A run of it that is under way loses its lease, and stops before it acts again.
    if (columnsOf(db, "lock").includes("expires_at")) {
      db.exec(`ALTER TABLE lock DROP COLUMN expires_at;
        ALTER TABLE lock ADD COLUMN beats INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE lock ADD COLUMN lease_ms INTEGER NOT NULL DEFAULT 15000`);
    }
    // Version 2 did not say whether a step has acted, nor what people said of it.
    const step = columnsOf(db, "step");
    if (step.length > 0 && !step.includes("happened")) {
      db.exec(`ALTER TABLE step ADD COLUMN happened TEXT;
        ALTER TABLE step ADD COLUMN assumed TEXT`);
    }
    // Version 3 did not say that a run had begun to be taken back.
    const run = columnsOf(db, "run");
    if (run.length > 0 && !run.includes("unwinding"))
      db.exec("ALTER TABLE run ADD COLUMN unwinding TEXT");
    // Version 5 did not say what a run saw.
    if (run.length > 0 && !run.includes("view")) db.exec("ALTER TABLE run ADD COLUMN view TEXT");
    // Version 6 did not say what the gates had let through.
    if (run.length > 0 && !run.includes("judged"))
      db.exec("ALTER TABLE run ADD COLUMN judged TEXT");
    if (step.length > 0 && !step.includes("input_digest")) {
      db.exec(`ALTER TABLE step ADD COLUMN attempts INTEGER;
        ALTER TABLE step ADD COLUMN input_digest TEXT;
        ALTER TABLE step ADD COLUMN undo_digest TEXT`);
    }
    // Version 4 did not have the programs that run: `schema` makes what is missing.
    db.exec(schema);
    // Version 7 had no audit: its chain begins here.
    beginChain(db, new Date().toISOString());
    db.exec(`PRAGMA user_version = ${VERSION}`);
  }).immediate();
}

/** The columns of a table as the database has them: one that can only be looked at stays as old as it is. */
export function columnsOf(db: Database, table: string): string[] {
  return db
    .query<{ name: string }, [string]>("SELECT name FROM pragma_table_info(?)")
    .all(table)
    .map(({ name }) => name);
}

/** SQLite does not wait here by itself: two engines that begin on a new state folder at once would get in each other's way. */
function switchToWal(db: Database): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      db.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (thrown) {
      if (errnoOf(thrown) !== "SQLITE_BUSY" || performance.now() > deadline) throw thrown;
      Bun.sleepSync(5);
    }
  }
}

const AWAY = "Move it away and run again: a new journal is made.";

function unusable(reason: string, hint: string): PgdbaError {
  return new PgdbaError("journal_failed", `The journal can't be used: ${reason}`, { hint });
}

/** Runs a journal operation. Every error becomes journal_failed, so that nothing acts unrecorded. */
export function guarded<T>(operation: () => T): T {
  try {
    return operation();
  } catch (cause) {
    if (cause instanceof PgdbaError) throw cause;
    const damaged = DAMAGED.has(errnoOf(cause) ?? "");
    throw new PgdbaError("journal_failed", `The journal can't be used: ${reasonOf(cause)}`, {
      cause,
      hint: damaged
        ? "The journal (journal.db in PGDBA_HOME) is damaged. Move it away with its -wal and -shm and run again: a new one is made. Only the old one then holds the records of unfinished runs."
        : "Nothing acts without a journal. Free space on, or repair, the state folder (PGDBA_HOME), then run again.",
    });
  }
}

const DAMAGED = new Set([
  "SQLITE_CORRUPT",
  "SQLITE_NOTADB",
  "SQLITE_CORRUPT_INDEX",
  "SQLITE_CORRUPT_VTAB",
]);

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
