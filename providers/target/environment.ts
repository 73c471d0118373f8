import { join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { isWhole } from "../../engine/shared/connection-part.ts";
import { secretFromFile } from "../registry/secrets.ts";
import { passwordIn } from "../postgres/passfile.ts";
import { type ConnectionSpec, describe, SSL_MODES, type SslMode } from "../postgres/connect.ts";
import { placeIn } from "./member-name.ts";
import type { TargetOptions } from "./options.ts";
import type { TargetSource } from "./source.ts";

type Env = TargetOptions["env"];

/**
 * The server that flags and environment name, field by field: flag, then PGDBA_PG_<FIELD>, then PG<FIELD>. Null when neither a
 * host, a port, a user nor a database is named anywhere.
 * @throws PgdbaError invalid_config | invalid_param | missing_secret
 */
export function environmentSource(options: TargetOptions): TargetSource | null {
  const { flags, env } = options;
  const field = (name: string, flag?: string | number): string | undefined => {
    // An empty flag is a mistake, and does not mean the environment's server.
    if (flag === "") throw emptyPart(name.toLowerCase());
    return (
      (flag === undefined ? undefined : String(flag)) ??
      given(env[`PGDBA_PG_${name}`]) ??
      given(env[`PG${name}`])
    );
  };
  const named = {
    host: field("HOST", flags.host),
    port: field("PORT", flags.port),
    user: field("USER", flags.user),
    database: field("DATABASE", flags.database),
  };
  if (Object.values(named).every((value) => value === undefined)) return null;
  for (const [name, text] of Object.entries(named))
    if (text !== undefined) assertPart(`The ${name}`, text);
  // host:port, as people write it of a server.
  const place = flags.port === undefined && named.host !== undefined ? placeIn(named.host) : null;
  if (place?.port != null) Object.assign(named, { host: place.host, port: String(place.port) });
  const user = named.user ?? given(env.USER) ?? "postgres";
  const spec: ConnectionSpec = {
    host: hostOf(named.host ?? "localhost"),
    port: portOf(named.port ?? "5432"),
    user,
    database: named.database ?? (options.anyDatabase === true ? "postgres" : user),
    sslmode: sslModeOf(field("SSLMODE") ?? "prefer", "PGSSLMODE"),
    sslrootcert: field("SSLROOTCERT"),
    application_name: "pgdba",
  };
  spec.password = environmentPassword(spec, options);
  return {
    name: describe(spec),
    cluster: null,
    labels: [],
    ownership: "none",
    expectedIdentity: null,
    spec,
    flags: ["host", "port", "user", "database"].flatMap((field) => [
      `--${field}`,
      String(spec[field as keyof typeof spec]),
    ]),
  };
}

function emptyPart(name: string): PgdbaError {
  return new PgdbaError("invalid_param", `The ${name} is empty`, {
    hint: `Give --${name} a value, or leave it out. Is a variable of the shell not set?`,
  });
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value === "" ? undefined : value;
}

/** @throws PgdbaError invalid_param, without repeating the text */
export function assertPart(what: string, text: string, more?: RegExp): void {
  if (!isWhole(text) && more?.test(text) !== true) return;
  throw new PgdbaError("invalid_param", `${what} holds a URI or a connection string`, {
    hint: "Give the parts by themselves: --host db1 --port 5432 --user app --database shop; the password in PGDBA_PG_PASSWORD or a password file.",
  });
}

/** @throws PgdbaError invalid_param */
function hostOf(host: string): string {
  assertPart("The host", host, /^(\/\/|[^/]).*@/s);
  if (!/[\s,\0]/.test(host)) return host;
  throw new PgdbaError("invalid_param", `Not one host: ${JSON.stringify(host)}`, {
    hint: "Give one name, one address, or the directory of a unix socket.",
  });
}

/** @throws PgdbaError invalid_param */
function portOf(port: string): number {
  assertPart("The port", port);
  const number = Number(port);
  if (/^\d{1,5}$/.test(port) && number >= 1 && number <= 65535) return number;
  throw new PgdbaError("invalid_param", `Not a port: ${JSON.stringify(port)}`, {
    hint: "Give a number from 1 to 65535.",
  });
}

/** @throws PgdbaError invalid_config */
function sslModeOf(mode: string, where: string): SslMode {
  const known = SSL_MODES.find((name) => name === mode);
  if (known !== undefined) return known;
  throw new PgdbaError("invalid_config", `${where} is ${JSON.stringify(mode)}`, {
    hint: `Use one of ${SSL_MODES.join(", ")}.`,
  });
}

/** The source of the password when it is asked for. Those in the environment were announced by then. */
export function environmentPassword(
  spec: ConnectionSpec,
  options: TargetOptions,
): () => string | undefined {
  const { env, onSecret } = options;
  const direct = given(env.PGDBA_PG_PASSWORD);
  if (direct !== undefined) return () => direct;
  if (given(env.PGDBA_PG_PASSWORD_FILE) !== undefined) {
    const password = secretFromFile("PGDBA_PG_PASSWORD_FILE", env);
    onSecret(password);
    return () => password;
  }
  return () => {
    const password = given(env.PGPASSWORD) ?? fromPassFile(spec, env, options.log);
    if (password !== undefined) onSecret(password);
    return password;
  };
}

/** libpq's password file: PGPASSFILE or ~/.pgpass. */
function fromPassFile(
  spec: ConnectionSpec,
  env: Env,
  log: TargetOptions["log"],
): string | undefined {
  const path =
    given(env.PGPASSFILE) ??
    (given(env.HOME) === undefined ? undefined : join(env.HOME ?? "", ".pgpass"));
  if (path === undefined) return undefined;
  return passwordIn(path, spec, (why, missing) => {
    // A missing `~/.pgpass` is usual; anything else at its place was meant as one.
    if (given(env.PGPASSFILE) !== undefined || !missing) log?.(why);
  });
}
