import { PgdbaError } from "../../engine/errors.ts";
import { readBody } from "../../engine/shared/read-body.ts";
import { authoritiesIn } from "../authorities.ts";
import { isConnectionRefused } from "../connection-refused.ts";
import type { FollowerState, PauseWish, PgbouncerInstance, PgbouncerSpec } from "./contract.ts";

const MAX_BYTES = 256 * 1024;
/** Beside the time that it is asked to wait. */
const ANSWER_MS = 5000;
/** It waits for a primary before it lets clients go. */
const RESUME_MS = 20_000;

type Answer = { status: number; body: Record<string, unknown> };

/** Asks the follower beside one PgBouncer. @throws PgdbaError connection_failed | http_failed, and as each says */
export class FollowerClient {
  readonly #spec: PgbouncerSpec;
  readonly #instance: string;
  readonly #url: string;
  readonly #signal: AbortSignal;
  readonly #ca: string | undefined;

  /** @throws PgdbaError invalid_config */
  constructor(
    spec: PgbouncerSpec,
    { name, follower }: PgbouncerInstance & { follower: string },
    signal: AbortSignal,
  ) {
    this.#spec = spec;
    this.#instance = name;
    this.#url = follower.replace(/\/$/, "");
    this.#signal = signal;
    this.#ca = authoritiesIn(spec.cafile, "pgbouncer.cafile");
  }

  async status(): Promise<FollowerState> {
    return stateIn(await this.#send("GET", "/status", undefined, ANSWER_MS));
  }

  /** @throws PgdbaError timeout | step_refused */
  async pause({ holder, capMs, waitMs, untilPrimary }: PauseWish): Promise<FollowerState> {
    const body = {
      holder,
      cap_ms: Math.round(capMs),
      wait_ms: Math.round(waitMs),
      ...(untilPrimary === undefined ? {} : { until_primary: untilPrimary }),
    };
    return stateIn(await this.#send("POST", "/pause", body, waitMs + ANSWER_MS));
  }

  /** @throws PgdbaError step_refused */
  async resume(holder: string): Promise<FollowerState> {
    return stateIn(await this.#send("POST", "/resume", { holder }, RESUME_MS));
  }

  async #send(
    method: "GET" | "POST",
    path: string,
    body: object | undefined,
    ms: number,
  ): Promise<Answer> {
    const late = AbortSignal.timeout(ms);
    const url = `${this.#url}${path}`;
    const { user, password = "" } = this.#spec;
    try {
      const response = await fetch(url, {
        method,
        redirect: "error",
        keepalive: false,
        headers: {
          authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
          "content-type": "application/json",
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(this.#ca === undefined ? {} : { tls: { ca: this.#ca } }),
        signal: AbortSignal.any([this.#signal, late]),
      });
      const text = await readBody(url, response, MAX_BYTES, "Is it a follower of PgBouncer?");
      const answer: Answer = { status: response.status, body: objectIn(text) };
      if (answer.status === 200) return answer;
      throw this.#refused(answer);
    } catch (cause) {
      if (cause instanceof PgdbaError) throw cause;
      if (this.#signal.aborted) throw this.#signal.reason;
      const { code, message } = cause as Error & { code?: unknown };
      const said = late.aborted
        ? `no answer within ${ms / 1000} s`
        : typeof code === "string"
          ? code
          : message;
      throw new PgdbaError(
        "connection_failed",
        `The follower of ${this.#instance} at ${this.#url} can't be reached: ${said}`,
        {
          hint: "Check that `pgdba pgbouncer follow` runs beside PgBouncer, and firewalls. Its log says more.",
          retryable: true,
          // No connection: it was not told anything.
          nothingDone: !late.aborted && isConnectionRefused(cause),
          cause,
        },
      );
    }
  }

  #refused({ status, body }: Answer): PgdbaError {
    const name = this.#instance;
    if (status === 423) {
      const holder = String(body["holder"]);
      return new PgdbaError("step_refused", `${holder} holds back the clients of ${name}`, {
        hint: `Wait until it has ended. If nobody is at work under that name any more: \`pgdba pgbouncer resume --holder ${holder}\`.`,
        data: { instance: name, holder, left_ms: Number(body["left_ms"]) },
      });
    }
    if (status === 409)
      return new PgdbaError(
        "timeout",
        `${String(body["open"])} transactions through ${name} did not end in time; clients go on`,
        {
          hint: "`pgdba pgbouncer status` and pg_stat_activity show what they do. Wait longer, or end them.",
          retryable: true,
          data: { instance: name, open: Number(body["open"]) },
          nothingDone: true,
        },
      );
    if (status === 503)
      return new PgdbaError(
        "connection_failed",
        `The follower of ${name}: ${String(body["why"] ?? body["error"])}`,
        {
          hint: `Check that PgBouncer runs on ${name}; the follower's log says more.`,
          retryable: true,
        },
      );
    return new PgdbaError("http_failed", `The follower of ${name} answered ${status}`, {
      hint:
        status === 401
          ? "Check pgbouncer.user and its password in the cluster's file: they are those of PgBouncer's admin."
          : "Is it a follower of PgBouncer, and of this version?",
      data: { status },
    });
  }
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Its status says what is wrong.
  }
  return {};
}

function stateIn({ body }: Answer): FollowerState {
  const { route, since, why, clients, paused, members } = body as Record<string, any>;
  return {
    route: route ?? null,
    since: String(since),
    why: why ?? null,
    clients,
    paused: paused && { holder: String(paused.holder), leftMs: Number(paused.left_ms) },
    members: members ?? [],
  };
}
