import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import type { AccessFor, Json } from "../../engine/types.ts";
import { isConnectionRefused } from "../connection-refused.ts";

/** Where what watches a cluster answers; an entry may name only one of them. */
export interface MonitoringSpec {
  prometheus?: string | undefined;
  alertmanager?: string | undefined;
}

export type Monitor = keyof MonitoringSpec;

export interface AskOptions {
  query?: Readonly<Record<string, string>>;
  timeoutMs?: number;
}

/** What watches the cluster. A step that reads can only ask. */
export interface MonitoringAccess {
  /** Its URL, null where the entry names none. */
  url(of: Monitor): string | null;
  /** The answer, in Prometheus's case that under `data`. @throws PgdbaError capability_missing | connection_failed | http_failed */
  ask(of: Monitor, path: string, options?: AskOptions): Promise<Json>;
  /** The answer as text, for metrics. @throws PgdbaError as `ask` */
  text(of: Monitor, path: string, options?: AskOptions): Promise<string>;
  /** Changes something. @throws PgdbaError step_refused for a step that reads; otherwise as `ask` */
  tell(
    of: Monitor,
    method: "POST" | "DELETE",
    path: string,
    body?: Json,
    options?: AskOptions,
  ): Promise<Json>;
}

const MAX_BYTES = 16 << 20;
const ANSWER_MS = 5_000;
const CALLED: Record<Monitor, string> = { prometheus: "Prometheus", alertmanager: "Alertmanager" };

export function monitoringAccess(
  cluster: string,
  spec: MonitoringSpec,
  on: Pick<AccessFor, "effect" | "signal">,
): MonitoringAccess {
  const exchange = async (
    of: Monitor,
    path: string,
    { query = {}, timeoutMs = ANSWER_MS }: AskOptions,
    init: { method?: string; body?: Json } = {},
  ): Promise<string> => {
    const base = spec[of];
    if (base === undefined)
      throw new PgdbaError(
        "capability_missing",
        `The entry of ${cluster} names no ${CALLED[of]} that watches it`,
        {
          hint: `\`pgdba monitor setup --cluster ${cluster}\` makes one; that of your own is named in the entry, under \`monitoring.${of}\`.`,
        },
      );
    const words = new URLSearchParams(query).toString();
    const url = `${base.replace(/\/$/, "")}${path}${words === "" ? "" : `?${words}`}`;
    const { method = "GET", body } = init;
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method,
        redirect: "error",
        keepalive: false,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
        signal: AbortSignal.any([on.signal, late]),
      });
      const text = await readBody(url, response, MAX_BYTES, "Ask for less.");
      if (response.ok) return text;
      throw new PgdbaError(
        "http_failed",
        `${CALLED[of]} of ${cluster} answered ${response.status} to ${method} ${path}: ${saidIn(text)}`,
        {
          hint: `Is ${base} the ${CALLED[of]} that watches ${cluster}?`,
          data: { status: response.status },
          retryable: response.status === 503,
        },
      );
    } catch (cause) {
      if (cause instanceof PgdbaError) throw cause;
      on.signal.throwIfAborted();
      const { code, message } = cause as Error & { code?: unknown };
      const said = late.aborted
        ? `no answer within ${timeoutMs / 1000} s`
        : typeof code === "string"
          ? code
          : message;
      throw new PgdbaError(
        "connection_failed",
        `${CALLED[of]} of ${cluster} at ${base} can't be reached: ${said}`,
        {
          hint: "`pgdba cluster status` tells whether the node that monitors runs; `pgdba monitor setup` brings it up.",
          retryable: true,
          nothingDone: !late.aborted && isConnectionRefused(cause),
          cause,
        },
      );
    }
  };
  const parsed = (of: Monitor, text: string): Json => {
    if (text.trim() === "") return null;
    try {
      const answer = JSON.parse(text) as Json;
      return of === "prometheus" ? ((answer as { data?: Json }).data ?? null) : answer;
    } catch (cause) {
      throw new PgdbaError("http_failed", `${spec[of]} does not answer as ${CALLED[of]} does`, {
        hint: `Check \`monitoring.${of}\` in the entry of ${cluster}.`,
        cause,
      });
    }
  };
  return {
    url: (of) => spec[of] ?? null,
    text: (of, path, options = {}) => exchange(of, path, options),
    ask: async (of, path, options = {}) => parsed(of, await exchange(of, path, options)),
    async tell(of, method, path, body, options = {}) {
      if (on.effect === "read")
        throw new PgdbaError("step_refused", `A step that reads can't change ${CALLED[of]}`, {
          hint: "Its type must say `effect: change`.",
        });
      const init = body === undefined ? { method } : { method, body };
      return parsed(of, await exchange(of, path, options, init));
    },
  };
}

/** What it says of its reason, on one line. */
function saidIn(text: string): string {
  let said = text;
  try {
    const answer = JSON.parse(text) as unknown;
    if (typeof answer === "string") said = answer;
    else if (answer !== null && typeof answer === "object") {
      const { error, message } = answer as { error?: unknown; message?: unknown };
      said = String(error ?? message ?? text);
    }
  } catch {
    // As it is.
  }
  return said.replaceAll(/\s+/g, " ").trim().slice(0, 500) || "no reason";
}
