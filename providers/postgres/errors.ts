import { type ErrorCode, PgdbaError } from "../../engine/errors.ts";
import { isMapping, type JsonObject } from "../../engine/types.ts";

interface Rule {
  code: ErrorCode;
  hint: string;
  retryable?: boolean;
}

/**
 * The meaning of each SQLSTATE for a run. The whole code is looked up first, then its class (the first two characters).
 * Source: PostgreSQL documentation, appendix A. Message text is never looked at: it is translated and it changes.
 */
const BY_SQLSTATE: Record<string, Rule> = {
  "08": {
    code: "connection_failed",
    hint: "Check that the server is up and reachable, then run again.",
    retryable: true,
  },
  "08P01": {
    code: "query_failed",
    hint: "The server did not take what was sent: count the values for $1, $2, … first; else look at a pooler in between.",
  },
  "0A": {
    code: "unsupported",
    hint: "This server does not support that; check its version and build.",
  },
  "28": {
    code: "connection_failed",
    hint: "Check the user, the server's pg_hba.conf, and the password: the first that is given of the cluster's entry, PGDBA_PG_PASSWORD, PGDBA_PG_PASSWORD_FILE, PGPASSWORD and PGPASSFILE (~/.pgpass).",
  },
  "3D000": {
    code: "connection_failed",
    hint: "There is no such database on this server; name another one with --database.",
  },
  "40": {
    code: "query_failed",
    hint: "The server undid the transaction because of a concurrent one; run again.",
    retryable: true,
  },
  "42501": {
    code: "insufficient_privilege",
    hint: "Connect as a role that may do this, or have it granted to this one on what the message names.",
  },
  "53": {
    code: "query_failed",
    hint: "The server is short of a resource (memory, disk, connections); free some, then run again.",
  },
  "53300": {
    code: "connection_failed",
    hint: "All connections are taken; close idle ones or raise max_connections.",
    retryable: true,
  },
  "55006": {
    code: "query_failed",
    hint: "The object is in use; run again when it is free.",
    retryable: true,
  },
  "55P03": {
    code: "timeout",
    hint: "Another session is in the way, by its lock or an old transaction; the health check of this server names it. End that one or wait, then run again.",
    retryable: true,
  },
  "57014": {
    code: "timeout",
    hint: "The statement was cancelled, by its timeout or by somebody; raise the timeout if it may take longer.",
  },
  "57P": {
    code: "connection_failed",
    hint: "The server is starting, stopping or ended this session; wait for it, then run again.",
    retryable: true,
  },
  "58": {
    code: "query_failed",
    hint: "The server had an error of its own or of its storage; look at its log.",
  },
  XX: {
    code: "query_failed",
    hint: "The server reports an internal error or corruption; look at its log before anything else.",
  },
};

const BY_ERRNO: Record<string, Rule> = {
  ECONNREFUSED: {
    code: "connection_failed",
    hint: "Nothing listens there: check host and port, and that PostgreSQL runs.",
    retryable: true,
  },
  ECONNRESET: {
    code: "connection_failed",
    hint: "The connection was cut; check the server's log and the network in between.",
    retryable: true,
  },
  EPIPE: {
    code: "connection_failed",
    hint: "The connection was cut; check the server's log and the network in between.",
    retryable: true,
  },
  ETIMEDOUT: {
    code: "connection_failed",
    hint: "No answer: check host, port and firewalls.",
    retryable: true,
  },
  EHOSTUNREACH: {
    code: "connection_failed",
    hint: "There is no route to that host; check its address and the network.",
    retryable: true,
  },
  ENETUNREACH: {
    code: "connection_failed",
    hint: "There is no route to that network; check the address and the network.",
    retryable: true,
  },
  ENOTFOUND: {
    code: "connection_failed",
    hint: "That host name is not known; check its spelling and the name service.",
  },
  EAI_AGAIN: {
    code: "connection_failed",
    hint: "The name service does not answer; try again or use an address.",
    retryable: true,
  },
  ENOENT: {
    code: "connection_failed",
    hint: "There is no such unix socket: check the directory, the port, and that PostgreSQL runs.",
  },
  EACCES: {
    code: "connection_failed",
    hint: "The unix socket may not be opened by this user; connect by TCP or change user.",
  },
};

/** Turns an error of connecting or querying into a PgdbaError. `doing` names the action, for errors without a known code. */
export function fromPostgres(
  thrown: unknown,
  doing: string,
  fallback: ErrorCode = "connection_failed",
): PgdbaError {
  if (thrown instanceof PgdbaError) return thrown;
  const error = thrown as { code?: unknown; message?: unknown; severity?: unknown };
  const code = typeof error.code === "string" ? error.code : "";
  const message =
    typeof error.message === "string" && error.message !== ""
      ? error.message
      : code || String(thrown);
  if (typeof error.severity === "string" && /^[0-9A-Z]{5}$/.test(code))
    return fromServer(thrown, code, message);
  const rule = BY_ERRNO[code];
  const tls = code.startsWith("ERR_TLS") || code.includes("CERT") || code.includes("SIGNATURE");
  const hint = tls
    ? "The server's certificate is not trusted: name the CA with PGSSLROOTCERT, and connect by the name in the certificate."
    : (rule?.hint ?? "Check that this is a PostgreSQL server, its log, and sslmode.");
  return new PgdbaError(rule?.code ?? fallback, `${doing}: ${message}`, {
    hint,
    retryable: rule?.retryable ?? false,
    cause: thrown,
    data: code === "" ? undefined : { code },
  });
}

function fromServer(thrown: unknown, sqlstate: string, message: string): PgdbaError {
  const rule =
    BY_SQLSTATE[sqlstate] ?? BY_SQLSTATE[sqlstate.slice(0, 3)] ?? BY_SQLSTATE[sqlstate.slice(0, 2)];
  const detail = thrown as Record<string, unknown>;
  const data: JsonObject = { sqlstate };
  for (const name of ["detail", "position", "schema", "table", "column", "constraint"]) {
    if (typeof detail[name] === "string") data[name] = detail[name];
  }
  const serverHint = typeof detail.hint === "string" ? detail.hint : undefined;
  return new PgdbaError(rule?.code ?? "query_failed", message, {
    hint:
      serverHint ??
      rule?.hint ??
      "Correct the statement or its values; SQLSTATE and position are in the error's data.",
    retryable: rule?.retryable ?? false,
    cause: thrown,
    data,
  });
}

/** The SQLSTATE behind an error, or undefined. */
export function sqlstateOf(error: unknown): string | undefined {
  const data = error instanceof PgdbaError ? error.data : undefined;
  const state = isMapping(data) ? data["sqlstate"] : undefined;
  return typeof state === "string" ? state : undefined;
}

/**
 * The server undid the transaction for the sake of another one, or of replay on a standby, which may end the session as well:
 * the same again may succeed (class 40).
 */
export function isConflict(error: unknown): boolean {
  return sqlstateOf(error)?.startsWith("40") ?? false;
}

/** A text that is not valid in its encoding (22021), or that another one lacks a character for (22P05). */
export function isUnconvertible(error: unknown): boolean {
  return ["22021", "22P05"].includes(sqlstateOf(error) ?? "");
}
