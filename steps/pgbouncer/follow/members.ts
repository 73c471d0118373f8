import { readBody } from "../../../engine/shared/read-body.ts";
import type { Clock, JsonObject } from "../../../engine/types.ts";
import { clusterIn, isUp } from "../../../providers/patroni/members.ts";
import { addressOf } from "./address.ts";
import type { Seen } from "./choose.ts";
import type { FollowConfig } from "./config.ts";

/** An answer that takes longer is none; a Patroni that is alive gives it in a few milliseconds. */
const ANSWER_MS = 1000;
/** How often members are learnt, and Patroni's ttl. */
const LEARN_MS = 5000;
/** The same while clients wait, or no member has told it yet. */
const RETRY_MS = 500;
/** How often members are asked while clients wait. */
const HURRY_MS = 100;
/** The same for the one that is to take over; the others are busy with the move, and each answer costs them time. */
const WANTED_MS = 50;
/** And for one that has the leader key, and is about to take writes. */
const PROMOTING_MS = 10;
const MAX_BYTES = 1024 * 1024;
const HINT = "Is it Patroni's REST API?";

type Followed = FollowConfig["members"][number] & { given: boolean };

/** Asks all members, each by itself, so that one that hangs holds up no other. */
export class Members {
  /** As Patroni's configuration has it. */
  ttlMs: number;
  /** True while clients wait for a primary. */
  hurry = false;
  /** The name of the one that is to take over. */
  wanted: string | undefined;
  readonly #config: FollowConfig;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #changed: () => void;
  readonly #seen = new Map<string, Seen>();
  readonly #followed = new Map<string, Followed>();
  readonly #sleepers = new Set<() => void>();

  constructor(
    config: FollowConfig,
    { clock, signal, changed }: { clock: Clock; signal: AbortSignal; changed: () => void },
  ) {
    this.#config = config;
    this.ttlMs = config.ttlMs;
    this.#clock = clock;
    this.#signal = signal;
    this.#changed = changed;
  }

  list(): Seen[] {
    return [...this.#seen.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  start(): void {
    for (const member of this.#config.members) this.#follow({ ...member, given: true });
    void this.#learn();
  }

  /** Asks all of them now. */
  poke(): void {
    for (const wake of this.#sleepers) wake();
  }

  #follow(member: Followed): void {
    const { name, host, port, given } = member;
    const askedAt = this.#clock.monotonic();
    this.#followed.set(name, member);
    // Nothing is decided before all of the first ones were asked; one that comes later holds nothing up.
    if (given)
      this.#seen.set(name, {
        name,
        host,
        port,
        askedAt,
        state: "unasked",
        timeline: null,
        why: null,
      });
    void this.#watch(member);
  }

  async #watch(member: Followed): Promise<void> {
    while (this.#followed.get(member.name) === member && !this.#signal.aborted) {
      const askedAt = this.#clock.monotonic();
      const seen = await this.#ask(member);
      const { name, port } = member;
      const byAddress = seen.state === "primary" && this.#config.route.by === "address";
      const before = this.#seen.get(name)?.host;
      const host = byAddress ? await addressOf(member.host, before) : (before ?? member.host);
      if (this.#followed.get(name) !== member) return;
      this.#seen.set(name, { name, host, port, askedAt, ...seen });
      this.#changed();
      await this.#pause(Math.max(0, askedAt + this.#every(name) - this.#clock.monotonic()));
    }
  }

  #every(name: string): number {
    const { pollMs } = this.#config;
    if (!this.hurry) return pollMs;
    if (this.#seen.get(name)?.state === "promoting") return PROMOTING_MS;
    if (this.wanted === undefined) return Math.min(HURRY_MS, pollMs);
    return name === this.wanted ? Math.min(WANTED_MS, pollMs) : pollMs;
  }

