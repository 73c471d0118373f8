import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import { isMapping, type Json, type JsonObject } from "../../engine/types.ts";
import { isConnectionRefused } from "../connection-refused.ts";

/** The address of Patroni's REST API, and how to log in there. */
export interface PatroniSpec {
  /** Base URLs without a path, `http://db1:8008`; the first that answers is asked. */
  endpoints: string[];
  /** Where each member's API is reached from here, by name; without it the place that Patroni tells. */
  members?: Readonly<Record<string, string>>;
  user?: string | undefined;
  password?: string | undefined;
  /** PEM file of the CAs to trust; those of the system without it. */
  cafile?: string | undefined;
}

/** The API with the certificates to trust, read from `cafile`. */
export interface Api {
  spec: PatroniSpec;
  ca: string | undefined;
  /** How long a read is repeated while nobody answers it, ms. */
  patienceMs: number;
  /** The endpoint that answered last: it is asked first. */
  last?: string;
}

export interface Request {
  method?: "GET" | "PATCH" | "PUT" | "POST" | "DELETE";
  body?: JsonObject;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  url: string;
  status: number;
  text: string;
}

const TIMEOUT_MS = 10_000;
/** An answer is a page; anything longer is not Patroni's. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Sends one request, once. @throws PgdbaError timeout | connection_failed, or the signal's reason */
export async function send(api: Api, url: string, request: Request = {}): Promise<Answer> {
  const { method = "GET", timeoutMs = TIMEOUT_MS, signal } = request;
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      ...optionsOf(api, { ...request, method }),
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
    });
    const hint = "Is it Patroni's REST API? Check patroni.endpoints in the cluster's file.";
    return { url, status: response.status, text: await readBody(url, response, MAX_BYTES, hint) };
  } catch (cause) {
    if (cause instanceof PgdbaError) throw cause;
    if (signal?.aborted) throw signal.reason;
    throw late.aborted ? timedOut(url, timeoutMs, method, cause) : unreachable(url, cause as Error);
  }
}

function optionsOf({ spec, ca }: Api, { method, body }: Request): BunFetchRequestInit {
  const headers: Record<string, string> = {};
  // Reads need no credentials, so that they are not sent where they are not asked for.
  if (method !== "GET" && spec.user !== undefined) {
    const credentials = Buffer.from(`${spec.user}:${spec.password ?? ""}`).toString("base64");
    headers["authorization"] = `Basic ${credentials}`;
  }
  if (body !== undefined) headers["content-type"] = "application/json";
  return {
    method: method ?? "GET",
    redirect: "error",
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(ca === undefined ? {} : { tls: { ca } }),
  };
}

function timedOut(
  url: string,
  timeoutMs: number,
  method: Request["method"],
  cause: unknown,
): PgdbaError {
  return new PgdbaError(
    "timeout",
    `Patroni at ${url} did not answer within ${timeoutMs / 1000} s`,
    { hint: "Look at Patroni's log on that member.", retryable: method === "GET", cause },
  );
}

function unreachable(url: string, cause: Error & { code?: unknown }): PgdbaError {
  return new PgdbaError(
    "connection_failed",
    `Patroni at ${url} can't be reached: ${cause.message}`,
    {
      hint: "Check patroni.endpoints in the cluster's file, that Patroni runs, and firewalls.",
      retryable: true,
      data: typeof cause.code === "string" ? { code: cause.code } : undefined,
      cause,
      nothingDone: isConnectionRefused(cause) ? true : undefined,
    },
  );
}

/** The error for an answer that is not the one wanted. */
export function refused({ url, status, text }: Answer): PgdbaError {
  const said = text.trim().slice(0, 500);
  const denied = status === 401 || status === 403;
  return new PgdbaError(
    "http_failed",
    `Patroni at ${url} answered ${status}${said === "" ? "" : `: ${said}`}`,
    {
      hint: denied
        ? "Name the user and password of Patroni's REST API in the cluster's file: patroni.user and patroni.password_env."
        : "Look at Patroni's log on that member.",
      retryable: status === 409 || status >= 500,
      data: { status },
      // A server error may come after the act; all others come before it.
      nothingDone: status < 500 ? true : undefined,
    },
  );
}

/** The JSON value in an answer. @throws PgdbaError http_failed */
export function jsonIn({ url, text }: Answer): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw notPatroni(url, "JSON");
  }
}

/** The JSON object in an answer. @throws PgdbaError http_failed */
export function objectIn(answer: Answer): JsonObject {
  const value = jsonIn(answer);
  if (isMapping(value)) return value;
  throw notPatroni(answer.url, "JSON object");
}

function notPatroni(url: string, what: string): PgdbaError {
  return new PgdbaError("http_failed", `${url} gave no ${what}; is it Patroni's REST API?`, {
    hint: "Check patroni.endpoints in the cluster's file.",
  });
}
