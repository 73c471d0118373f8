import { PgdbaError } from "../../engine/errors.ts";
import type { LockWord, TargetLock } from "../../engine/types.ts";
import { openSession, type PgSession } from "../postgres/session.ts";
import { type Last, openAtLeader } from "./leader.ts";
import { type Held, type RunLock, takeRunLock } from "./lock.ts";
import type { Place, TargetSource } from "./source.ts";

/** How long a step waits for the server to come back, and how long a change waits that could do without, ms. */
const PATIENCE_MS = 30_000;
const BRIEF_MS = 2_000;
/** After it did not come back, a change does not try again before this has passed, ms. */
const QUIET_MS = 5_000;
/** A session with a standby is not the last word: how long after a look a primary is looked for again, ms. */
const LOOK_AGAIN_MS = 1_000;
/** How long a lock in the way may be the one of our own session that died, and another's that is about to be let go, ms. */
const OWN_LOCK_MS = 5_000;
const OTHER_LOCK_MS = 200;

/** The lock as given to a run: what its holder is shown as, and the lock on the server of the moment; null while there is none. */
interface Grant {
  shown: string;
  words: readonly LockWord[];
  lock: RunLock | null;
  /** When the server could not be reached, on the monotonic clock. */
  missedAt: number;
}

/**
 * The one session of a run with its target. One that ended is opened again when it is asked for, at the leader of the moment, and the
 * run's lock is taken there before anything else is done.
 */
export class FollowingSession {
  readonly #source: () => TargetSource;
  #session: PgSession | undefined;
  #place: Place | undefined;
  #last: Last = { identity: null, primary: false, timeline: null };
  #opening: Promise<PgSession> | undefined;
  /** Sessions with standbys, of which a primary has come since: steps may still be at work by them. */
  readonly #behind: PgSession[] = [];
  #looking = false;
  #lookedAt = 0;
  /** By database. */
  readonly #others = new Map<string, Promise<PgSession>>();
  #grant: Grant | undefined;
  readonly #closed = new AbortController();
  /** The name that a session shows to the server now. */
  readonly #shown = new WeakMap<PgSession, string>();

  constructor(source: () => TargetSource) {
    this.#source = source;
  }

  /** The place of the last session. */
  get place(): Place {
    const { host, port } = this.#source().spec;
    return this.#place ?? { host, port };
  }

  /** As the server told it when it was last asked. */
  get identity(): string | null {
    return this.#last.identity;
  }

  /** The timeline that the primary wrote when its session was opened; null of a standby, and where the role may not ask. */
  get timeline(): number | null {
    return this.#last.primary ? this.#last.timeline : null;
  }

  /** From now on the server must show this system identifier, unless it has shown one. */
  expect(identity: string | null): void {
    this.#last.identity ??= identity;
  }

  /** The run itself has made the server anew, so it does not continue the old one; `identity` is the one that the registry has now. */
  startAnew(identity: string | null): void {
    this.#last = { identity: identity ?? this.#last.identity, primary: false, timeline: null };
  }

  /** The session as it stands, or a new one after one look at each place. @throws as `openAtLeader` does, and lock_lost */
  async now(name: string): Promise<PgSession> {
    const alive = this.#alive();
    return alive ?? this.#opened(name, undefined);
  }

