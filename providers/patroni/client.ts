import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import { readText } from "../../engine/shared/read-file.ts";
import type { JsonObject } from "../../engine/types.ts";

/** Where Patroni's REST API is. */
export interface PatroniSpec {
  /** Base URLs without a path, `http://db1:8008`; the first that answers is asked. */
  endpoints: string[];
  user?: string | undefined;
  password?: string | undefined;
  /** PEM file of the CAs to trust; those of the system without it. */
  cafile?: string | undefined;
}

export interface PatroniMember {
  name: string;
  /** As Patroni calls it: `leader`, `replica`, `sync_standby`, `standby_leader`, … */
  role: string;
  /** `running`, `streaming`, `stopped`, `start failed`, … */
  state: string;
  /** Base URL of its own REST API. */
  api: string;
  host: string;
  port: number;
}

export interface PatroniClient {
  /** The members as the store has them: up to one loop old. Ordered by name. */
  members(signal?: AbortSignal): Promise<PatroniMember[]>;
  /** What a member says of itself now, whatever its state. */
  status(api: string, signal?: AbortSignal): Promise<JsonObject>;
  /** The dynamic configuration. */
  config(signal?: AbortSignal): Promise<JsonObject>;
  /** Merges `patch` into the dynamic configuration; null removes a key. Gives the whole. Repeats when another writer was first. */
  patchConfig(patch: JsonObject, signal?: AbortSignal): Promise<JsonObject>;
  /**
   * Restarts PostgreSQL of one member and waits for the answer. Which need not come: look at `status` afterwards.
   * @throws PgdbaError http_failed (with Patroni's words) | timeout
   */
  restart(api: string, timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

/** All authorities that a system trusts are some 250 kB. */
const MAX_CA_BYTES = 4 * 1024 * 1024;
const TIMEOUT_MS = 10_000;
/** How often a patch is tried against other writers of the same key. */
const PATCH_ATTEMPTS = 5;
/** An answer is a page; anything longer is not Patroni's. */
const MAX_BYTES = 4 * 1024 * 1024;

interface Call {
  method?: "GET" | "PATCH" | "POST";
  body?: JsonObject;
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

interface Answer {
  status: number;
  text: string;
}

/** A client of Patroni's REST API (docs: "Patroni REST API"); versions 2 to 4. Holds no connection. */
export async function patroniClient(spec: PatroniSpec): Promise<PatroniClient> {
  const ca =
    spec.cafile === undefined
      ? undefined
      : readText(spec.cafile, {
          maxBytes: MAX_CA_BYTES,
          code: "invalid_config",
          hint: "Check patroni.cafile in the cluster's file: it must name the certificates of the authorities to trust.",
        });

  async function call(url: string, options: Call = {}): Promise<Answer> {
    const { method = "GET", body, timeoutMs = TIMEOUT_MS, signal } = options;
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method,
        redirect: "error",
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
        headers: {
          // Reads need no credentials, so that they are not sent where they are not asked for.
          ...(method === "GET" || spec.user === undefined
            ? {}
            : {
                authorization: `Basic ${Buffer.from(`${spec.user}:${spec.password ?? ""}`).toString("base64")}`,
              }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(ca === undefined ? {} : { tls: { ca } }),
      });
      const hint = "Is it Patroni's REST API? Check patroni.endpoints in the cluster's file.";
      return { status: response.status, text: await readBody(url, response, MAX_BYTES, hint) };
    } catch (cause) {
      if (cause instanceof PgdbaError) throw cause;
      if (signal?.aborted) throw signal.reason;
      if (late.aborted) {
        throw new PgdbaError(
          "timeout",
          `Patroni at ${url} did not answer within ${timeoutMs / 1000} s`,
          {
            hint: "Look at Patroni's log on that member.",
            retryable: method === "GET",
            cause,
          },
        );
      }
      const code = (cause as { code?: unknown }).code;
      throw new PgdbaError(
        "connection_failed",
        `Patroni at ${url} can't be reached: ${(cause as Error).message}`,
        {
          hint: "Check patroni.endpoints in the cluster's file, that Patroni runs, and firewalls.",
          retryable: true,
          data: typeof code === "string" ? { code } : undefined,
          cause,
        },
      );
    }
  }

  /** The first endpoint that answers at all. Repeating is harmless for what is asked this way. */
  async function anywhere(path: string, options: Call = {}): Promise<Answer & { url: string }> {
    let first: unknown;
    for (const endpoint of spec.endpoints) {
      const url = `${endpoint}${path}`;
      try {
        const answer = await call(url, options);
        // 502 and 503: this member has lost the store; another may see it.
        if (answer.status < 500 || endpoint === spec.endpoints.at(-1)) return { ...answer, url };
      } catch (error) {
        if (options.signal?.aborted) throw error;
        first ??= error;
      }
    }
    throw first;
  }

  const read = async (path: string, signal: AbortSignal | undefined): Promise<JsonObject> => {
    const answer = await anywhere(path, { signal });
    if (answer.status !== 200) throw refused(answer.url, answer);
    return objectOf(answer.url, answer.text);
  };

  return {
    async members(signal) {
      const { members } = await read("/cluster", signal);
      return (Array.isArray(members) ? members : [])
        .map((member) => memberOf(member as JsonObject))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async status(api, signal) {
      const url = `${api}/patroni`;
      const answer = await call(url, { signal });
      return objectOf(url, answer.text);
    },
    config: (signal) => read("/config", signal),
    async patchConfig(patch, signal) {
      for (let attempt = 1; ; attempt++) {
        const answer = await anywhere("/config", { method: "PATCH", body: patch, signal });
        if (answer.status === 200) return objectOf(answer.url, answer.text);
        if (answer.status !== 409 || attempt === PATCH_ATTEMPTS) throw refused(answer.url, answer);
      }
    },
    async restart(api, timeoutMs, signal) {
      const url = `${api}/restart`;
      const answer = await call(url, { method: "POST", body: {}, timeoutMs, signal });
      if (answer.status !== 200) throw refused(url, answer);
    },
  };
}

function refused(url: string, { status, text }: Answer): PgdbaError {
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

function objectOf(url: string, text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as JsonObject;
  } catch {
    // Said below.
  }
  throw new PgdbaError("http_failed", `${url} gave no JSON object; is it Patroni's REST API?`, {
    hint: "Check patroni.endpoints in the cluster's file.",
  });
}

function memberOf(member: JsonObject): PatroniMember {
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const port = Number(member["port"]);
  return {
    name: text(member["name"]),
    role: text(member["role"]),
    state: text(member["state"]),
    api: text(member["api_url"]).replace(/\/[^/]*$/, ""),
    host: text(member["host"]),
    port: Number.isInteger(port) ? port : 5432,
  };
}