  /** Until the time is over, or somebody wants to know now. */
  #pause(ms: number): Promise<void> {
    return new Promise((done) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        done();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.add(wake);
    });
  }

  async #ask({ name, api }: Followed): Promise<Pick<Seen, "state" | "timeline" | "why">> {
    const silent = (why: string) => ({ state: "silent", timeline: null, why }) as const;
    try {
      const { status, body } = await this.#get(`${api}/primary`);
      if (status !== 200 && status !== 503) return silent(`answers ${status}`);
      return read(status, body, { name, cluster: this.#config.cluster });
    } catch (error) {
      const { name: kind, code } = error as Error & { code?: unknown };
      if (kind === "TimeoutError") return silent(`does not answer within ${ANSWER_MS} ms`);
      return silent(`does not answer (${typeof code === "string" ? code : kind})`);
    }
  }

  /** Members come and go, and so does the ttl. */
  async #learn(): Promise<void> {
    while (!this.#signal.aborted) {
      const isKnown = await this.#learnFromAny();
      const ms = isKnown && !this.hurry ? LEARN_MS : RETRY_MS;
      await this.#clock.sleep(ms, this.#signal).catch(() => {});
    }
  }

  async #learnFromAny(): Promise<boolean> {
    for (const { name, api } of this.#followed.values()) {
      if (this.#seen.get(name)?.state === "silent") continue;
      if (await this.#learnFrom(api).catch(() => false)) return true;
    }
    return false;
  }

  async #learnFrom(api: string): Promise<boolean> {
    const { status, body } = await this.#get(`${api}/cluster`);
    const scope = body["scope"];
    const isOurs =
      this.#config.cluster === undefined ||
      (scope ?? this.#config.cluster) === this.#config.cluster;
    if (status !== 200 || !isOurs) return false;
    const there = clusterIn(body).members.filter(
      (one) => one.name !== "" && one.host !== "" && one.api !== "",
    );
    for (const { name, host, port, api: url } of there) {
      const known = this.#followed.get(name);
      const isSame = known?.host === host && known.port === port && known.api === url;
      if (known?.given !== true && !isSame && !/[\s'"=;#%]/.test(host))
        this.#follow({ name, host, port, api: url, given: false });
    }
    for (const [name, { given }] of this.#followed) {
      const isGone = !given && there.every((one) => one.name !== name);
      if (!isGone || this.#seen.get(name)?.state === "primary") continue;
      this.#followed.delete(name);
      this.#seen.delete(name);
    }
    const config = await this.#get(`${api}/config`);
    const ttl = config.body["ttl"];
    if (typeof ttl === "number" && ttl > 0) this.ttlMs = ttl * 1000;
    return true;
  }

  async #get(url: string): Promise<{ status: number; body: JsonObject }> {
    const { ca } = this.#config;
    const response = await fetch(url, {
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_MS),
      keepalive: false,
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    const text = await readBody(url, response, MAX_BYTES, HINT);
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      body = {};
    }
    return { status: response.status, body: (body ?? {}) as JsonObject };
  }
}

/**
 * The meaning of an answer to `/primary`. It is 200 as soon as the member holds the leader key, also while its server is still being promoted
 * and takes no writes.
 */
function read(
  status: number,
  body: JsonObject,
  wanted: { name: string; cluster: string | undefined },
): Pick<Seen, "state" | "timeline" | "why"> {
  const patroni = (body["patroni"] ?? {}) as { scope?: unknown; name?: unknown };
  const other = (why: string) => ({ state: "other", timeline: null, why }) as const;
  if (wanted.cluster !== undefined && (patroni.scope ?? wanted.cluster) !== wanted.cluster)
    return other(`is a member of ${String(patroni.scope)}`);
  if ((patroni.name ?? wanted.name) !== wanted.name)
    return other(`is called ${String(patroni.name)}`);
  const { role, state } = body as { role?: unknown; state?: unknown };
  const timeline = typeof body["timeline"] === "number" ? body["timeline"] : null;
  if (status !== 200)
    return other(
      isUp({ state })
        ? `is up and does not lead (${String(role ?? "no role")})`
        : `is not up (${String(state ?? "no state")})`,
    );
  const leads = (role === "primary" || role === "master") && isUp({ state });
  return leads
    ? { state: "primary", timeline, why: null }
    : {
        state: "promoting",
        timeline,
        why: `has the leader key, and is ${String(role)}, ${String(state)}`,
      };
}
