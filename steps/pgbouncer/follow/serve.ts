import { createHash, timingSafeEqual } from "node:crypto";
import { PgdbaError } from "../../../engine/errors.ts";
import { readText } from "../../../engine/shared/read-file.ts";
import type { FollowConfig } from "./config.ts";
import type { Follower } from "./follower.ts";
import type { Refusal } from "./refusal.ts";

const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };
const MAX_BODY = 4096;
/** Nobody needs longer, and clients are cut off by PgBouncer's own query_wait_timeout. */
const MAX_CAP_MS = 600_000;
/** Below the time after which a connection that says nothing is closed. */
const MAX_WAIT_MS = 240_000;
/** Requests that may wait at once. */
const MAX_WAITING = 32;

/** How often it is looked whether there is a new certificate. */
const LOOK_MS = 2000;
const MAX_PEM_BYTES = 1024 * 1024;
const CERTIFICATE =
  "`listen.certificate` must name a file with a private key and its certificate, as PEM.";

/** Listens for those who ask the follower, by the certificate that there is at the moment. @throws PgdbaError io_failed | invalid_config */
export function listen(
  follower: Follower,
  config: FollowConfig,
  log: (message: string) => void,
  lookMs = LOOK_MS,
): { port: number; stop(): Promise<void> } {
  const { certificate } = config.listen;
  let pem = certificate === undefined ? undefined : pemIn(certificate);
  let seen = pem;
  let server = serve(follower, config, pem);
  const look = async (): Promise<void> => {
    const now = pemIn(certificate!);
    if (now === seen) return;
    seen = now;
    // Whoever waits for an answer still gets it.
    void server.stop();
    try {
      server = serve(follower, config, now);
      pem = now;
      log("listening with a new certificate");
    } catch (error) {
      // Without a follower that answers, clients can't be held back: the former certificate is better than none.
      server = serve(follower, config, pem);
      throw error;
    }
  };
  const timer =
    certificate === undefined
      ? undefined
      : setInterval(() => void look().catch((error: Error) => log(error.message)), lookMs);
  return {
    port: server.port!,
    async stop() {
      clearInterval(timer);
      await server.stop(true);
    },
  };
}

function pemIn(file: string): string {
  return readText(file, {
    maxBytes: MAX_PEM_BYTES,
    code: "invalid_config",
    hint: CERTIFICATE,
  });
}

function serve(follower: Follower, { console, listen: at }: FollowConfig, pem: string | undefined) {
  const wanted = digest(basic(console.user, console.password));
  let waiting = 0;
  const fetch = async (request: Request): Promise<Response> => {
    if (!timingSafeEqual(digest(request.headers.get("authorization") ?? ""), wanted))
      return said(401, { error: "unauthorized" }, { "www-authenticate": 'Basic realm="pgdba"' });
    if (waiting >= MAX_WAITING) return said(503, { error: "too_many_requests_waiting" });
    waiting += 1;
    try {
      return await answer(follower, request);
    } finally {
      waiting -= 1;
    }
  };
  try {
    return Bun.serve({
      hostname: at.host,
      port: at.port,
      ...(pem === undefined ? {} : { tls: { key: pem, cert: pem } }),
      fetch,
      maxRequestBodySize: MAX_BODY,
      // A pause is answered when all transactions have ended.
      idleTimeout: 255,
      development: false,
      reusePort: false,
      error: () => said(500, { error: "internal" }),
    });
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    if (code.startsWith("ERR_OSSL_"))
      throw new PgdbaError("invalid_config", `${at.certificate} can't be used: ${code}`, {
        cause: error,
        hint: CERTIFICATE,
      });
    throw new PgdbaError("io_failed", `Can't listen on ${at.host}:${at.port}: ${code}`, {
      cause: error,
      hint: "Another follower may run here; there is one for each PgBouncer.",
      data: { errno: code },
    });
  }
}

async function answer(follower: Follower, request: Request): Promise<Response> {
  const path = request.url.replace(/^[a-z]+:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "");
  const method = path === "/status" ? "GET" : "POST";
  if (!["/status", "/pause", "/resume"].includes(path)) return said(404, { error: "not_found" });
  if (request.method !== method)
    return said(405, { error: "method_not_allowed" }, { allow: method });
  if (path === "/status") return said(200, follower.status());
  const body = await bodyOf(request);
  const { holder, cap_ms: capMs, wait_ms: waitMs, until_primary: untilPrimary } = body ?? {};
  if (!isName(holder))
    return said(400, { error: "bad_request", why: "holder: a text of 1 to 200 characters" });
  if (path === "/resume") return settled(follower, await follower.resume(holder));
  if (!isMs(capMs, MAX_CAP_MS) || !isMs(waitMs, MAX_WAIT_MS)) {
    const why = `cap_ms: 1 to ${MAX_CAP_MS}, wait_ms: 1 to ${MAX_WAIT_MS}`;
    return said(400, { error: "bad_request", why });
  }
  if (untilPrimary !== undefined && !isName(untilPrimary))
    return said(400, { error: "bad_request", why: "until_primary: the name of a member" });
  return settled(follower, await follower.pause({ holder, capMs, waitMs, untilPrimary }));
}

const STATUS: Record<Refusal["error"], number> = {
  held: 423,
  transactions_open: 409,
  unreachable: 503,
};

function settled(follower: Follower, refusal: Refusal | undefined): Response {
  return refusal === undefined
    ? said(200, follower.status())
    : said(STATUS[refusal.error], refusal);
}

async function bodyOf(request: Request): Promise<Record<string, unknown> | undefined> {
  try {
    const body: unknown = await request.json();
    return typeof body === "object" && body !== null
      ? (body as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 200;
}

function isMs(value: unknown, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= most;
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Of equal length, so that the time of comparing them tells nothing. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function said(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: { ...HEADERS, ...headers } });
}
