import { PgdbaError } from "../../../engine/errors.ts";
import { readBody } from "../../../engine/shared/read-body.ts";
import { isMapping, type JsonObject } from "../../../engine/types.ts";
import { authoritiesIn } from "../../authorities.ts";
import { isConnectionRefused } from "../../connection-refused.ts";
import { firstAnswer } from "../../first-answer.ts";
import type { DcsSpec } from "../contract.ts";

/** How long one member is given for one answer, ms. */
const TIMEOUT_MS = 5_000;
/** A scope is some pages; anything longer is none. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Codes of gRPC that the gateway passes on in its answers. */
const INVALID = 3;
const DENIED = 7;
const PRECONDITION = 9;
const UNAUTHENTICATED = 16;

interface Bounds {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** `open`: asked without the account first. Without a majority etcd lets nobody in, and its members still say how they are. */
interface Asking extends Bounds {
  open?: boolean;
}

/** What is known of an etcd. A token costs it a slow hash, so that all who use the same entry share one. */
interface Known {
  /** The path of the gateway, by endpoint. */
  prefixes: Map<string, string>;
  /** Undefined before it is asked for; null where etcd asked for none. */
  token: string | null | undefined;
}

const KNOWN = new WeakMap<DcsSpec, Known>();

/**
 * The JSON gateway of etcd (docs: "Why gRPC gateway"): every call is a POST of JSON, keys and values in base64, 64-bit numbers as text.
 * Its path differs by version, its tokens end, and any of its members may be asked.
 */
export class EtcdGateway {
  readonly #spec: DcsSpec;
  readonly #ca: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #known: Known;
  #asking: Promise<string | null> | undefined;

