import { amount } from "../../../engine/shared/amount.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { readLocked } from "../../../providers/planner/twin/locked.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import { openHypopg } from "../../../providers/planner/hypopg/hypopg.ts";
import { readTexts } from "../../../providers/postgres/recorded-texts.ts";
import { marked } from "../../../providers/postgres/own.ts";
import type { Run } from "../../../providers/postgres/session.ts";
import {
  type Catalogue,
  type Facts,
  type Planner,
  type Read,
  readCatalogue,
  readFacts,
  startTwin,
  type TableName,
  type Twin,
} from "../../../providers/planner/twin/twin.ts";
import { aroundLocks, OVER, tablesOf, withoutLocked } from "./locks.ts";
import { commandLine } from "../../command-line.ts";
import { asCatalogue } from "../../../providers/postgres/guard/as-catalogue.ts";
import { another, session } from "../../sql/session.ts";
import { type Asked, readStatements } from "./input.ts";
import {
  type Activity,
  type Parsed,
  parseWorkload,
  readActivity,
  readWorkload,
  type Refused,
  SYSTEM_ONLY,
  type Workload,
} from "../workload/workload.ts";

/** Rows of the catalogues: a thousand columns of statistics are a few MB. */
const MAX_ROWS = 2_000_000;
const MAX_BYTES = 1024 * 1024 * 1024;
/** No read of the catalogues takes long; one that waits for a lock shall not hold up others. */
const TIMEOUT_MS = 60_000;
const LOCK_TIMEOUT_MS = 2000;

/** A workload and what the server knows of its tables. */
export interface Study {
  catalogue: Catalogue;
  workload: Workload;
  parsed: Parsed[];
  /** Statements that can't be studied. */
  refused: Refused[];
  /** The statements among them that have to wait for a lock of another session. */
  blocked: Refused[];
  /** Statements for which no index can be advised. */
  idle: Refused[];
  activity: Activity;
  /** Statements that were sent to the server. */
  reads: number;
}

/** A planner that is being started. It starts as soon as the database is known, so that nobody waits for it later. */
export interface Opening<P extends Planner> {
  become(catalogue: Catalogue): Promise<P>;
  discard(): Promise<void>;
}

/**
 * Reads the workload and what there is to know of the tables that it uses, in one READ ONLY transaction that is rolled back; nothing
 * but SELECTs on catalogues and statistics is sent. Warns of statements that the role may not see. The planner is the caller's to close.
 * @throws PgdbaError unsupported | no_target | insufficient_privilege | io_failed | step_failed (there is nothing to study)
 */
export async function study<P extends Planner>(
  ctx: StepContext,
  asked: Asked,
  open: (ctx: StepContext, facts: Facts) => Opening<P>,
): Promise<Study & { planner: P }> {
  const pg = await session(ctx);
  const limits = { timeoutMs: TIMEOUT_MS, lockTimeoutMs: LOCK_TIMEOUT_MS, signal: ctx.signal };
  let opening: Opening<P> | undefined;
  try {
    const reading = (): Promise<Study> =>
      pg.transaction({ readOnly: true, ...limits }, (run) =>
        readAll(ctx, asked, run, (facts) => {
          opening ??= open(ctx, facts);
        }),
      );
    const found = await aroundLocks(ctx, reading);
    const { hidden } = found.workload;
    if (hidden > 0)
      ctx.warn(
        `${amount(hidden, "statement is", "statements are")} hidden from this role: GRANT pg_read_all_stats TO ${quoteIdent(found.catalogue.user)} shows ${hidden === 1 ? "it" : "them"}`,
      );
    if (opening === undefined) throw new PgdbaError("internal", "No planner was opened");
    return { ...found, planner: await opening.become(found.catalogue) };
  } catch (error) {
    await opening?.discard();
    throw error;
  }
}

