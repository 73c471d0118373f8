import { type Cache, type Entry, within } from "./cache.ts";
import { SEVERITIES, type Severity } from "../check/words.ts";
import { type Finding, flat } from "../findings/findings.ts";

/** The part of a health check's answer that a probe looks at. */
export interface Checked {
  summary: { [word: string]: string | number };
  server: { release: string; role: string };
  findings: Finding[];
  passed: string[];
  skipped: { check: string; code: string }[];
  partial: { check: string }[];
  errors: { check: string }[];
}

/** A sign of life. `full`: it has as many connections as it may. */
export interface Alive {
  role: "primary" | "standby" | "unknown";
  full: boolean;
}

export interface Probes {
  ready: Cache<Checked>;
  alive: Cache<Alive>;
  failOn: Severity;
  /** Requests that wait for an answer at this moment. */
  waiting: number;
  maxWaiting: number;
  /** How long a request may wait for one, ms. */
  patienceMs: number;
  /** The text of /metrics in the format that is asked for. */
  metrics?(accept: string | null): Promise<{ type: string; text: string }>;
  /** How often the server is asked for a sign of life while a health check is waited for, ms. */
  watchMs: number;
}

const HEADERS = { "content-type": "application/json", "cache-control": "no-store" };

/** HAProxy asks with OPTIONS unless another method is configured. */
const METHODS = ["GET", "HEAD", "OPTIONS"];

/** Answers one request: 200 or 503 with JSON for the two probes, 404 and 405 for anything else. */
export async function answer(probes: Probes, request: Request): Promise<Response> {
  const path = pathOf(request.url);
  const probe = PROBES[path];
  if (probe === undefined)
    return said(request, 404, { error: "not_found", probes: Object.keys(PROBES) });
  if (!METHODS.includes(request.method)) {
    return said(request, 405, { error: "method_not_allowed" }, { allow: METHODS.join(", ") });
  }
  if (probes.waiting >= probes.maxWaiting)
    return said(request, 503, { error: "too_many_requests_waiting" });
  probes.waiting += 1;
  try {
    return await probe(probes, request);
  } finally {
    probes.waiting -= 1;
  }
}

type Probe = (probes: Probes, request: Request) => Promise<Response>;

const PROBES: Record<string, Probe> = {
  "/healthz": async (probes, request) => {
    const { status, body } = await healthz(probes);
    return said(request, status, body);
  },
  "/readyz": async (probes, request) => {
    const { status, body } = await readyz(probes);
    return said(request, status, body);
  },
  "/metrics": metrics,
};

/** Without a usable Host header, as in HTTP/1.0, the URL of a request is its path alone, which `new URL` does not take. */
function pathOf(url: string): string {
  return url.replace(/^[a-z]+:\/\/[^/?#]*/i, "").replace(/[?#].*$/s, "");
}

async function healthz({ alive, patienceMs }: Probes) {
  const entry = await within(alive.get(), patienceMs);
  if (entry === null) return { status: 503, body: { alive: false, error: "timeout" } };
  if ("error" in entry)
    return { status: 503, body: { alive: false, error: entry.error.code, ...times(entry) } };
  const { role, full } = entry.value;
  return { status: 200, body: { alive: true, role, connections_full: full, ...times(entry) } };
}

async function readyz(probes: Probes) {
  const state = await readiness(probes);
  if (state === null) return { status: 503, body: { ready: false, error: "timeout" } };
  if ("refused" in state)
    return { status: 503, body: { ready: false, error: state.refused, ...times(state.entry) } };
  const { entry } = state;
  if ("error" in entry)
    return { status: 503, body: { ready: false, error: entry.error.code, ...times(entry) } };
  const { summary, server, findings, skipped } = entry.value;
  // Checks that do not apply say nothing against the server; checks that could not be made say nothing for it.
  const isBlind =
    summary["worst"] === "unknown" &&
    (summary["errors"] !== 0 || skipped.some(({ code }) => code !== "version" && code !== "role"));
  if (isBlind)
    return {
      status: 503,
      body: { ready: false, error: "nothing_examined", summary, ...times(entry) },
    };
  const failing = failingChecks(flat(findings), probes.failOn);
  const ok = failing.length === 0;
  const { release, role } = server;
  return {
    status: ok ? 200 : 503,
    body: { ready: ok, summary, failing, server: { release, role }, ...times(entry) },
  };
}

/**
 * The health check's answer, or why it does not count: however good the last one was, a server that has gone since is not ready, and
 * nobody waits for a check of one that gives no sign of life. Null when patience is at its end.
 */
async function readiness({ ready, alive, patienceMs, watchMs }: Probes) {
  const end = performance.now() + patienceMs;
  let checked: Promise<Entry<Checked>> | undefined;
  for (let left = patienceMs; left > 0; left = end - performance.now()) {
    const sign = await within(alive.get(), left);
    if (sign === null) return null;
    if ("error" in sign) return { refused: sign.error.code, entry: sign };
    if (sign.value.full) return { refused: "connections_full", entry: sign };
    checked ??= ready.get();
    const entry = await within(checked, Math.min(watchMs, left));
    if (entry !== null) return { entry };
  }
  return null;
}

/** Names of the checks that found something as bad as `failOn` or worse. */
function failingChecks(findings: readonly Finding[], failOn: Severity): string[] {
  const bad = findings.filter(
    ({ severity }) => SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(failOn),
  );
  return [...new Set(bad.map(({ check }) => check))];
}

function times({ at, ageMs, durationMs }: Entry<unknown>) {
  return {
    checked_at: at.toISOString(),
    age_seconds: Math.round(ageMs) / 1000,
    duration_ms: Math.round(durationMs),
  };
}

async function metrics(probes: Probes, request: Request): Promise<Response> {
  const told = await probes.metrics?.(request.headers.get("accept"));
  if (told === undefined) return said(request, 404, { error: "not_found" });
  return sent(request, 200, told.text, told.type);
}

function said(
  request: Request,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): Response {
  return sent(request, status, `${JSON.stringify(body)}\n`, HEADERS["content-type"], headers);
}

/** The body of a HEAD is left out by the server, its length is not. */
function sent(
  request: Request,
  status: number,
  text: string,
  type: string,
  headers: Record<string, string> = {},
): Response {
  const length = { "content-length": String(Buffer.byteLength(text)) };
  return new Response(request.method === "HEAD" ? null : text, {
    status,
    headers: {
      ...HEADERS,
      "content-type": type,
      ...headers,
      ...(request.method === "HEAD" ? length : {}),
    },
  });
}
