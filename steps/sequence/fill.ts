import { PgdbaError } from "../../engine/errors.ts";
import { parseBytes } from "../../engine/shared/units.ts";
import type { StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { timelineOf } from "../../providers/target/timeline.ts";
import { quoteName } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { repeatable } from "../sql/repeatable.ts";
import { another, backendOf, milliseconds, session } from "../sql/session.ts";
import { backfill, patiently, type Pace } from "./widening/backfill.ts";
import { unfit } from "./widening/batches.ts";
import { viewsOf } from "./widening/views.ts";
import {
  addStatements,
  besideIndex,
  besideName,
  indexStatement,
  removeStatements,
  validateStatements,
} from "./widening/beside.ts";
import { type Facts, factsOf, type Index } from "./widening/facts.ts";
import {
  askOf,
  type Column,
  columnName,
  findWidening,
  isNarrow,
  tableName,
  type Wanted,
} from "./widening/find.ts";
import { readableBeside } from "./widening/privileges.ts";
import { DEFAULT_LOCK_TIMEOUT, LOCK_TIMEOUT, WANTED } from "./widening/input.ts";

const MAX_LAG = "64MB";
const POLL_MS = 1000;

export default defineStep({
  type: "sequence.fill",
  summary: "Make bigint columns beside those that are too narrow, and fill them while others write",
  docs: `Beside each column a new one, \`pgdba_wide_N\`, is added, with a trigger that writes it whenever a row is written, and is filled in transactions
of 8 MB of the table each, which wait when a standby is too far behind. A validated check then proves that both are the same in every row, and the
indexes are built on it concurrently. Nobody waits for longer than \`lock_timeout\`. \`sequence.swap\` lets them take the places of the old ones; until then
the undo takes all of it away. Triggers of the table do not fire for filled rows where the user is a superuser; for others a table with triggers that would is refused.`,
  example: `- sequence.fill: {sequence: public.orders_id_seq}
`,
  effect: "change",
  idempotent: true,
  interruptible: true,
  needs: ["postgres", "primary"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...WANTED,
      lock_timeout: LOCK_TIMEOUT,
      max_lag: {
        type: ["string", "null"],
        format: "bytes",
        description: `How far a standby may be behind before it is waited for; by default ${MAX_LAG}`,
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["columns", "foreign_keys"],
    properties: {
      columns: { type: "array", items: { type: "string" }, description: "Columns that are filled" },
      foreign_keys: {
        type: "array",
        description: "Those that the swap makes anew, and that have to be validated after it",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["schema", "table", "name"],
          properties: {
            schema: { type: "string" },
            table: { type: "string" },
            name: { type: "string" },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const columns = await beforeActing(ctx, async () => fillable(await session(ctx), input));
    if (columns.length === 0) ctx.unchanged();
    await endWorker(ctx, false);
    // A session of its own, since an index is built for as long as it takes.
    const pg = await another(ctx);
    const worker = await backendOf(pg);
    const timeline = await timelineOf(pg);
    const noted = ctx.noted as Partial<Note> | undefined;
    // A standby that was promoted may lack the last pages.
    const pages = noted?.timeline === timeline ? (noted.pages ?? {}) : {};
    const note = (): void =>
      ctx.note({
        columns: columns.map(({ relid, attnum, schema, table }) => ({
          relid,
          attnum,
          schema,
          table,
        })),
        pages,
        timeline,
        worker,
      } satisfies Note);
    const pace: Pace = {
      lockTimeoutMs: milliseconds(input.lock_timeout ?? DEFAULT_LOCK_TIMEOUT),
      maxLag: parseBytes(input.max_lag ?? MAX_LAG),
    };
    try {
      note();
      const ask = askOf(pg);
      for (const detail of (await factsOf(ask, columns)).details) {
        if (detail.added) continue;
        delete pages[String(detail.column.relid)];
        note();
        await patiently(ctx, pg, pace, async (run) => {
          for (const sql of addStatements(detail)) await run(sql);
          for (const sql of await readableBeside(run, detail)) await run(sql);
        });
      }
      for (const [relid, own] of Map.groupBy(columns, (column) => column.relid))
        await backfill(ctx, pg, own, pages[String(relid)] ?? 0, pace, (page) => {
          pages[String(relid)] = page;
          note();
        });
      const facts = await factsOf(ask, columns);
      for (const sql of facts.details.flatMap(validateStatements)) {
        ctx.progress({ text: "checking that both columns are the same" });
        await patiently(ctx, pg, pace, async (run) => void (await run(sql)));
      }
      for (const index of facts.indexes) await buildIndex(ctx, pg, index, facts);
      for (const [table, own] of Map.groupBy(columns, tableName))
        await pg.query(`ANALYZE ${table} (${own.map(besideName).join(", ")})`, [], {
          changes: true,
          signal: ctx.signal,
        });
      return {
        columns: columns.map(columnName),
        foreign_keys: facts.foreignKeys
          .filter(({ validated }) => validated)
          .map(({ schema, table, name }) => ({ schema, table, name })),
      };
    } catch (error) {
      throw repeatable(error);
    } finally {
      await pg.close();
    }
  },
  async plan(ctx, input) {
    const pg = await session(ctx);
    const columns = await fillable(pg, input);
    const facts = await factsOf(askOf(pg), columns);
    const added: string[] = [];
    for (const detail of facts.details.filter((one) => !one.added))
      added.push(...addStatements(detail), ...(await readableBeside(askOf(pg), detail)));
    return {
      sql: [
        ...added,
        ...facts.indexes
          .filter(({ built }) => built !== true)
          .map((index) => indexStatement(index, wideOf(facts, index))),
      ],
    };
  },
  async undo(ctx, input) {
    const columns = (ctx.noted as Partial<Note> | undefined)?.columns ?? [];
    await endWorker(ctx, true);
    const pg = await session(ctx);
    const pace = { lockTimeoutMs: milliseconds(input.lock_timeout ?? DEFAULT_LOCK_TIMEOUT) };
    for (const column of columns)
      await patiently(ctx, pg, pace, async (run) => {
        // It may have got another name meanwhile.
        const { rows } = await run(
          'SELECT n.nspname AS schema, c.relname AS "table" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1',
          [column.relid],
        );
        const [now] = rows as unknown as Pick<Column, "schema" | "table">[];
        if (now === undefined) return;
        for (const sql of removeStatements({ ...column, ...now })) await run(sql);
      });
  },
});

type Noted = Pick<Column, "relid" | "attnum" | "schema" | "table">;

interface Note {
  columns: Noted[];
  /** Of each table, the page that comes next. */
  pages: Record<string, number>;
  /** That of the server where they are filled. */
  timeline: number | null;
  /** The session that does the work. */
  worker: { pid: number; began: string };
}

/**
 * Ends the session of an earlier process, in which the server goes on with a statement that nobody will commit. One that builds an index
 * may end it, and is waited for.
 */
async function endWorker(ctx: StepContext, builds: boolean): Promise<void> {
  const worker = (ctx.noted as Partial<Note> | undefined)?.worker;
  if (worker === undefined) return;
  const pg = await session(ctx);
  await pg.ask(
    `SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.pid = $1 AND a.backend_start::text = $2 AND a.query ~ 'pgdba_wide_'
       AND ($3 OR NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.pid = a.pid))`,
    [worker.pid, worker.began, builds],
  );
}

/** @throws PgdbaError step_refused where something would be lost on the way */
async function fillable(pg: PgSession, wanted: Wanted): Promise<Column[]> {
  const found = await findWidening(pg, wanted);
  const columns = found.columns.filter(isNarrow);
  const reasons = [
    ...columns.flatMap(({ blockers }) => blockers),
    ...(await viewsOf(askOf(pg), columns)).flatMap(({ refused }) => refused ?? []),
    ...(await unfit(askOf(pg), found)),
  ];
  if (reasons.length > 0)
    throw new PgdbaError("step_refused", `It can't be filled in batches: ${reasons.join("; ")}`, {
      hint: "Take these away and make them again afterwards; or, in a quiet hour, --alter-below SIZE --yes rewrites the tables at once.",
    });
  return columns;
}

function wideOf({ details }: Facts, { table }: Index): Set<number> {
  return new Set(
    details.filter(({ column }) => tableName(column) === table).map(({ column }) => column.attnum),
  );
}

async function buildIndex(
  ctx: StepContext,
  pg: PgSession,
  index: Index,
  facts: Facts,
): Promise<void> {
  const name = quoteName(index.schema, besideIndex(index));
  const state = async () => {
    const { rows } = await pg.ask(
      `SELECT i.indisvalid AS valid, EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) AS under_way
       FROM pg_index i WHERE i.indexrelid = to_regclass($1)`,
      [name],
    );
    return rows[0] as { valid: boolean; under_way: boolean } | undefined;
  };
  ctx.progress({ text: `building the index ${index.name} anew` });
  let found = await state();
  while (found?.valid === false && found.under_way) {
    await ctx.clock.sleep(POLL_MS, ctx.signal);
    found = await state();
  }
  if (found?.valid === true) return;
  const options = { changes: true, signal: ctx.signal } as const;
  if (found !== undefined) await pg.query(`DROP INDEX CONCURRENTLY ${name}`, [], options);
  await pg.query(indexStatement(index, wideOf(facts, index)), [], options);
}
