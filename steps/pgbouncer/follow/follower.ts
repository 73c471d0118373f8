import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import type { Clock } from "../../../engine/types.ts";
import type { PauseWish } from "../../../providers/pgbouncer/contract.ts";
import { choose, type Verdict } from "./choose.ts";
import type { FollowConfig } from "./config.ts";
import { Hand } from "./hand.ts";
import { Members } from "./members.ts";
import type { Refusal } from "./refusal.ts";
import { Rounds } from "./rounds.ts";
import { NOWHERE, readRoute, type Route } from "./route.ts";

/** The longest that a round waits when nothing happens. */
const ROUND_MS = 250;
/** How long clients that are to go on wait for a primary that answers. */
const PRIMARY_MS = 10_000;

/** How often PgBouncer is asked whether it is as it was left. */
const LOOK_MS = 1000;
/** How long after a new route PgBouncer connects there without waiting. */
const HASTE_MS = 3000;
const FOREIGN = "somebody else paused PgBouncer on its console";

export interface Told {
  clock: Clock;
  signal: AbortSignal;
  now(): Date;
  log(message: string, level?: "info" | "warn"): void;
}

const CLIENTS = { open: "go on", closing: "wait", closed: "wait", unknown: "unknown" } as const;

interface Pause {
  holder: string;
  /** When it ends by itself, monotonic. */
  until: number;
  /** It ends as well when this member leads, on a later timeline than the one that clients were held back on. */
  untilPrimary: string | undefined;
  /** Null where nobody knows it: then no timeline is later. */
  timeline: number | null;
}

/**
 * Owns route and pause of one PgBouncer. All that it does there it does in rounds, one after the other; whoever asks for something
 * says what is wanted, and waits until a round has brought it about.
 */
export class Follower {
  readonly #told: Told;
  readonly #members: Members;
  readonly #hand: Hand;
  readonly #rounds: Rounds;
  /** As PgBouncer has it, as far as is known. */
  #route: Route | undefined;
  /** False until it has the file that says it. */
  #pointed = false;
  /** When the member of the route last led. */
  #goodAt: number;
  #since: Date;
  #verdict: Verdict = { kind: "wait" };
  #pause: Pause | undefined;
  /** Clients are to go on, as soon as a member that was asked after this leads. */
  #release: { since: number; until: number } | undefined;
  #pointedAt = Number.NEGATIVE_INFINITY;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** Somebody else holds clients back. */
  #isForeign = false;
  /** Whether all were cut off since a member last led. */
  #isCut = false;
  /** A new route may have left clients behind at the old one. */
  #hasStale = false;
  #said = new Map<string, string>();

  constructor(config: FollowConfig, told: Told) {
    this.#told = told;
    this.#rounds = new Rounds(told);
    const changed = () => this.#rounds.wake();
    this.#members = new Members(config, { clock: told.clock, signal: told.signal, changed });
    this.#hand = new Hand(config, changed);
    this.#route = readRoute(config.route.file);
    this.#goodAt = told.clock.monotonic();
    this.#since = told.now();
  }

