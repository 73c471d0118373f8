import { PgdbaError } from "../../../engine/errors.ts";

/** Statuses that say "not now": RFC 9110 §15.6, RFC 6585 §4. */
const RETRYABLE_STATUS = new Set([429, 502, 503, 504]);
/** Codes of Bun's fetch and of the operating system that mean no connection came about, so nothing was sent. */
const NEVER_CONNECTED = new Set([
  "FailedToOpenSocket",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

export function statusError(where: string, response: Response, body: string): PgdbaError {
  const { status } = response;
  const location = response.headers.get("location");
  const message = `${where} answered ${status}${response.statusText ? ` ${response.statusText}` : ""}`;
  return new PgdbaError("http_failed", message, {
    retryable: RETRYABLE_STATUS.has(status),
    hint: location
      ? `It redirects to ${location}; only GET and HEAD follow, and only to the same origin. Give that URL if it is right.`
      : "If that status means success here, add it to `ok_status`; the start of the answer is in the error's `data`.",
    data: { status, body: body.slice(0, 2000) },
  });
}

/**
 * A failed exchange, told by the code of the error.
 * @param repeatable whether sending it twice is harmless; if not, only what surely was not sent may be retried
 */
export function exchangeError(where: string, cause: unknown, repeatable: boolean): PgdbaError {
  const raw = (cause as { code?: unknown }).code;
  const code = typeof raw === "string" ? raw : "unknown";
  if (/CERT|TLS|SSL/.test(code)) {
    return new PgdbaError(
      "connection_failed",
      `${where}: its certificate is not accepted (${code})`,
      {
        cause,
        hint: "Name the authority that signed it in `tls.ca_file`, and the name it holds in `tls.server_name`.",
        data: { code },
        nothingDone: true,
      },
    );
  }
  if (code === "EPROTO") {
    return new PgdbaError("connection_failed", `${where}: the TLS handshake failed`, {
      cause,
      hint: "Is it http:// rather than https:// on this port?",
      data: { code },
      nothingDone: true,
    });
  }
  if (code.startsWith("ERR_INVALID") || code === "unknown") {
    return new PgdbaError("http_failed", `${where}: the request could not be made (${code})`, {
      cause,
      hint: "Check the header names and values, and the URL.",
      data: { code },
      nothingDone: code !== "unknown",
    });
  }
  return new PgdbaError("connection_failed", `${where}: no answer (${code})`, {
    cause,
    retryable: repeatable || NEVER_CONNECTED.has(code),
    hint: "Check that the server runs, its name and port, and the network in between.",
    data: { code },
    nothingDone: NEVER_CONNECTED.has(code),
  });
}

export function timeoutError(where: string, ms: number, repeatable: boolean): PgdbaError {
  return new PgdbaError("timeout", `${where}: no complete answer in ${ms} ms`, {
    retryable: repeatable,
    hint: "Raise `timeout`, or find out why it is slow.",
  });
}
