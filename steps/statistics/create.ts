import { PgdbaError } from "../../engine/errors.ts";
import { quoteIdent, quoteName } from "../../providers/planner/twin/names.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";
import { type Statistics, statisticsNamed, statisticsOf } from "./object/existing.ts";

const LOCK_TIMEOUT = "2s";
const KINDS = ["ndistinct", "dependencies", "mcv"] as const;
/** PostgreSQL cuts longer names, which would make two names one. */
const MAX_NAME_BYTES = 63;

interface Noted {
  schema: string;
  name: string;
}

export default defineStep({
  type: "statistics.create",
  summary: "Make an extended statistics object on columns of a table; the undo drops it",
  docs: `One CREATE STATISTICS with a short lock timeout. It says nothing to the planner before the next ANALYZE of the table. Where there is one
on the same columns already that has all of these kinds, nothing is made.`,
  example: `- statistics.create: {schema: public, table: places, columns: [country, city]}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["schema", "table", "columns"],
    properties: {
      schema: { type: "string", minLength: 1 },
      table: { type: "string", minLength: 1 },
      columns: {
        type: "array",
        items: { type: "string", minLength: 1 },
        description: "Two to eight columns of it",
      },
      kinds: {
        type: "array",
        items: { enum: [...KINDS] },
        description: "What is to be known of them; without it all of these",
      },
      name: {
        type: ["string", "null"],
        minLength: 1,
        description:
          "Its name, in the table's schema; made from those of the table and the columns without it",
      },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "the lock"),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["name", "created", "definition"],
    properties: {
      name: { type: "string", description: "As SQL writes it" },
      created: { type: "boolean", description: "False where one was there that says all of it" },
      definition: { type: "string" },
    },
  },
  async run(ctx, input) {
    const { schema, table, columns } = input;
    const kinds = wanted(input.kinds);
    const own = ctx.noted as Noted | undefined;
    const { same, name } = await beforeActing(ctx, async () => {
      const there = await statisticsOf(await session(ctx), schema, table);
      const name = own?.name ?? input.name ?? freeName(table, columns, there);
      return { same: there.find((one) => covers(one, columns, kinds)) ?? null, name };
    });
    if (same !== null) {
      // A resumed run may have made it itself.
      const created = same.name === own?.name;
      if (!created) ctx.unchanged();
      return { name: same.shown, created, definition: same.definition };
    }
    ctx.note({ schema, name });
    const sql = statement({ schema, table, columns, kinds, name });
    const pg = await session(ctx);
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT);
    await pg.transaction({ readOnly: false, lockTimeoutMs, signal: ctx.signal }, (run) => run(sql));
    const made = await statisticsNamed(pg, schema, name);
    return { name: made?.shown ?? quoteName(schema, name), created: true, definition: sql };
  },
  async plan(ctx, input) {
    const { schema, table, columns } = input;
    const kinds = wanted(input.kinds);
    const there = await statisticsOf(await session(ctx), schema, table);
    const same = there.find((one) => covers(one, columns, kinds));
    if (same !== undefined) return { there: same.shown, definition: same.definition };
    const name = input.name ?? freeName(table, columns, there);
    return { sql: statement({ schema, table, columns, kinds, name }) };
  },
  async undo(ctx, input, output) {
    const own = ctx.noted as Noted | undefined;
    if (own === undefined || output?.created === false) return ctx.unchanged();
    const pg = await session(ctx);
    const found = await statisticsNamed(pg, own.schema, own.name);
    // One of that name that others have made meanwhile stays.
    if (found === null || !covers(found, input.columns, wanted(input.kinds)))
      return ctx.unchanged();
    const lockTimeoutMs = milliseconds(input.lock_timeout ?? LOCK_TIMEOUT);
    await pg.transaction({ readOnly: false, lockTimeoutMs }, (run) =>
      run(`DROP STATISTICS IF EXISTS ${found.shown}`),
    );
  },
});

const wanted = (kinds: readonly string[] | undefined): readonly string[] =>
  kinds === undefined || kinds.length === 0 ? KINDS : kinds;

function covers(one: Statistics, columns: readonly string[], kinds: readonly string[]): boolean {
  const same = new Set(columns).symmetricDifference(new Set(one.columns)).size === 0;
  return same && !one.expressions && kinds.every((kind) => one.kinds.includes(kind));
}

/** As PostgreSQL would name it, cut to what fits, with a number where that is taken. */
function freeName(table: string, columns: readonly string[], there: readonly Statistics[]): string {
  const taken = new Set(there.map(({ name }) => name));
  const base = `${table}_${columns.join("_")}`;
  for (let nth = 0; ; nth++) {
    const end = nth === 0 ? "_stat" : `_stat${nth}`;
    let head = base;
    while (Buffer.byteLength(head + end) > MAX_NAME_BYTES) head = [...head].slice(0, -1).join("");
    if (!taken.has(head + end)) return head + end;
  }
}

interface Wanted {
  schema: string;
  table: string;
  columns: readonly string[];
  kinds: readonly string[];
  name: string;
}

/** @throws PgdbaError invalid_param for columns of which PostgreSQL makes no statistics */
function statement({ schema, table, columns, kinds, name }: Wanted): string {
  if (new Set(columns).size !== columns.length || columns.length < 2 || columns.length > 8)
    throw new PgdbaError("invalid_param", "It takes two to eight different columns", {
      hint: "For one column alone: ALTER TABLE … ALTER COLUMN … SET STATISTICS 1000, then pgdba maintenance analyze.",
    });
  const on = columns.map(quoteIdent).join(", ");
  return `CREATE STATISTICS ${quoteName(schema, name)} (${kinds.join(", ")}) ON ${on} FROM ${quoteName(schema, table)}`;
}
