import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { sqlstateOf } from "../../providers/postgres/errors.ts";
import { milliseconds } from "../sql/session.ts";
import check from "./check.ts";
import { loadChecks } from "./examine/select.ts";
import { metricsListed } from "./metrics/exposition.ts";
import { metricsText } from "./metrics/metrics.ts";
import { sourcesOf } from "./metrics/sources.ts";
import { Cache } from "./serve/cache.ts";
import { type Alive, answer, type Checked, type Probes } from "./serve/probes.ts";
import { SEVERITIES, type Severity } from "./check/words.ts";

const STRINGS = { type: "array", items: { type: "string" } } as const;
/** A load balancer asks every second or so; a connection a second is all that the server sees of it. */
const ALIVE_TTL_MS = 1000;
const ALIVE_TIMEOUT_MS = 3000;
const TOO_MANY_CONNECTIONS = "53300";
/** Requests that may wait for the same answer; more are turned away, so that they can't pile up here either. */
const MAX_WAITING = 256;
/** Probes give up sooner; a health check takes a fraction of it. */
const PATIENCE_MS = 10_000;
/** Most health checks are done by then; probes rarely wait much longer. */
const GRACE_MS = 2000;

export default defineStep({
  type: "health.serve",
  summary: "Answer HTTP probes with the state of the server, until the run is interrupted",
  docs: `\`GET\`, \`HEAD\` or \`OPTIONS\`: \`/healthz\` is 200 while the server takes a new connection or says that it has too many, \`/readyz\` is 200 while it takes one and a
health check finds nothing as bad as \`fail_on\`; otherwise 503. Both answer in JSON and say how old the answer is.

However many ask, the server sees one new connection a second, and one health check at a time on a connection of its own. A check's answer
is fresh for \`ttl\`; after that the request waits for a new one, but no longer than two seconds while the last is not \`max_age\` old: then
that is given. An answer that can't be had is 503, at once when the server gives no sign of life.

\`/metrics\` is for Prometheus: the state of every check, the longest wait for a lock, how full sequences are, and of a cluster its members, its disks where its
nodes can be looked into, its backups, the archive and the window that can be restored. \`monitoring/metrics.yaml\` lists all with their meaning. Values are asked for when
somebody reads them and they are old, each source by itself and within a time of its own; \`pgdba_source_age_seconds\` and \`pgdba_source_up\` tell of each. What is too old, or
unknown, is left out.

The answers name checks, not objects, but they are for whoever can reach the port: it is bound to 127.0.0.1 unless \`bind\` says otherwise.
The step ends when the run is interrupted (Ctrl-C, SIGTERM). In a runbook with \`watches: true\`, such as health/serve, that is a good end: exit code 0. With \`--plan\` it does not listen.`,
  example: `- health.serve: {port: 8432, fail_on: critical}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
  uses: ["member", "patroni", "dcs", "pgbouncer", "nodes", "repository", "superuser"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["port"],
    properties: {
      port: {
        type: "integer",
        minimum: 0,
        maximum: 65_535,
        description: "0 takes a free one, which is logged",
      },
      bind: {
        type: "string",
        minLength: 1,
        default: "127.0.0.1",
        description: "Address to listen on",
      },
      fail_on: {
        type: "string",
        enum: [...SEVERITIES],
        default: "critical",
        description: "Not ready from this severity on",
      },
      ttl: {
        type: "string",
        format: "duration",
        default: "30s",
        description: "How long a health check's answer is fresh",
      },
      max_age: {
        type: "string",
        format: "duration",
        default: "5m",
        description: "An answer of this age or older is not given any more",
      },
      only: { ...STRINGS, description: "Names of checks to run, as for `check`" },
      groups: { ...STRINGS, description: "Groups of checks to run" },
      skip: { ...STRINGS, description: "Names of checks to leave out" },
      thresholds: {
        type: "object",
        additionalProperties: { type: "object" },
        description: "Values for params of checks: {check: {param: value}}",
      },
      statement_timeout: {
        type: "string",
        format: "duration",
        default: "5s",
        description: "For each check",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    properties: {},
    description: "None: it ends only by being interrupted",
  },
  async run(ctx, input) {
    const { port, bind = "127.0.0.1", fail_on = "critical", ttl, max_age, ...rest } = input;
    const checkInput = { ...rest, groups: rest.groups ?? [] };
    if (ctx.run.plan) return {};
    // The answer holds the warnings of a check; a run that lasts for months must not collect them.
    const quiet: StepContext = { ...ctx, warn: () => {} };
    const times = {
      clock: ctx.clock,
      ttlMs: milliseconds(ttl ?? "30s") ?? 0,
      graceMs: GRACE_MS,
      maxAgeMs: milliseconds(max_age ?? "5m") ?? 0,
    };
    const ready = new Cache(
      async () => (await check.run(quiet, checkInput)) as unknown as Checked,
      times,
    );
    // A health check may keep its connection for seconds; the sign of life must not wait for it.
    const pinger = new Pinger(ctx);
    const alive = new Cache(() => pinger.ping(), {
      clock: ctx.clock,
      ttlMs: ALIVE_TTL_MS,
      graceMs: 0,
      maxAgeMs: ALIVE_TTL_MS,
    });
    const metrics = await metricsOf(quiet, { alive, ready }, checkInput);
    // A wrong parameter fails now, and not at the first probe.
    const first = await ready.get();
    if ("error" in first && first.error.code === "invalid_param") throw first.error;
    const probes: Probes = {
      ready,
      alive,
      failOn: fail_on as Severity,
      waiting: 0,
      maxWaiting: MAX_WAITING,
      patienceMs: PATIENCE_MS,
      watchMs: ALIVE_TTL_MS,
      metrics,
    };
    const server = listen(probes, bind, port);
    try {
      ctx.log(
        `listening on http://${bind.includes(":") ? `[${bind}]` : bind}:${server.port} (/healthz, /readyz, /metrics)`,
      );
      await interrupted(ctx.signal);
    } finally {
      await server.stop(true);
    }
    throw toPgdbaError(ctx.signal.reason, "interrupted");
  },
});

