import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { amount } from "../../engine/shared/amount.ts";
import { commandLineAt, wordsOf } from "../command-line.ts";
import { beforeActing } from "../before-acting.ts";
import { session } from "../sql/session.ts";
import { refuseOwn } from "./own.ts";
import { type Kept, readKept, type Scope, statementsFor, type Wanted } from "./settings.ts";

const OPEN = `SELECT count(*)::int AS open, count(*) FILTER (WHERE a.state = 'idle')::int AS idle,
  count(*) FILTER (WHERE a.state LIKE 'idle in transaction%')::int AS waiting, count(*) FILTER (WHERE a.state NOT LIKE 'idle%')::int AS active
  FROM pg_stat_activity a
  WHERE coalesce(a.backend_type = 'client backend', a.datid IS NOT NULL) AND a.pid <> pg_backend_pid()
    AND a.application_name !~ '^pgdba(/|$)' AND ($1::text IS NULL OR a.usename = $1) AND ($2::text IS NULL OR a.datname = $2)`;
const VALUE = { type: ["string", "number", "boolean", "null"] } as const;
export default defineStep({
  type: "role.set",
  summary: "Set what holds for a role, for a database, or for a role in a database",
  docs: `\`settings\` are values that new sessions begin with; null takes one out. With a role alone they hold for it in every database, with a database
alone for everybody in it, with both for that role there. \`login\`, \`connection_limit\` (-1: none) and \`valid_until\` are a role's; a database has a
\`connection_limit\` too. All of it is one transaction, is read back, and is taken back when the run fails. Sessions that are open keep what they have, which is a warning with the command that ends those that are idle.

The roles by which pgdba and the cluster's own parts log in can have settings, and are not locked out.`,
  example: `- role.set: {role: app, settings: {statement_timeout: 30s}, connection_limit: 50}
`,
  effect: "change",
  oneAct: true,
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      role: { type: ["string", "null"] },
      database: { type: ["string", "null"] },
      settings: {
        type: ["object", "null"],
        additionalProperties: VALUE,
        description: "Settings by name; null takes one out",
      },
      connection_limit: { type: ["integer", "null"], minimum: -1, description: "-1: no limit" },
      valid_until: {
        type: ["string", "null"],
        description: "Until when the password is good, such as 2030-01-01; `infinity` for ever",
      },
      login: { type: ["boolean", "null"], description: "Whether it may log in" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changes"],
    properties: {
      changes: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "before", "after"],
          properties: { name: { type: "string" }, before: VALUE, after: VALUE },
        },
        description: "What is different now; null is no value",
      },
    },
  },
  async run(ctx, input) {
    const { scope, wanted, before } = await beforeActing(ctx, () => prepare(ctx, input));
    if (ctx.noted === undefined) ctx.note(before as unknown as Json);
    const changes = changesOf(before, wanted);
    if (changes.length === 0) ctx.unchanged();
    else await write(ctx, scope, wanted);
    const after = await readKept(await session(ctx), scope, wanted);
    const other = changesOf(after, wanted);
    if (other.length > 0)
      throw new PgdbaError(
        "step_failed",
        `Not as it was set: ${other.map(({ name, before: is }) => `${name} is ${is ?? "not set"}`).join(", ")}`,
        { hint: "Somebody may have changed it at the same time; run it again." },
      );
    await tellOpen(ctx, scope, changes, wanted);
    return { changes };
  },
  async plan(ctx, input) {
    const { scope, wanted, before } = await prepare(ctx, input);
    const changes = changesOf(before, wanted);
    await tellOpen(ctx, scope, changes, wanted);
    return {
      changes,
      sql: changes.length === 0 ? [] : statementsFor(scope, wanted),
    } as unknown as Json;
  },
  async undo(ctx, input) {
    if (ctx.noted === undefined) return ctx.unchanged();
    await write(ctx, scopeOf(input), ctx.noted as unknown as Kept);
  },
});

interface Input {
  role?: string | null | undefined;
  database?: string | null | undefined;
  settings?: JsonObject | null | undefined;
  connection_limit?: number | null | undefined;
  valid_until?: string | null | undefined;
  login?: boolean | null | undefined;
}

function scopeOf({ role, database }: Input): Scope {
  return { role: role ?? null, database: database ?? null };
}