async function readAll(
  ctx: StepContext,
  asked: Asked,
  run: Run,
  known: (facts: Facts) => void,
): Promise<Study> {
  let reads = 0;
  const read: Read = async (sql, values = []) => {
    reads++;
    return (await run(marked(sql), values, { maxRows: MAX_ROWS, maxBytes: MAX_BYTES })).rows;
  };
  // Loading the grammar takes longer than most of the reading, so both are done at the same time.
  void import("libpg-query").then(({ loadModule }) => loadModule());
  const facts = await readFacts(read);
  known(facts);
  const workload = await workloadOf(ctx, asked, read, run);
  const { parsed: all, refused, idle } = await parseWorkload(workload.statements);
  const parsed =
    asked.tables.length === 0
      ? all
      : all.filter((statement) => asked.tables.some((table) => mentions(statement.tables, table)));
  const tables = tablesOf(parsed);
  if (tables.size === 0 && asked.tables.length > 0) {
    const names = asked.tables.map(({ schema, name }) =>
      schema === null ? name : `${schema}.${name}`,
    );
    throw new PgdbaError("step_failed", `No statement of the workload uses ${names.join(", ")}`, {
      hint: `Check the name and its schema; \`${commandLine(ctx.target, ["query", "slow-log"])}\` shows the statements.`,
    });
  }
  if (workload.statements.length === 0) {
    throw new PgdbaError("step_failed", "The workload has no statement", {
      hint: "Let the application work for a while, or give statements that select from tables.",
    });
  }
  const { free, blocked } = withoutLocked(parsed, await readLocked(read, [...tables.values()]));
  if (blocked.length > 0)
    ctx.warn(
      `${amount(blocked.length, "statement is", "statements are")} not looked at: ${[...new Set(blocked.map(({ reason }) => reason))].join("; ")}. ${OVER}`,
    );
  ctx.log(
    `studying ${amount(tablesOf(free).size, "table")} for ${amount(free.length, "statement")}`,
  );
  const catalogue = await readCatalogue(read, [...tablesOf(free).values()], facts);
  const activity = await readActivity(read, catalogue);
  const sorted = sort(free, catalogue);
  return {
    catalogue,
    workload,
    parsed: sorted.own,
    refused: [...refused, ...blocked, ...sorted.gone],
    blocked,
    idle: [...idle, ...sorted.system],
    activity,
    reads,
  };
}

/** The planner's twin of the server, of its version or another. */
export function openTwin(ctx: StepContext, facts: Facts, version?: number): Opening<Twin> {
  return startTwin(facts, {
    stateDir: ctx.run.stateDir,
    log: (message) => ctx.log(message),
    ...(version === undefined ? {} : { version }),
  });
}

/** The server's own planner with hypothetical indexes, on a session of its own. */
export function openOnServer(ctx: StepContext): Opening<Planner> {
  const opening = another(ctx);
  opening.catch(() => {});
  return {
    become: async (catalogue) => openHypopg(await opening, catalogue, ctx.signal),
    async discard() {
      const own = await opening.catch(() => null);
      await own?.close();
    },
  };
}

/** Gives the limits as `LIMITS_OUTPUT` describes them. */
export function limitsOf(planner: Planner): { object: string; reason: string }[] {
  return planner.limits.map(({ object, reason }) => ({ object, reason }));
}

/** Statements by whether they use tables that can be studied, tables that are not there, or the system's own alone. */
function sort(parsed: readonly Parsed[], catalogue: Catalogue) {
  const names = new Set(catalogue.relations.map(({ name }) => name));
  const missing = new Set(
    catalogue.limits.filter((limit) => limit.missing === true).map(({ object }) => object),
  );
  const named = (table: TableName): string =>
    table.schema === null ? table.name : `${table.schema}.${table.name}`;
  const sorted = { own: [] as Parsed[], gone: [] as Refused[], system: [] as Refused[] };
  for (const statement of parsed) {
    const { sql, tables } = statement;
    const found = tables.filter(({ name }) => names.has(name));
    const gone = tables.map(named).filter((name) => missing.has(name));
    if (catalogue.relations.some((relation) => mentions(found, relation)))
      sorted.own.push(statement);
    else if (gone.length > 0)
      sorted.gone.push({
        sql,
        reason: `not in this database, or hidden from the role: ${gone.join(", ")}`,
      });
    else sorted.system.push({ sql, reason: SYSTEM_ONLY });
  }
  return sorted;
}

async function workloadOf(ctx: StepContext, asked: Asked, read: Read, run: Run): Promise<Workload> {
  const given =
    asked.workload ??
    (asked.workloadFile === undefined
      ? undefined
      : await readStatements(asked.workloadFile, ctx.cwd));
  if (given !== undefined) return { source: "given", statements: given, hidden: 0, unread: null };
  const workload = await readWorkload(
    read,
    (schema, ids) =>
      asCatalogue(run, () => readTexts(run, (database) => another(ctx, database), schema, ids)),
    { limit: asked.limit, queryid: asked.queryid ?? null },
  );
  const { unread } = workload;
  if (unread !== null && unread.count > 0)
    ctx.warn(
      `${amount(unread.count, "statement is", "statements are")} left out: ${unread.message}. ${unread.hint}`,
    );
  if (asked.queryid !== undefined && workload.statements.length === 0) {
    throw new PgdbaError(
      "step_failed",
      `pg_stat_statements has no statement ${asked.queryid} of this database`,
      {
        hint: `\`${commandLine(ctx.target, ["query", "slow-log"])}\` lists them with their queryid.`,
      },
    );
  }
  return workload;
}

function mentions(tables: readonly TableName[], wanted: TableName): boolean {
  return tables.some(
    (table) =>
      table.name === wanted.name &&
      (table.schema === null || wanted.schema === null || table.schema === wanted.schema),
  );
}
