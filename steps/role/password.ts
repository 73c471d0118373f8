import { rm } from "node:fs/promises";
import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { quoteIdent, quoteLiteral } from "../../providers/planner/twin/names.ts";
import { scramVerifier } from "../../providers/postgres/scram.ts";
import { beforeActing } from "../before-acting.ts";
import { commandLine } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { logIn } from "./log-in.ts";
import { refuseOwn } from "./own.ts";
import {
  isAnothers,
  keepOld,
  type Login,
  made,
  newFile,
  oldFile,
  readNew,
  readOld,
} from "./password-files.ts";

const ROLE = `SELECT rolcanlogin AS login, coalesce(rolvaliduntil <= now(), false) AS expired, coalesce(rolvaliduntil::text, 'infinity') AS valid_until,
  coalesce($2::text::timestamptz <= now(), false) AS already_over, has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT') AS readable FROM pg_catalog.pg_roles WHERE rolname = $1`;
/** A superuser's own, for this transaction: the verifier stands in no log either, nor in pg_stat_statements. */
const QUIET = `SELECT set_config(s.name, v.value, true) FROM pg_catalog.pg_settings s
  JOIN (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'), ('log_transaction_sample_rate', '0'),
    ('log_min_error_statement', 'panic'), ('pg_stat_statements.track_utility', 'off')) AS v (name, value) ON v.name = s.name
  WHERE current_setting('is_superuser') = 'on'`;