  /** @throws PgdbaError invalid_config */
  constructor(spec: DcsSpec, signal?: AbortSignal) {
    this.#spec = spec;
    this.#signal = signal;
    this.#known = KNOWN.get(spec) ?? { prefixes: new Map(), token: undefined };
    KNOWN.set(spec, this.#known);
    this.#ca = authoritiesIn(spec.cafile, "dcs.cafile");
  }

  get endpoints(): readonly string[] {
    return this.#spec.endpoints;
  }

  /** Asks whichever member answers first; gives its endpoint, too. */
  async ask(
    path: string,
    body: JsonObject,
    timeoutMs?: number,
  ): Promise<{ endpoint: string; answer: JsonObject }> {
    return firstAnswer(
      this.endpoints,
      async (endpoint, signal) => ({
        endpoint,
        answer: await this.at(endpoint, path, body, { timeoutMs, signal }),
      }),
      this.#signal,
    );
  }

  /** Asks one member, once more with a new token where the old one has ended. @throws PgdbaError connection_failed | insufficient_privilege | http_failed */
  async at(
    endpoint: string,
    path: string,
    body: JsonObject,
    { timeoutMs, signal = this.#signal, open = false }: Asking = {},
  ): Promise<JsonObject> {
    const bounds = { timeoutMs, signal };
    const token = open ? null : await this.#authenticated(timeoutMs);
    try {
      return await this.#post(endpoint, path, body, token, bounds);
    } catch (error) {
      // etcd may also have got accounts since it was asked last.
      if (this.#spec.user === undefined || !isStale(error)) throw error;
      if (this.#known.token === token) this.#known.token = undefined;
      return this.#post(endpoint, path, body, await this.#authenticated(timeoutMs), bounds);
    }
  }

  /** One token for all members, from whichever answers first. */
  async #authenticated(timeoutMs: number | undefined): Promise<string | null> {
    const { user, password } = this.#spec;
    if (user === undefined) return null;
    if (this.#known.token !== undefined) return this.#known.token;
    this.#asking ??= firstAnswer(
      this.endpoints,
      (endpoint, signal) =>
        this.#authenticate(endpoint, user, password ?? "", { timeoutMs, signal }),
      this.#signal,
    ).finally(() => (this.#asking = undefined));
    return (this.#known.token = await this.#asking);
  }

  async #authenticate(
    endpoint: string,
    name: string,
    password: string,
    bounds: Bounds,
  ): Promise<string | null> {
    try {
      const body = { name, password };
      const { token } = await this.#post(endpoint, "/auth/authenticate", body, null, bounds);
      return typeof token === "string" ? token : null;
    } catch (error) {
      const code = grpcCode(error);
      // etcd without accounts takes everybody.
      if (code === PRECONDITION) return null;
      if (code !== INVALID && code !== UNAUTHENTICATED) throw error;
      throw new PgdbaError("insufficient_privilege", `etcd does not know the account ${name}`, {
        hint: "Check dcs.user and dcs.password_env in the cluster's file.",
        cause: error,
        nothingDone: true,
      });
    }
  }

  async #post(
    endpoint: string,
    path: string,
    body: JsonObject,
    token: string | null,
    bounds: Bounds,
  ): Promise<JsonObject> {
    const url = `${endpoint}${await this.#prefix(endpoint, bounds)}${path}`;
    return this.#fetch(
      url,
      {
        method: "POST",
        body: JSON.stringify(body),
        headers: {
          "content-type": "application/json",
          ...(token === null ? {} : { authorization: token }),
        },
      },
      bounds,
    );
  }

  /** Before 3.4 the gateway had not got its name yet. */
  async #prefix(endpoint: string, bounds: Bounds): Promise<string> {
    const known = this.#known.prefixes.get(endpoint);
    if (known !== undefined) return known;
    const { etcdserver } = await this.#fetch(`${endpoint}/version`, {}, bounds);
    const [major = 3, minor = 0] = String(etcdserver).split(".").map(Number);
    const prefix = major > 3 || minor >= 4 ? "/v3" : minor === 3 ? "/v3beta" : "/v3alpha";
    this.#known.prefixes.set(endpoint, prefix);
    return prefix;
  }

  async #fetch(
    url: string,
    init: RequestInit,
    { timeoutMs = TIMEOUT_MS, signal }: Bounds,
  ): Promise<JsonObject> {
    const late = AbortSignal.timeout(timeoutMs);
    let status: number;
    let text: string;
    try {
      const response = await fetch(url, {
        ...init,
        redirect: "error",
        ...(this.#ca === undefined ? {} : { tls: { ca: this.#ca } }),
        signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      });
      status = response.status;
      text = await readBody(url, response, MAX_BYTES, "Is it etcd? Check dcs.endpoints.");
    } catch (cause) {
      if (cause instanceof PgdbaError) throw cause;
      signal?.throwIfAborted();
      const { message } = cause as Error;
      throw new PgdbaError(
        "connection_failed",
        `etcd at ${url} ${late.aborted ? `did not answer within ${timeoutMs / 1000} s` : `can't be reached: ${message}`}`,
        {
          hint: "Check dcs.endpoints in the cluster's file, that etcd runs, and firewalls.",
          retryable: true,
          cause,
          nothingDone: isConnectionRefused(cause) ? true : undefined,
        },
      );
    }
    const answer = objectIn(text);
    if (status === 200 && answer !== null) return answer;
    throw refusal(url, status, answer);
  }
}

/** True for a token that has ended, or that is older than the accounts. */
function isStale(error: unknown): boolean {
  const code = grpcCode(error);
  return code === UNAUTHENTICATED || code === INVALID;
}

function grpcCode(error: unknown): unknown {
  return error instanceof PgdbaError ? (error.data as JsonObject | undefined)?.["grpc"] : undefined;
}

function refusal(url: string, status: number, answer: JsonObject | null): PgdbaError {
  const { code, message, error } = answer ?? {};
  const grpc = typeof code === "number" ? code : null;
  const said = `etcd at ${url} answered ${status}: ${String(message ?? error ?? "no JSON")}`;
  const data = { status, grpc };
  if (grpc === DENIED)
    return new PgdbaError("insufficient_privilege", said, {
      hint: "Give the account of dcs.user in the cluster's file a role that may read and write the scope.",
      data,
      nothingDone: true,
    });
  // 5xx: no majority, no leader, overloaded. Nobody knows then what came of a change.
  if (status >= 500)
    return new PgdbaError("connection_failed", said, {
      hint: "Look at the members of etcd: does a majority of them run, and reach each other?",
      retryable: true,
      data,
    });
  return new PgdbaError("http_failed", said, {
    hint: "Check dcs.endpoints, dcs.user and dcs.password_env in the cluster's file.",
    data,
    nothingDone: true,
  });
}

function objectIn(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isMapping(value) ? value : null;
  } catch {
    return null;
  }
}
