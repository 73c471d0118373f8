/** A database that is made to be filled, and gets its real name in the end: so nobody takes a half-filled one for a whole one. */
import { randomBytes } from "node:crypto";
import { PgdbaError } from "../../engine/errors.ts";
import type { ProbeResult, StepContext } from "../../engine/types.ts";
import type { DatabaseLocale } from "../../providers/backup/record.ts";
import { quoteIdent, quoteLiteral } from "../../providers/planner/twin/names.ts";
import type { PgSession } from "../../providers/postgres/session.ts";

export interface Noted {
  /** Made up for this step: no other database has it. */
  scratch: string;
  /** Known once it was made. */
  oid?: number;
  /** For `probe`: the output once it has its real name. */
  output?: { [key: string]: string | number | boolean | null };
  /** The database that had the name before, and that name. */
  aside?: { name: string; of: string };
}

export const admin = async (ctx: StepContext): Promise<PgSession> =>
  (await ctx.use("postgres")).session();

export async function databaseOid(pg: PgSession, name: string): Promise<number | null> {
  const { rows } = await pg.ask(
    "SELECT oid::int8::text AS oid FROM pg_database WHERE datname = $1",
    [name],
  );
  return rows[0] === undefined ? null : Number(rows[0]["oid"]);
}

/** Those of `roles` that the server does not have. */
export async function missingRoles(pg: PgSession, roles: readonly string[]): Promise<string[]> {
  const { rows } = await pg.ask("SELECT rolname AS name FROM pg_roles WHERE rolname = ANY ($1)", [
    roles,
  ]);
  return roles.filter((one) => !rows.some(({ name }) => name === one));
}

/** @throws PgdbaError invalid_param */
export function assertName(name: string): void {
  if (Buffer.byteLength(name) <= 63) return;
  throw new PgdbaError("invalid_param", `${name} is longer than 63 bytes`, {
    hint: "PostgreSQL would cut it. Give a shorter name.",
  });
}

/** @throws PgdbaError invalid_param */
export async function assertDatabaseFree(ctx: StepContext, name: string): Promise<void> {
  assertName(name);
  if ((await databaseOid(await admin(ctx), name)) === null) return;
  throw new PgdbaError("invalid_param", `There is a database ${name} already`, {
    hint: "Give another name with --as, or drop that one.",
  });
}

/** The answer of a probe: done once the database that was filled has its real name. */
export async function databaseDone(ctx: StepContext): Promise<ProbeResult> {
  const { oid, output } = (ctx.noted ?? {}) as Partial<Noted>;
  if (output === undefined || oid === undefined) return { state: "not_done" };
  const now = await databaseOid(await admin(ctx), String(output["database"]));
  return now === oid ? { state: "done", output } : { state: "not_done" };
}

/** @returns what was noted of it */
export async function makeScratch(
  ctx: StepContext,
  locale: DatabaseLocale | undefined,
): Promise<Noted> {
  const noted: Noted = { scratch: `pgdba_load_${randomBytes(6).toString("hex")}` };
  ctx.note({ ...noted });
  const pg = await admin(ctx);
  const sql = `CREATE DATABASE ${quoteIdent(noted.scratch)} TEMPLATE template0${localeSql(locale, pg.info.version_num)}`;
  await pg.query(sql, [], { alone: true, changes: true, signal: ctx.signal });
  const made = { ...noted, oid: (await databaseOid(pg, noted.scratch)) ?? 0 };
  ctx.note({ ...made });
  return made;
}

function localeSql(locale: DatabaseLocale | undefined, version_num: number): string {
  if (locale === undefined) return "";
  const { encoding, collate, ctype, provider, locale: own } = locale;
  const base = ` ENCODING ${quoteLiteral(encoding)} LC_COLLATE ${quoteLiteral(collate)} LC_CTYPE ${quoteLiteral(ctype)}`;
  if (version_num < 150_000 || own === undefined) return base;
  if (provider === "i") return `${base} LOCALE_PROVIDER icu ICU_LOCALE ${quoteLiteral(own)}`;
  if (provider === "b" && version_num >= 170_000)
    return `${base} LOCALE_PROVIDER builtin BUILTIN_LOCALE ${quoteLiteral(own)}`;
  return base;
}

/** Gives the scratch database its name. */
export async function nameScratch(pg: PgSession, from: string, to: string): Promise<void> {
  await pg.query(`ALTER DATABASE ${quoteIdent(from)} RENAME TO ${quoteIdent(to)}`, [], {
    changes: true,
  });
}

/** Puts the scratch database in the place of another one, which keeps its data under the name `aside`. Both names change at once. */
export async function takePlace(
  ctx: StepContext,
  { scratch, of, aside }: { scratch: string; of: string; aside: string },
): Promise<void> {
  const pg = await admin(ctx);
  if (pg.info.database === of) {
    throw new PgdbaError(
      "step_refused",
      `This run is connected to ${of} itself, which can't be renamed so`,
      {
        hint: "Connect to another database: PGDBA_PG_DATABASE=postgres.",
      },
    );
  }
  const opened = (allowed: boolean, name: string) =>
    pg.query(`ALTER DATABASE ${quoteIdent(name)} ALLOW_CONNECTIONS ${allowed}`, [], {
      changes: true,
    });
  await opened(false, of);
  try {
    await pg.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
      [of],
    );
    await pg.transaction({ readOnly: false }, async (run) => {
      await run(`ALTER DATABASE ${quoteIdent(of)} RENAME TO ${quoteIdent(aside)}`);
      await run(`ALTER DATABASE ${quoteIdent(scratch)} RENAME TO ${quoteIdent(of)}`);
    });
    await opened(true, aside);
  } catch (error) {
    await opened(true, of).catch(() => {});
    throw error;
  }
}

/**
 * Removes what the step has made, by its identity: a database of that name which somebody else has made stays.
 * @returns whether it may have made anything
 */
export async function removeScratch(ctx: StepContext): Promise<boolean> {
  const { scratch, oid, aside } = (ctx.noted ?? {}) as Partial<Noted>;
  if (scratch === undefined) return false;
  const pg = await admin(ctx);
  if (aside !== undefined) {
    const isAside = (await databaseOid(pg, aside.name)) !== null;
    if (isAside && (await databaseOid(pg, aside.of)) === oid) {
      await takePlace(ctx, { scratch: aside.name, of: aside.of, aside: scratch });
    } else if (!isAside)
      await pg.query(`ALTER DATABASE ${quoteIdent(aside.of)} ALLOW_CONNECTIONS true`, [], {
        changes: true,
      });
  }
  const { rows } = await pg.ask(
    "SELECT datname AS name FROM pg_database WHERE datname = $1 OR oid = $2::oid",
    [scratch, oid ?? 0],
  );
  for (const { name } of rows)
    await pg.query(`DROP DATABASE ${quoteIdent(String(name))} WITH (FORCE)`, [], {
      alone: true,
      changes: true,
    });
  return true;
}