export default defineStep({
  type: "role.password",
  summary: "Give a role a new password, as a SCRAM verifier, and log in with it",
  docs: `The verifier is computed here: the server never sees the password, nor does its log. \`valid_until\` is set in the same statement, so
that the old password of a role whose time is over does not become good again in between; without it the time stays as it is. Without \`password\` one is made (192 bits) and put
into a file of the state folder that only its owner reads; \`file\` of the output is its path. Then the step logs in as the role; where that fails, and
when the run fails later, the old password is in force again, until when it was. For that its verifier is kept in a file until the run is over, which takes a
superuser: others can't read it, and what they changed stays.

The roles by which pgdba and the cluster's own parts log in are refused. Sessions that are open stay.`,
  example: `- role.password: {role: app}
`,
  effect: "change",
  idempotent: true,
  needs: ["postgres", "primary"],
  locks: "config",
  input: {
    type: "object",
    additionalProperties: false,
    required: ["role"],
    properties: {
      role: { type: "string", minLength: 1 },
      password: { type: ["string", "null"], description: "The new one; made here without it" },
      valid_until: {
        type: ["string", "null"],
        description:
          "Until when the new one is good, such as 2030-01-01; `infinity` for ever; as it is without it",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["role", "file", "asked", "valid_until"],
    properties: {
      role: { type: "string" },
      file: { type: ["string", "null"], description: "The file with the password that was made" },
      asked: {
        type: "boolean",
        description:
          "The server asked for it; false where pg_hba.conf lets the role in without one",
      },
      valid_until: { type: "string", description: "As it is now; `infinity` is for ever" },
    },
  },
  async run(ctx, input) {
    const { role } = input;
    const { readable } = await beforeActing(ctx, () => check(ctx, input));
    const file = input.password == null ? newFile(ctx, role) : null;
    const password = file === null ? (input.password ?? "") : await made(ctx, file);
    if (password === "" || password.includes("\0"))
      throw new PgdbaError("invalid_param", "This is no password", {
        hint: "Give one of at least one character, as env:NAME or file:PATH, or none, and one is made.",
      });
    if (ctx.noted !== undefined && (await isAnothers(ctx, role, password))) {
      if (file !== null) await rm(file, { force: true });
      throw new PgdbaError(
        "step_refused",
        `${role} has been given another password since by somebody else: that stays`,
        { hint: `To give it a new one: ${commandLine(ctx.target, ["role", "password", role])}` },
      );
    }
    ctx.note({ kept: await keepOld(ctx, role, readable) });
    await write(ctx, role, { verifier: scramVerifier(password), validUntil: input.valid_until });
    const { spec } = await ctx.use("postgres");
    const { asked } = await logIn({ ...spec, user: role }, password);
    if (!asked)
      ctx.warn(
        `pg_hba.conf lets ${role} in from here without a password, so that nobody knows whether it is taken`,
      );
    const { valid_until } = await roleOf(ctx, role);
    return { role, file, asked, valid_until };
  },
  async plan(ctx, input) {
    const before = await check(ctx, input);
    return {
      role: input.role,
      password: input.password == null ? "made, and put into a file" : "the one that is given",
      valid_until: { before: before.valid_until, after: input.valid_until ?? before.valid_until },
    };
  },
  async undo(ctx, { role, password, valid_until }) {
    if (ctx.noted === undefined) return ctx.unchanged();
    const old = await readOld(ctx, role);
    // The file goes last: without it, an earlier process has done it all.
    if (old === undefined && (ctx.noted as { kept: boolean }).kept) return;
    if (old === undefined)
      throw new PgdbaError(
        "undo_failed",
        `The old password of ${role} is not known, the new one stays`,
        {
          hint: `Only a superuser reads old ones. Set it once more: ${commandLine(ctx.target, ["role", "password", role])}`,
        },
      );
    if (await isAnothers(ctx, role, password ?? readNew(ctx, role)))
      ctx.warn(`${role} has been given another password since by somebody else: that stays`);
    else await write(ctx, role, valid_until == null ? { verifier: old.verifier } : old);
    if (password == null) await rm(newFile(ctx, role), { force: true });
    await rm(oldFile(ctx, role), { force: true });
  },
  async forget(ctx, { role }: { role: string }) {
    await rm(oldFile(ctx, role), { force: true });
  },
});

interface Input {
  role: string;
  password?: string | null | undefined;
  valid_until?: string | null | undefined;
}

interface Role {
  login: boolean;
  expired: boolean;
  /** `infinity` where there is no end. */
  valid_until: string;
  /** The time that is wanted lies in the past. */
  already_over: boolean;
  readable: boolean;
}

/** @throws PgdbaError step_refused when it is not there, query_failed when `until` is no time */
async function roleOf(ctx: StepContext, role: string, until: string | null = null): Promise<Role> {
  const { rows } = await (await session(ctx)).query(ROLE, [role, until]);
  const [found] = rows as unknown as Role[];
  if (found !== undefined) return found;
  throw new PgdbaError("step_refused", `There is no role ${role}`, {
    hint: "psql's \\du lists the roles.",
  });
}

/** @throws PgdbaError step_refused for a role that is not there, that could not log in anyway, or that is needed */
async function check(ctx: StepContext, { role, valid_until }: Input): Promise<Role> {
  await refuseOwn(ctx, role, "a new password");
  const found = await roleOf(ctx, role, valid_until);
  const again = (action: string, flags: string[]) =>
    commandLine(ctx.target, ["role", action, role, ...flags]);
  if (!found.login)
    throw new PgdbaError(
      "step_refused",
      `${role} may not log in, so that its password can't be tried`,
      { hint: `Allow it first: ${again("set", ["--login"])}` },
    );
  if (found.already_over)
    throw new PgdbaError("step_refused", `${valid_until} is over: the password would not be good`, {
      hint: `Give a time to come, or no end: ${again("password", ["--valid-until", "infinity"])}`,
    });
  if (found.expired && valid_until == null)
    throw new PgdbaError(
      "step_refused",
      `No password of ${role} is good any more: its time was over at ${found.valid_until}`,
      {
        hint: `Say until when the new one is good: ${again("password", ["--valid-until", "infinity"])}`,
      },
    );
  if (!found.readable)
    ctx.warn(
      `Only a superuser reads the old password of ${role}: it can't be put back when something fails`,
    );
  return found;
}

async function write(ctx: StepContext, role: string, login: Login): Promise<void> {
  const { verifier, validUntil } = login;
  if (verifier !== null) ctx.secret(verifier);
  const pg = await session(ctx);
  await pg.transaction({ readOnly: false, lockTimeoutMs: 5000 }, async (run) => {
    await run(QUIET);
    const until = validUntil == null ? "" : ` VALID UNTIL ${quoteLiteral(validUntil)}`;
    await run(
      `ALTER ROLE ${quoteIdent(role)} PASSWORD ${verifier === null ? "NULL" : quoteLiteral(verifier)}${until}`,
    );
  });
}