type CheckInput = { only?: string[]; groups?: string[]; skip?: string[] };

const SEQUENCES = "sequence-exhausted";

async function metricsOf(
  ctx: StepContext,
  { alive, ready }: Pick<Probes, "alive" | "ready">,
  input: CheckInput,
): Promise<NonNullable<Probes["metrics"]>> {
  const { only = [], groups = [], skip = [] } = input;
  const listed = await metricsListed();
  const { checks } = await loadChecks(ctx, "health/checks", { only, groups, skip });
  const isAsked = checks.some(({ name }) => name === SEQUENCES);
  // With a threshold that each of them is above, the check tells of all, the fullest first.
  const all = {
    ...input,
    only: [SEQUENCES],
    groups: [],
    skip: [],
    thresholds: { [SEQUENCES]: { info: -1 } },
  };
  const sources = await sourcesOf(ctx, listed, {
    alive,
    ready,
    groups: Object.fromEntries(checks.map(({ name, group }) => [name, group])),
    sequences: async () =>
      isAsked ? ((await check.run(ctx, all)) as unknown as Checked) : { findings: [] },
  });
  ctx.signal.addEventListener("abort", () => sources.forEach((one) => one.stop()), { once: true });
  return (accept) => metricsText(listed, sources, accept);
}

function listen(probes: Probes, hostname: string, port: number) {
  try {
    return Bun.serve({
      hostname,
      port,
      // Probes are small and quick; a larger or slower request is no probe.
      maxRequestBodySize: 1024,
      idleTimeout: 30,
      development: false,
      // Bun's default outside of development; two endpoints on one port would each get some of the probes.
      reusePort: false,
      fetch: (request) => answer(probes, request),
      // A load balancer must read every error here as "not now".
      error: () => Response.json({ error: "internal" }, { status: 503 }),
    });
  } catch (error) {
    const code = String((error as { code?: unknown }).code);
    throw new PgdbaError("io_failed", `Can't listen on ${hostname}:${port}: ${code}`, {
      cause: error,
      hint: "Another process may have the port, or the address is not one of this machine; name another with --bind and --listen.",
      data: { errno: code },
    });
  }
}

/**
 * Makes a new connection each time: an existing one would answer although the server takes no new ones. A server with as many as it
 * may have is alive, but takes nobody in.
 */
class Pinger {
  readonly #ctx: StepContext;
  #role: Alive["role"] = "unknown";
  #following: Promise<void> | undefined;

  constructor(ctx: StepContext) {
    this.#ctx = ctx;
  }

  /** @throws PgdbaError as `PostgresAccess.open` does */
  async ping(): Promise<Alive> {
    const { open } = await this.#ctx.use("postgres");
    try {
      const session = await open(undefined, { timeoutMs: ALIVE_TIMEOUT_MS });
      this.#role = session.info.standby ? "standby" : "primary";
      await session.close();
      if (session.info.standby) this.#follow();
      return { role: this.#role, full: false };
    } catch (error) {
      if (sqlstateOf(error) === TOO_MANY_CONNECTIONS) return { role: this.#role, full: true };
      this.#follow();
      throw error;
    }
  }

  /**
   * Probes connect to where the session of the run is. That moves to a new leader only when somebody asks for it, and while there is no sign of life no health check
   * does. So it is asked for here, beside the probes, which don't wait for an election.
   */
  #follow(): void {
    if (this.#ctx.target.cluster === null || this.#following !== undefined) return;
    this.#following = this.#moved()
      .catch(() => {})
      .finally(() => {
        this.#following = undefined;
      });
  }

  async #moved(): Promise<void> {
    const { session } = await this.#ctx.use("postgres");
    // A server that stands still lets its connections be: one that gives no answer is given up by this, and then another is opened at the leader.
    const had = await session();
    await had.ask("SELECT 1", [], { timeoutMs: ALIVE_TTL_MS }).catch(() => {});
    if (!had.alive()) await session();
  }
}

function interrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