  /** The session; one that ended is waited for. @throws as `openAtLeader` does, and lock_lost */
  async get(name: string, signal?: AbortSignal): Promise<PgSession> {
    const had = this.#session !== undefined;
    // A session that a change has begun to open waits less long.
    if (this.#opening !== undefined)
      await unlessAborted(
        this.#opening.catch(() => {}),
        signal,
      );
    const session =
      this.#alive() ??
      (await unlessAborted(this.#opened(name, had ? PATIENCE_MS : undefined), signal));
    this.#lookAgain(session, name);
    // Others read the lock's holder from the name, so it stays while the lock is held.
    if (this.#grant === undefined) await this.#show(session, name);
    return session;
  }

  /**
   * For a step that needs the primary. A run that is resumed in the middle of a failover begins with a standby: then the primary of the cluster is waited for.
   * @throws as `openAtLeader` does, and lock_lost
   */
  async primary(name: string, signal?: AbortSignal): Promise<void> {
    const session = this.#session;
    if (session?.info.standby !== true || this.#source().cluster === null) return;
    if (!this.#behind.includes(session)) await this.#leave(session);
    this.#last.primary = true;
    await unlessAborted(this.#opened(name, PATIENCE_MS), signal);
  }

  /** The run's session in another database of the server; one that ended is opened again, where the server is now. */
  async inDatabase(database: string, name: string): Promise<PgSession> {
    const before = await this.#others.get(database)?.catch(() => undefined);
    if (before?.alive() === true) {
      if (this.#session !== undefined) this.#lookAgain(this.#session, name);
      return before;
    }
    const opening = this.get(name).then(() => this.another(database, name));
    this.#others.set(database, opening);
    return opening;
  }

  /** A further session, where the last one is unless another place is given. */
  another(
    database: string,
    name: string,
    timeoutMs?: number,
    { host, port } = this.place,
  ): Promise<PgSession> {
    return openSession({
      ...this.#source().spec,
      host,
      port,
      database,
      application_name: name.slice(0, 63),
      ...(timeoutMs === undefined ? {} : { connect_timeout_ms: timeoutMs }),
    });
  }

  /** Takes the lock of the server. Where the server can't be reached it is taken as soon as that can be. */
  async lock(holder: string, words: readonly LockWord[]): Promise<TargetLock | Held> {
    this.#grant = undefined;
    const grant: Grant = {
      shown: `pgdba/${holder}`,
      words,
      lock: null,
      missedAt: -Infinity,
    };
    try {
      const lock = await this.#take(await this.now(grant.shown), grant);
      if ("heldBy" in lock) return lock;
      grant.lock = lock;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      grant.missedAt = performance.now();
    }
    this.#grant = grant;
    return {
      held: () => this.#held(grant),
      release: async () => {
        if (this.#grant === grant) this.#grant = undefined;
        await grant.lock?.release();
      },
    };
  }

  async close(): Promise<void> {
    this.#closed.abort(new PgdbaError("interrupted", "The run has ended"));
    await this.#opening?.catch(() => {});
    for (const other of this.#others.values()) await (await other.catch(() => undefined))?.close();
    await this.#grant?.lock?.release().catch(() => {});
    await Promise.all([...this.#behind, this.#session].map((one) => one?.close()));
  }

  async #held(grant: Grant): Promise<"held" | "unreachable" | { heldBy: string }> {
    if (this.#grant !== grant) return { heldBy: "nobody: this run has given it back" };
    const alive = this.#alive();
    try {
      if (alive === undefined || grant.lock === null) {
        if (performance.now() - grant.missedAt < QUIET_MS) return "unreachable";
        await this.#opened(grant.shown, grant.lock === null ? undefined : BRIEF_MS);
        return "held";
      }
      if (await grant.lock.held()) return "held";
      if (!alive.alive()) return await this.#held(grant);
      return await this.#regainOn(alive, grant);
    } catch (error) {
      if (error instanceof LostTo) return { heldBy: error.holder };
      if (!isUnreachable(error)) throw error;
      // It died while it was asked: the server may be elsewhere by now.
      if (alive?.alive() === false) return this.#held(grant);
      grant.missedAt = performance.now();
      return "unreachable";
    }
  }

  /** The session with its lock, if both stand. */
  #alive(): PgSession | undefined {
    const session = this.#session;
    if (session?.alive() !== true || this.#behind.includes(session)) return undefined;
    return this.#grant === undefined || this.#grant.lock?.alive() === true ? session : undefined;
  }

  /** Parallel steps that find no session wait for one and the same. */
  async #opened(name: string, patienceMs: number | undefined): Promise<PgSession> {
    this.#opening ??= this.#open(name, patienceMs).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(name: string, patienceMs: number | undefined): Promise<PgSession> {
    const source = this.#source();
    const grant = this.#grant;
    await source.prepare?.();
    if (this.#session !== undefined && !this.#behind.includes(this.#session))
      await this.#session.close();
    const { session, place, identity, timeline } = await openAtLeader({
      source,
      last: this.#last,
      place: this.place,
      name: grant?.shown ?? name,
      patienceMs,
      signal: this.#closed.signal,
    });
    if (grant !== undefined && grant === this.#grant) {
      try {
        const held = await this.#keep(session, grant, place);
        if (held !== "held") throw new LostTo(source.name, held.heldBy);
      } catch (error) {
        await session.close();
        throw error;
      }
    }
    this.#session = session;
    this.#lookedAt = performance.now();
    this.#place = place;
    this.#last = {
      identity: identity ?? this.#last.identity,
      primary: !session.info.standby,
      timeline: timeline ?? this.#last.timeline,
    };
    this.#shown.set(session, grant?.shown ?? name);
    return session;
  }

  /** Beside the step that has the session with a standby, which waits for nothing: whoever asks next gets the primary. */
  #lookAgain(session: PgSession, name: string): void {
    const source = this.#source();
    if (source.cluster === null || !session.info.standby || this.#looking) return;
    if (performance.now() - this.#lookedAt < LOOK_AGAIN_MS) return;
    this.#looking = true;
    const { signal } = this.#closed;
    openAtLeader({ source, last: this.#last, place: this.place, name, signal })
      .then(async ({ session: found }) => {
        if (!found.info.standby && this.#session === session) await this.#leave(session);
        await found.close();
      })
      // What it was is the best that there is.
      .catch(() => {})
      .finally(() => {
        this.#lookedAt = performance.now();
        this.#looking = false;
      });
  }

  /** With those in other databases of its server. They are closed with the run. */
  async #leave(session: PgSession): Promise<void> {
    this.#behind.push(session);
    for (const [database, opening] of this.#others) {
      const other = await opening.catch(() => undefined);
      if (other === undefined || !other.info.standby) continue;
      this.#behind.push(other);
      if (this.#others.get(database) === opening) this.#others.delete(database);
    }
  }

  /** The lock goes on where it is when its own connection stands: behind a pooler it has one. */
  async #keep(
    session: PgSession,
    grant: Grant,
    place: Place,
  ): Promise<"held" | { heldBy: string }> {
    const before = this.place;
    const sameServer = place.host === before.host && place.port === before.port;
    if (grant.lock?.alive() === true && sameServer) return "held";
    await grant.lock?.release().catch(() => {});
    return this.#regainOn(session, grant, place);
  }

  /** The server says goodbye before it lets a session's lock go, so what is in the way may be our own. */
  async #regainOn(
    session: PgSession,
    grant: Grant,
    place = this.place,
  ): Promise<"held" | { heldBy: string }> {
    const began = performance.now();
    for (;;) {
      const lock = await this.#take(session, grant, place);
      if (!("heldBy" in lock)) {
        grant.lock = lock;
        return "held";
      }
      const isOwn = grant.shown.startsWith(`pgdba/${lock.heldBy}`);
      const waited = performance.now() - began;
      if (!isOwn && waited > OTHER_LOCK_MS) return lock;
      if (isOwn && waited > OWN_LOCK_MS) throw leftOver(this.#source().name);
      await Bun.sleep(20);
    }
  }

  async #take(
    session: PgSession,
    { shown, words }: Grant,
    place: Place = this.place,
  ): Promise<RunLock | Held> {
    await this.#show(session, shown);
    const spec = { ...this.#source().spec, ...place, application_name: shown.slice(0, 63) };
    return takeRunLock(session, () => openSession(spec), words);
  }

  async #show(session: PgSession, name: string): Promise<void> {
    if (this.#shown.get(session) === name) return;
    this.#shown.set(session, name);
    // A session keeps its name, and behind a pooler the server's session is not ours.
    if (!session.info.pooled) await session.setApplicationName(name);
  }
}

/** The server has not noticed yet that a session of this run has died. Nobody else has the lock. */
function leftOver(name: string): PgdbaError {
  return new PgdbaError(
    "connection_failed",
    `${name} still keeps an earlier session of this run, which holds its lock`,
    {
      hint: "End that session (pg_terminate_backend), or wait until the server notices; then run again or resume.",
      retryable: true,
    },
  );
}

/** Another run has the lock of the server by now. */
class LostTo extends PgdbaError {
  readonly holder: string;

  constructor(name: string, holder: string) {
    super("lock_lost", `While ${name} could not be reached, ${holder} took its lock`, {
      hint: "Wait for that run to end, look at the server, then run again or resume.",
    });
    this.holder = holder;
  }
}

/** True when an error says that nobody could be asked, so that it tells nothing about the holder of the lock. */
function isUnreachable(error: unknown): boolean {
  return (
    error instanceof PgdbaError &&
    ["connection_failed", "timeout", "missing_secret", "no_target"].includes(error.code)
  );
}

/** Settles with `work`, or rejects with the signal's reason; the work goes on for others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
