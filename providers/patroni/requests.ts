import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import type { JsonObject } from "../../engine/types.ts";

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
}

export interface Request {
  method?: "GET" | "PATCH" | "POST";
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

/** Sends one request. @throws PgdbaError timeout | connection_failed, or the signal's reason */
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

/** The answer of the first endpoint that gives one. Use it only for requests that may be repeated. */
export async function sendToAny(api: Api, path: string, request: Request = {}): Promise<Answer> {
  const { endpoints } = api.spec;
  let first: unknown;
  for (const endpoint of endpoints) {
    try {
      const answer = await send(api, `${endpoint}${path}`, request);
      // 502 and 503: this member has lost the store; another may see it.
      if (answer.status < 500 || endpoint === endpoints.at(-1)) return answer;
    } catch (error) {
      if (request.signal?.aborted) throw error;
      first ??= error;
    }
  }
  throw first;
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
    },
  );
}

/** The JSON object in an answer. @throws PgdbaError http_failed */
export function objectIn({ url, text }: Answer): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as JsonObject;
  } catch {
    // The error below says it.
  }
  throw new PgdbaError("http_failed", `${url} gave no JSON object; is it Patroni's REST API?`, {
    hint: "Check patroni.endpoints in the cluster's file.",
  });
}