  /** Until the signal. Clients that somebody else holds back go on then. */
  async run(): Promise<void> {
    const { signal } = this.#told;
    signal.addEventListener("abort", () => this.#rounds.wake(), { once: true });
    this.#members.start();
    while (!signal.aborted) await this.#rounds.once(() => this.#try(), ROUND_MS);
    if (this.#pause !== undefined && this.#hand.connected) await this.#hand.letGo().catch(() => {});
    this.#pause = undefined;
    this.#rounds.end();
    this.#hand.close();
  }

  async #try(): Promise<void> {
    try {
      await this.#once();
      this.#say("trouble", undefined);
    } catch (thrown) {
      this.#say("trouble", toPgdbaError(thrown).message);
      if (!this.#hand.connected) this.#lost();
    }
  }

  /**
   * Holds clients back for `holder`, for `capMs` at most, and no longer than until `untilPrimary` has taken over. Resolves when no transaction
   * is open; asked again by the same one, it moves the cap.
   */
  async pause({ holder, capMs, waitMs, untilPrimary }: PauseWish): Promise<Refusal | undefined> {
    const now = this.#told.clock.monotonic();
    const held = this.#pause;
    if (held !== undefined && held.holder !== holder)
      return { error: "held", holder: held.holder, left_ms: Math.max(0, held.until - now) };
    if (!this.#hand.connected) return { error: "unreachable", why: "PgBouncer does not answer" };
    const { timeline } = held ?? this.#route ?? { timeline: null };
    const pause: Pause = { holder, until: now + capMs, untilPrimary, timeline };
    this.#pause = pause;
    this.#release = undefined;
    if (held === undefined) this.#told.log(`${holder} holds clients back for ${capMs} ms at most`);
    this.#rounds.wake();
    const isClosed = () => this.#hand.mode === "closed";
    const isOver = () => this.#pause !== pause;
    await this.#rounds.until(() => isClosed() || isOver(), Math.min(waitMs, capMs));
    if (isOver()) return { error: "unreachable", why: "the pause ended before it had begun" };
    if (isClosed()) return undefined;
    const open = await this.#hand.open().catch(toPgdbaError);
    if (open instanceof PgdbaError) {
      this.#let(open.message);
      return { error: "unreachable", why: open.message };
    }
    this.#let(`${open} transactions did not end within ${waitMs} ms`);
    return { error: "transactions_open", open };
  }

  /** Lets clients go, to the primary of now. Resolves when they go, or wait for a primary. */
  async resume(holder: string): Promise<Refusal | undefined> {
    const held = this.#pause;
    if (held !== undefined && held.holder !== holder) {
      const left_ms = Math.max(0, held.until - this.#told.clock.monotonic());
      return { error: "held", holder: held.holder, left_ms };
    }
    if (held !== undefined) this.#let("as it says");
    if (this.#isForeign) {
      this.#isForeign = false;
      this.#hand.mode = "unknown";
      this.#rounds.wake();
    }
    await this.#rounds.until(() => this.#release === undefined, PRIMARY_MS + ROUND_MS);
    // The round that found the primary lets them go.
    await this.#rounds.until(
      () => this.#hand.mode === "open" || this.#verdict.kind === "none",
      ROUND_MS * 8,
    );
    return undefined;
  }

  status() {
    const { monotonic } = this.#told.clock;
    const verdict = this.#verdict;
    const isRouted = verdict.kind === "route" || verdict.kind === "keep";
    return {
      route: isRouted && this.#route !== undefined ? { ...this.#route } : null,
      since: this.#since.toISOString(),
      why: "why" in verdict ? verdict.why : this.#isForeign ? FOREIGN : null,
      clients: this.#isForeign ? "wait" : CLIENTS[this.#hand.mode],
      paused:
        this.#pause === undefined
          ? null
          : {
              holder: this.#pause.holder,
              left_ms: Math.max(0, Math.round(this.#pause.until - monotonic())),
              until_primary: this.#pause.untilPrimary ?? null,
            },
      pgbouncer: this.#hand.connected,
      members: this.#members.list().map(({ name, state, timeline, why }) => ({
        name,
        primary: state === "primary",
        timeline,
        why,
      })),
    };
  }

  /** One round: sees where clients belong, and brings it about. */
  async #once(): Promise<void> {
    const now = this.#told.clock.monotonic();
    this.#look(now);
    const verdict = this.#verdict;
    if (!this.#hand.connected) {
      // What was held back went with the PgBouncer that held it.
      this.#lost();
      await this.#hand.connect();
      this.#told.log("at PgBouncer's console");
    }
    if (verdict.kind === "wait") return;
    if (this.#pause !== undefined && now >= this.#pause.until) this.#let("its time is over");
    if (verdict.kind === "route") {
      try {
        await this.#follow(verdict.route);
      } catch (error) {
        // Better nowhere than to where nobody leads.
        if (this.#hand.connected) await this.#hand.hold();
        throw error;
      }
    }
    if (verdict.kind === "none" && this.#route === undefined && !this.#pointed) {
      await this.#hand.point(NOWHERE);
      this.#pointed = true;
    }
    await this.#cut(verdict);
    this.#endAtPrimary(verdict);
    const isHeld = this.#pause !== undefined || verdict.kind === "none" || this.#awaitsPrimary(now);
    this.#members.hurry = isHeld;
    this.#members.wanted = this.#pause?.untilPrimary;
    if (this.#hand.hastens && now - this.#pointedAt >= HASTE_MS) await this.#hand.calm();
    if (now - this.#lookedAt >= LOOK_MS) await this.#lookAtOthers(now);
    if (isHeld) await this.#hand.hold();
    else await this.#hand.letGo();
  }

  #look(now: number): void {
    const members = this.#members.list();
    const current = { route: this.#route, goodAt: this.#goodAt };
    const verdict = choose(members, current, { now, ttlMs: this.#members.ttlMs });
    if (verdict.kind === "route") {
      this.#goodAt = members.find(({ name }) => name === verdict.route.member)?.askedAt ?? now;
      this.#isCut = false;
    }
    if (verdict.kind !== this.#verdict.kind) this.#since = this.#told.now();
    this.#verdict = verdict;
    const isNone = verdict.kind === "none";
    this.#say("route", isNone ? `no client is let through: ${verdict.why}` : undefined);
  }

  /** Nobody else is to pause there, nor to resume; it happens. What somebody else paused is told, and let go when asked for. */
  async #lookAtOthers(now: number): Promise<void> {
    this.#lookedAt = now;
    const { mode } = this.#hand;
    const isPaused = await this.#hand.isPaused();
    this.#isForeign = mode === "open" && isPaused === true;
    this.#say("others", this.#isForeign ? FOREIGN : undefined);
    if ((mode === "closed" || mode === "closing") && isPaused === false) {
      this.#told.log("somebody else let clients go: they are held back again", "warn");
      this.#hand.mode = "unknown";
    }
  }

  /** Sends clients there. */
  async #follow(route: Route): Promise<void> {
    const before = this.#route;
    const isSame =
      before?.member === route.member && before.host === route.host && before.port === route.port;
    if (isSame && this.#pointed && before.timeline === route.timeline) return;
    await this.#hand.point(route);
    this.#route = route;
    this.#pointed = true;
    this.#pointedAt = this.#told.clock.monotonic();
    if (isSame) return;
    this.#since = this.#told.now();
    this.#hasStale = true;
    const { member, host, port, timeline } = route;
    this.#told.log(`clients go to ${member}, ${host}:${port}, timeline ${timeline ?? "unknown"}`);
  }

  /** Cuts off who hangs at a server that leads nowhere, once. */
  async #cut(verdict: Verdict): Promise<void> {
    const isLost = verdict.kind === "none" && verdict.lost && !this.#isCut;
    if (!isLost && !this.#hasStale) return;
    const cut = await this.#hand.cut(isLost ? "all" : "stale");
    this.#isCut = isLost;
    this.#hasStale = false;
    if (cut > 0) this.#told.log(`clients cut off from where nobody leads: ${cut}`, "warn");
  }

  /** True while clients that may go on wait for a member that was asked since and leads. */
  #awaitsPrimary(now: number): boolean {
    if (this.#release === undefined) return false;
    const isFresh = this.#verdict.kind === "route" && this.#goodAt >= this.#release.since;
    if (!isFresh && now < this.#release.until) return true;
    this.#release = undefined;
    return false;
  }

  /** PgBouncer has the route there by now, so that nothing is left to wait for. */
  #endAtPrimary(verdict: Verdict): void {
    if (this.#pause === undefined || verdict.kind !== "route") return;
    const { holder, untilPrimary, timeline: before } = this.#pause;
    const { member, timeline } = verdict.route;
    if (member !== untilPrimary || before === null || timeline === null || timeline <= before)
      return;
    this.#told.log(`${holder} holds clients back no more: ${member} leads`);
    this.#pause = undefined;
  }

  #let(why: string): void {
    if (this.#pause === undefined) return;
    this.#told.log(`${this.#pause.holder} holds clients back no more: ${why}`);
    const since = this.#told.clock.monotonic();
    this.#pause = undefined;
    this.#release = { since, until: since + PRIMARY_MS };
    this.#members.poke();
    this.#rounds.wake();
  }

  #lost(): void {
    if (this.#pause !== undefined)
      this.#told.log(`PgBouncer is gone, and with it the pause of ${this.#pause.holder}`, "warn");
    this.#pause = undefined;
    this.#release = undefined;
    this.#pointed = false;
    this.#hand.close();
  }

  /** Says it once, as long as it stays the same. */
  #say(what: string, message: string | undefined): void {
    if (this.#said.get(what) === message) return;
    if (message === undefined) this.#said.delete(what);
    else this.#said.set(what, message);
    if (message !== undefined) this.#told.log(message, "warn");
  }
}
