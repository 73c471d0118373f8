import type { Capability } from "./capabilities.ts";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { AccessFor, LockWord, Target, TargetFacts, TargetLock } from "../../engine/types.ts";
import type { PatroniSpec } from "../patroni/requests.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import { identityOf } from "../postgres/identity.ts";
import { type Held, type RunLock, takeRunLock } from "./lock.ts";
import { openSession, type PgSession } from "../postgres/session.ts";

/** What the SQL steps get as `ctx.target.connection`. */
export interface PgConnection {
  readonly spec: ConnectionSpec;
  /** The REST API of the Patroni that runs the server; null when the registry names none. */
  readonly patroni: PatroniSpec | null;
  /** The flags that name this server and database to another command. */
  readonly flags: readonly string[];
  /**
   * The target's one session, opened when first asked for and again after it died, shown as `name` in pg_stat_activity.
   * @throws PgdbaError connection_failed | missing_secret | lock_lost (it died while it held the lock)
   */
  session(name: string): Promise<PgSession>;
  /** A further session, to another database; the caller closes it. Gives up connecting after `timeoutMs`. */
  open(database: string, name: string, timeoutMs?: number): Promise<PgSession>;
  /**
   * For a step that has restarted the server itself: ends the session that died with it, and takes the lock again if it was held.
   * @throws PgdbaError lock_lost when another run has taken it meanwhile | connection_failed
   */
  reopen(name: string): Promise<void>;
}

/** A server as flags, environment or the registry describe it. */
export interface TargetSource {
  name: string;
  cluster: string | null;
  labels: string[];
  ownership: Target["ownership"];
  expectedIdentity: string | null;
  spec: ConnectionSpec;
  patroni?: PatroniSpec;
  flags?: readonly string[];
  /** What the registry says of the server that answers. */
  known?(
    session: PgSession,
    identity: string | null,
  ): Promise<Pick<TargetFacts, "known" | "places">>;
}

/** The lock as given to a run: as it is held now, and what its holder is shown as. */
interface Grant {
  lock: RunLock;
  shown: string;
  words: readonly LockWord[];
}

export class PostgresTarget implements Target {
  readonly name: string;
  readonly cluster: string | null;
  readonly labels: readonly string[];
  readonly ownership: Target["ownership"];
  readonly expectedIdentity: string | null;
  readonly connection: PgConnection;
  readonly #spec: ConnectionSpec;
  readonly #known: TargetSource["known"];
  #session: PgSession | undefined;
  #opening: Promise<PgSession> | undefined;
  /** How a session calls itself to the server now. */
  readonly #shown = new WeakMap<PgSession, string>();
  #facts: Promise<TargetFacts> | undefined;
  /** As the server told it when it was first asked. */
  #identity: string | null = null;
  /** The lock that was given and not given back. */
  #grant: Grant | undefined;

  constructor(source: TargetSource) {
    this.name = source.name;
    this.cluster = source.cluster;
    this.labels = source.labels;
    this.ownership = source.ownership;
    this.expectedIdentity = source.expectedIdentity;
    this.#spec = source.spec;
    this.#known = source.known;
    this.connection = {
      spec: source.spec,
      patroni: source.patroni ?? null,
      flags: source.flags ?? [],
      session: (name) => this.#named(name),
      open: (database, name, timeoutMs) =>
        openSession({
          ...source.spec,
          database,
          application_name: name,
          ...(timeoutMs === undefined ? {} : { connect_timeout_ms: timeoutMs }),
        }),
      reopen: (name) => this.#reopen(name),
    };
  }

