import { connect as connectSocket } from "node:net";
import type { Client, ClientConfig } from "pg";
import { PgdbaError } from "../../engine/errors.ts";
import { readText } from "../../engine/shared/read-file.ts";
import { bound } from "./bounds.ts";
import { fromPostgres, sqlstateOf } from "./errors.ts";

export const SSL_MODES = ["disable", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof SSL_MODES)[number];

export interface ConnectionSpec {
  /** A name, an address, or the directory of a unix socket when it starts with `/`. */
  host: string;
  port: number;
  user: string;
  database: string;
  /** Asked only when the server wants one. */
  password?: (() => string | undefined) | undefined;
  /** As in libpq; TLS is not used on a unix socket. */
  sslmode: SslMode;
  /** PEM file of the CAs to trust; those of the system without it. */
  sslrootcert?: string | undefined;
  application_name: string;
  /** Milliseconds for everything up to the first ready server; 5,000 without it. */
  connect_timeout_ms?: number | undefined;
  /** A connection of the replication protocol; see replication/session.ts. */
  replication?: boolean;
}

const CONNECT_TIMEOUT_MS = 5000;
/** All authorities that a system trusts are some 250 kB. */
const MAX_CA_BYTES = 4 * 1024 * 1024;

/** `user@host:port/database`, which is how a target without a name is called. */
export function describe(spec: ConnectionSpec): string {
  const host = spec.host.includes(":") ? `[${spec.host}]` : spec.host;
  return `${spec.user}@${host}:${spec.port}/${spec.database}`;
}

/**
 * Opens one connection. `prefer` tries TLS and falls back, as libpq does, when the server has none or refuses it in pg_hba.conf.
 * @throws PgdbaError connection_failed | missing_secret (the server wants a password and none was given) | invalid_config
 */
export async function connect(spec: ConnectionSpec): Promise<Client> {
  const local = spec.host.startsWith("/");
  if (local || spec.sslmode === "disable") return attempt(spec, false);
  const tls = await tlsOptions(spec);
  if (spec.sslmode !== "prefer") return attempt(spec, tls);
  try {
    return await attempt(spec, tls);
  } catch (error) {
    if (!mayFallBack(error)) throw error;
    return attempt(spec, false);
  }
}

/** pg's own "no TLS here" carries no code at all; a refusal by pg_hba.conf is 28000. Anything with an errno is final. */
function mayFallBack(error: unknown): boolean {
  if (!(error instanceof PgdbaError) || error.code !== "connection_failed" || error.retryable)
    return false;
  return error.data === undefined || sqlstateOf(error) === "28000";
}

async function tlsOptions(
  spec: ConnectionSpec,
): Promise<Exclude<ClientConfig["ssl"], boolean | undefined>> {
  const { sslrootcert } = spec;
  const ca =
    sslrootcert === undefined
      ? undefined
      : readText(sslrootcert, {
          maxBytes: MAX_CA_BYTES,
          code: "invalid_config",
          hint: "Check the path in PGSSLROOTCERT (or the cluster's sslrootcert): it must name the certificates of the authorities to trust.",
        });
  // libpq: a root certificate makes `require` behave as `verify-ca`.
  const verify =
    spec.sslmode.startsWith("verify") || (spec.sslmode === "require" && ca !== undefined);
  return {
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca }),
    ...(spec.sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

async function attempt(
  spec: ConnectionSpec,
  ssl: NonNullable<ClientConfig["ssl"]>,
): Promise<Client> {
  const { Client } = await import("pg");
  const client = new Client({
    host: spec.host,
    port: spec.port,
    user: spec.user,
    database: spec.database,
    application_name: spec.application_name,
    ssl,
    keepAlive: true,
    ...(spec.replication === true ? { replication: "true" } : {}),
    password: () => {
      const password = spec.password?.();
      if (password !== undefined && password !== "") return password;
      throw new PgdbaError(
        "missing_secret",
        `${describe(spec)} asks for a password and none was given`,
        {
          hint: "Set PGDBA_PG_PASSWORD, or PGPASSWORD, or name a file with PGDBA_PG_PASSWORD_FILE or PGPASSFILE.",
        },
      );
    },
  });
  bound(client, describe(spec));
  const doing = `Could not connect to ${describe(spec)}`;
  const limit = spec.connect_timeout_ms ?? CONNECT_TIMEOUT_MS;
  // Errors after the connection is made reach the query that waits; without a listener they would end the process.
  client.on("error", () => {});
  let timer: Timer | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => {
      fail(
        new PgdbaError("connection_failed", `${doing}: no answer within ${limit / 1000} s`, {
          hint: "Check host, port and firewalls.",
          retryable: true,
        }),
      );
    }, limit);
  });
  try {
    await Promise.race([client.connect(), late]);
    return client;
  } catch (error) {
    destroy(client);
    throw fromPostgres(error, doing);
  } finally {
    clearTimeout(timer);
  }
}

/** Cuts a connection without a goodbye: the server may not be listening. */
export function destroy(client: Client): void {
  client.connection.stream.destroy();
}

/** PostgreSQL's CancelRequest code, 1234 in the high half and 5678 in the low one. */
const CANCEL_CODE = 80877102;

/**
 * Asks the server to cancel what the session with `pid` and `key` is doing, on a connection of its own as the protocol has it.
 * Resolves when the request was handed over or could not be; whether the statement ends is seen on its own connection.
 */
export function requestCancel(spec: ConnectionSpec, pid: number, key: number): Promise<void> {
  const message = Buffer.alloc(16);
  for (const [index, word] of [16, CANCEL_CODE, pid, key].entries())
    message.writeInt32BE(word, index * 4);
  return new Promise((done) => {
    const socket = spec.host.startsWith("/")
      ? connectSocket(`${spec.host}/.s.PGSQL.${spec.port}`)
      : connectSocket(spec.port, spec.host);
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy());
    socket.once("connect", () => socket.end(message));
    socket.once("error", () => done());
    socket.once("close", () => done());
  });
}