async function prepare(
  ctx: StepContext,
  input: Input,
): Promise<{ scope: Scope; wanted: Wanted; before: Kept }> {
  const scope = scopeOf(input);
  const wanted: Wanted = {
    settings: Object.fromEntries(
      Object.entries(input.settings ?? {}).map(([name, value]) => [
        name,
        value === null ? null : typeof value === "boolean" ? (value ? "on" : "off") : String(value),
      ]),
    ),
    ...(input.connection_limit == null ? {} : { connection_limit: input.connection_limit }),
    ...(input.valid_until == null ? {} : { valid_until: input.valid_until }),
    ...(input.login == null ? {} : { login: input.login }),
  };
  const ofRole = input.login != null || input.valid_until != null;
  if (scope.role === null && scope.database === null)
    throw usage("Neither a role nor a database is named");
  if (scope.role === null && ofRole) throw usage("Only a role has `login` and `valid_until`");
  if (scope.role !== null && scope.database !== null && (ofRole || input.connection_limit != null))
    throw usage("`login`, `valid_until` and `connection_limit` hold for a role in all databases");
  if (!ofRole && input.connection_limit == null && Object.keys(wanted.settings).length === 0)
    throw usage("There is nothing to set");
  if (scope.role !== null && (ofRole || input.connection_limit != null))
    await refuseOwn(ctx, scope.role, "a change of what it may do");
  const pg = await session(ctx);
  return { scope, wanted, before: await readKept(pg, scope, wanted) };
}

/** A pool may keep its sessions for days, and with them what was set before. */
async function tellOpen(
  ctx: StepContext,
  { role, database }: Scope,
  changes: readonly Change[],
  { settings }: Wanted,
): Promise<void> {
  const names = changes.map(({ name }) => name).filter((name) => name in settings);
  if (names.length === 0) return;
  const { rows } = await (await session(ctx)).query(OPEN, [role, database], { signal: ctx.signal });
  const { open, idle, waiting, active } = rows[0] as Record<
    "open" | "idle" | "waiting" | "active",
    number
  >;
  if (open === 0) return;
  const words = [
    "session",
    "terminate",
    ...wordsOf({ role, in_database: database, state: "idle" }),
  ];
  const whose = [
    ...(role === null ? [] : [`of ${role}`]),
    ...(database === null ? [] : [`in ${database}`]),
  ];
  const states = [
    ...(waiting === 0 ? [] : [`${waiting} idle in a transaction`]),
    ...(active === 0 ? [] : [`${active} active`]),
    ...(idle === 0 ? [] : [`${idle} idle`]),
  ].join(", ");
  // What is at work is not ended for the sake of a setting.
  const ends =
    idle === 0
      ? ""
      : `: ${commandLineAt(ctx.target, words, {})} ends those that are idle, and needs --yes`;
  ctx.warn(
    `${amount(open, "open session")} ${whose.join(" ")} ${open === 1 ? "keeps" : "keep"} the old ${names.join(", ")} until connected anew${states === "" ? "" : `; of them ${states}`}${ends}`,
  );
}

function usage(message: string): PgdbaError {
  return new PgdbaError("invalid_param", message, {
    hint: 'For example `pgdba role set app --settings \'{"statement_timeout": "30s"}\'`, with --in-database for one database, or `pgdba role set app --connection-limit 50`.',
  });
}

async function write(ctx: StepContext, scope: Scope, wanted: Wanted): Promise<void> {
  const pg = await session(ctx);
  await pg.transaction(
    { readOnly: false, lockTimeoutMs: 5000, signal: ctx.signal },
    async (run) => {
      for (const sql of statementsFor(scope, wanted)) await run(sql);
    },
  );
}

interface Change {
  name: string;
  before: string | number | boolean | null;
  after: string | number | boolean | null;
}

function changesOf(before: Kept, wanted: Wanted): Change[] {
  const { settings, ...attributes } = wanted;
  const all: Change[] = Object.entries(settings).map(([name, after]) => ({
    name,
    before: before.settings[name] ?? null,
    after,
  }));
  for (const [name, after] of Object.entries(attributes) as [keyof typeof attributes, string][])
    all.push({ name, before: before[name] ?? null, after });
  // A time is written in many ways: the server says whether two are the same.
  return all.filter(({ name, before: was, after }) =>
    name === "valid_until" ? before.valid_until_differs : was !== after,
  );
}