  facts(): Promise<TargetFacts> {
    this.#facts ??= this.#readFacts().catch((thrown: unknown) => {
      this.#facts = undefined;
      // That it does not answer is for the gates and the expressions to know.
      const why = toPgdbaError(thrown);
      return { state: "unreachable", why, identity: null, capabilities: [], facts: {} };
    });
    return this.#facts;
  }

  /** See `StepContext.use`. @throws PgdbaError capability_missing */
  async use(what: string, _on: AccessFor): Promise<unknown> {
    if (what === "postgres") return this.connection;
    throw new PgdbaError("capability_missing", `${this.name} has no ${what}`, {
      hint: "Choose another target or runbook.",
    });
  }

  /** See `takeRunLock`. */
  async lock(holder: string, words: readonly LockWord[] = ["all"]): Promise<TargetLock | Held> {
    this.#grant = undefined;
    const shown = `pgdba/${holder}`;
    const lock = await this.#lock(await this.#open(shown), shown, words);
    if ("heldBy" in lock) return lock;
    const grant: Grant = { lock, shown, words };
    this.#grant = grant;
    return {
      held: async () => this.#grant === grant && grant.lock.alive() && grant.lock.held(),
      release: async () => {
        if (this.#grant === grant) this.#grant = undefined;
        await grant.lock.release();
      },
    };
  }

  async #lock(
    session: PgSession,
    shown: string,
    words: readonly LockWord[],
  ): Promise<RunLock | Held> {
    await this.#show(session, shown);
    return takeRunLock(
      session,
      () => openSession({ ...this.#spec, application_name: shown.slice(0, 63) }),
      words,
    );
  }

  /** The server says goodbye before it lets a session's lock go, so what is in the way may be our own. */
  async #regain(session: PgSession, { shown, words }: Grant): Promise<RunLock | Held> {
    const began = performance.now();
    for (;;) {
      const lock = await this.#lock(session, shown, words);
      if (!("heldBy" in lock)) return lock;
      const patience = shown.startsWith(`pgdba/${lock.heldBy}`) ? 5_000 : 200;
      if (performance.now() - began > patience) return lock;
      await Bun.sleep(20);
    }
  }

  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    await this.#grant?.lock.release().catch(() => {});
    await this.#session?.close();
    this.#session = undefined;
  }

  async #reopen(name: string): Promise<void> {
    const grant = this.#grant;
    await this.#session?.close();
    // While it is being opened the lock is not held; the grant keeps its dead session, and says so.
    this.#session = undefined;
    const session = await this.#opened(name);
    if (grant === undefined || this.#grant !== grant) return;
    const lock = await this.#regain(session, grant);
    if ("heldBy" in lock) {
      await this.close();
      throw new PgdbaError(
        "lock_lost",
        `While ${this.name} restarted, ${lock.heldBy} took its lock`,
        {
          hint: "Wait for that run to end, look at the server, then run again or resume.",
        },
      );
    }
    grant.lock = lock;
  }

  async #named(name: string): Promise<PgSession> {
    const session = await this.#open(name);
    // Others read the lock's holder from the name, so it stays while the lock is held.
    if (this.#grant === undefined) await this.#show(session, name);
    return session;
  }

  async #show(session: PgSession, name: string): Promise<void> {
    if (this.#shown.get(session) === name) return;
    this.#shown.set(session, name);
    // What a session is called stays with it, and behind a pooler it is not ours.
    if (!session.info.pooled) await session.setApplicationName(name);
  }

  async #open(name: string): Promise<PgSession> {
    if (this.#grant?.lock.alive() === false) {
      throw new PgdbaError(
        "lock_lost",
        `The connection that held the lock on ${this.name} has ended`,
        {
          hint: "Another run may have begun there since. Look at the server, then run again or resume.",
        },
      );
    }
    return this.#session?.alive() ? this.#session : this.#opened(name);
  }

  async #opened(name: string): Promise<PgSession> {
    // Parallel steps that find no session wait for one and the same.
    this.#opening ??= openSession({ ...this.#spec, application_name: name }).finally(() => {
      this.#opening = undefined;
    });
    const session = await this.#opening;
    await this.#sameServer(session);
    this.#session = session;
    this.#shown.set(session, name);
    return session;
  }

  /** Another server may answer under the name by now. @throws PgdbaError identity_mismatch */
  async #sameServer(session: PgSession): Promise<void> {
    const before = this.#identity;
    if (before === null) return;
    const now = await identityOf(session);
    if (now === null || now === before) return;
    await session.close();
    throw new PgdbaError(
      "identity_mismatch",
      `${this.name} answered with system identifier ${before} when the run began, and answers with ${now} now`,
      { hint: "Another server has taken this name. Look at both, then run again or resume." },
    );
  }

  async #readFacts(): Promise<TargetFacts> {
    const session = await this.#open("pgdba");
    const { info } = session;
    const { rows } = await session.ask(
      `SELECT inet_server_addr()::text AS address, EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')
         AND current_setting('pg_stat_statements.max', true) IS NOT NULL AS statements`,
    );
    const role = info.standby ? "standby" : "primary";
    const capabilities: Capability[] = ["postgres", role];
    if (this.connection.patroni !== null) capabilities.push("patroni");
    if (info.superuser) capabilities.push("superuser");
    if (info.superuser || info.pg_monitor) capabilities.push("pg_monitor");
    if (rows[0]?.statements === true) capabilities.push("pg_stat_statements");
    const identity = await identityOf(session);
    this.#identity = identity;
    return {
      state: "up",
      identity,
      capabilities,
      ...(await this.#known?.(session, identity)),
      facts: {
        version: info.version,
        version_num: info.version_num,
        role,
        database: info.database,
        user: info.user,
        host: this.#spec.host,
        port: this.#spec.port,
        address: rows[0]?.address ?? null,
      },
    };
  }
}
