import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject, StepContext } from "../../engine/types.ts";
import { quoteLiteral } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { beforeActing } from "../before-acting.ts";
import { defineStep } from "../define.ts";
import { lockTimeoutInput } from "../sql/lock-timeout.ts";
import { milliseconds, session } from "../sql/session.ts";

const LOCK_TIMEOUT = "2s";
const TIMEOUT_MS = 30_000;

/** Values by name; null where the table has none of its own. */
type Settings = Record<string, string | null>;

interface Found {
  name: string;
  own: Settings;
}

const TABLE = `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.reltoastrelid <> 0 AS has_toast,
  coalesce((SELECT jsonb_object_agg(o.option_name, o.option_value) FROM pg_options_to_table(CASE WHEN $2 THEN t.reloptions ELSE c.reloptions END) o), '{}') AS own
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'm')`;

export default defineStep({
  type: "table.set",
  summary:
    "Set storage parameters of a table or of its TOAST table; the undo puts the old ones back",
  docs: `One ALTER TABLE with a short lock timeout, so that it never makes others queue behind it. A value of null takes the table's own setting
out. What is set is read back.`,
  example: `- table.set: {table: public.orders, settings: {autovacuum_vacuum_scale_factor: "0.02"}}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "none",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["table", "settings"],
    properties: {
      table: { type: "string", minLength: 1, description: "Its name, as table or schema.table" },
      settings: {
        type: "object",
        additionalProperties: { type: ["string", "number", "boolean", "null"] },
        description: "Values by name; null takes one out",
      },
      toast: { type: "boolean", default: false, description: "Of its TOAST table" },
      lock_timeout: lockTimeoutInput(LOCK_TIMEOUT, "the lock"),
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["table", "changes"],
    properties: {
      table: { type: "string" },
      changes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "before", "after"],
          properties: {
            name: { type: "string" },
            before: { type: ["string", "null"] },
            after: { type: ["string", "null"] },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const { table, toast = false } = input;
    const wanted = textsOf(input.settings);
    const found = await beforeActing(ctx, async () => find(await session(ctx), table, toast));
    // A resumed run has set them already, and knows from its note how they were.
    const before = (ctx.noted as Settings | undefined) ?? only(found.own, wanted);
    const differs = Object.keys(wanted).some((name) => (found.own[name] ?? null) !== wanted[name]);
    if (differs) {
      ctx.note(before);
      await alter(ctx, found.name, wanted, toast, input.lock_timeout);
    } else if (ctx.noted === undefined) ctx.unchanged();
    const { own } = await find(await session(ctx), table, toast);
    const wrong = Object.keys(wanted).find((name) => (own[name] ?? null) !== wanted[name]);
    if (wrong !== undefined)
      throw new PgdbaError(
        "step_failed",
        `${wrong} of ${found.name} is ${own[wrong] ?? "not set"} afterwards`,
        {
          hint: "Somebody else may have set it at the same time; run again.",
        },
      );
    const changes = Object.keys(wanted)
      .filter((name) => before[name] !== wanted[name])
      .map((name) => ({ name, before: before[name] ?? null, after: wanted[name] ?? null }));
    return { table: found.name, changes };
  },
  async plan(ctx, input) {
    const { table, toast = false } = input;
    const { name, own } = await find(await session(ctx), table, toast);
    const wanted = textsOf(input.settings);
    return { sql: statements(name, wanted, toast).join("; "), before: only(own, wanted) };
  },
  async undo(ctx, input) {
    const { table, toast = false, lock_timeout } = input;
    const before = ctx.noted as Settings | undefined;
    if (before === undefined) return ctx.unchanged();
    const { name } = await find(await session(ctx), table, toast);
    await alter(ctx, name, before, toast, lock_timeout);
  },
});

/** @throws PgdbaError invalid_param for a name that is none */
function textsOf(settings: JsonObject): Settings {
  for (const name of Object.keys(settings))
    if (!/^[a-z_]+$/.test(name))
      throw new PgdbaError(
        "invalid_param",
        `${JSON.stringify(name)} is no name of a storage parameter`,
        {
          hint: "Write it as PostgreSQL does, such as autovacuum_vacuum_scale_factor; --toast is for the TOAST table.",
        },
      );
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
}

const only = (own: Settings, wanted: Settings): Settings =>
  Object.fromEntries(Object.keys(wanted).map((name) => [name, own[name] ?? null]));

/** @throws PgdbaError step_refused when there is no such table, or none with a TOAST table */
async function find(pg: PgSession, table: string, toast: boolean): Promise<Found> {
  const { rows } = await pg.query(TABLE, [table, toast], { timeoutMs: TIMEOUT_MS });
  const [row] = rows;
  if (row === undefined || (toast && row["has_toast"] !== true))
    throw new PgdbaError(
      "step_refused",
      row === undefined
        ? `There is no table ${table} in this database that has storage of its own`
        : `${String(row["name"])} has no TOAST table`,
      {
        hint: "pgdba maintenance tables lists the tables; --database chooses another database. Of a partitioned table, set its partitions.",
      },
    );
  return { name: String(row["name"]), own: row["own"] as Settings };
}

function statements(name: string, settings: Settings, toast: boolean): string[] {
  const key = (one: string): string => `${toast ? "toast." : ""}${one}`;
  const set = Object.entries(settings).flatMap(([one, value]) =>
    value === null ? [] : [`${key(one)} = ${quoteLiteral(value)}`],
  );
  const reset = Object.keys(settings).filter((one) => settings[one] === null);
  const parts = [
    ...(set.length === 0 ? [] : [`SET (${set.join(", ")})`]),
    ...(reset.length === 0 ? [] : [`RESET (${reset.map(key).join(", ")})`]),
  ];
  return parts.length === 0 ? [] : [`ALTER TABLE ${name} ${parts.join(", ")}`];
}

async function alter(
  ctx: StepContext,
  name: string,
  settings: Settings,
  toast: boolean,
  lockTimeout: string | null | undefined,
): Promise<void> {
  const pg = await session(ctx);
  const options = {
    readOnly: false,
    lockTimeoutMs: milliseconds(lockTimeout ?? LOCK_TIMEOUT),
    signal: ctx.signal,
  };
  await pg.transaction(options, async (run) => {
    for (const sql of statements(name, settings, toast)) await run(sql);
  });
}
