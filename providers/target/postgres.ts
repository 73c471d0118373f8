import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { AccessFor, LockWord, Target, TargetFacts, TargetLock } from "../../engine/types.ts";
import { identityOf } from "../postgres/identity.ts";
import { dcsAccess } from "./dcs-access.ts";
import { type Capability, waysTo } from "./capabilities.ts";
import { FollowingSession } from "./following.ts";
import { TargetNodes } from "./nodes.ts";
import type { Held } from "./lock.ts";
import { memberAccess, patroniAccess, postgresAccess } from "./postgres-access.ts";
import { whyNotUp } from "./not-up.ts";
import { TargetRepository } from "./repository-access.ts";
import type { Place, TargetSource } from "./source.ts";

/** A target that flags or the registry describe: a server, or a cluster with one leader. */
export class PostgresTarget implements Target {
  #source: TargetSource;
  readonly #again: (() => Promise<TargetSource | undefined>) | undefined;
  readonly #following: FollowingSession;
  readonly #nodes: TargetNodes;
  #facts: Promise<TargetFacts> | undefined;
  readonly #repository = new TargetRepository(
    () => this.name,
    (on) => this.#nodes.use(on),
  );

  /** `again` reads anew what describes it; undefined when that is gone. */
  constructor(source: TargetSource, again?: () => Promise<TargetSource | undefined>) {
    this.#source = source;
    this.#again = again;
    this.#following = new FollowingSession(() => this.#source);
    this.#nodes = new TargetNodes(() => this.#source);
  }

  get name(): string {
    return this.#source.name;
  }

  get cluster(): string | null {
    return this.#source.cluster;
  }

  get labels(): readonly string[] {
    return this.#source.labels;
  }

  get ownership(): Target["ownership"] {
    return this.#source.ownership;
  }

  get expectedIdentity(): string | null {
    return this.#source.expectedIdentity;
  }

  get assumed(): boolean {
    return this.#source.assumed === true;
  }

  get flags(): readonly string[] {
    return this.#source.flags ?? [];
  }

  facts(): Promise<TargetFacts> {
    this.#facts ??= this.#readFacts();
    return this.#facts;
  }

  /** See `Target.refresh`. */
  async refresh(): Promise<TargetFacts> {
    const source = this.#again === undefined ? this.#source : await this.#again();
    if (source === undefined) return GONE;
    this.#source = source;
    this.#following.startAnew(this.#source.expectedIdentity);
    this.#facts = this.#readFacts();
    return this.#facts;
  }

  expect(identity: string): void {
    this.#following.expect(identity);
  }

  /** See `StepContext.use`. @throws PgdbaError capability_missing */
  async use(what: string, on: AccessFor): Promise<unknown> {
    // Nodes are there before any server is.
    if (what === "nodes") return this.#nodes.use(on);
    // A repository is there also while no server is.
    if (what === "repository") return this.#repository.use(this.#source.repository, on);
    if (what === "monitoring" && this.#source.monitoring !== undefined) {
      const { monitoringAccess } = await import("../monitoring/client.ts");
      return monitoringAccess(this.name, this.#source.monitoring, on);
    }
    // So is the store of its state.
    await this.#source.prepare?.({ server: what !== "dcs" });
    if (what === "postgres") return postgresAccess(this.#source, this.#following, on);
    if (what === "member") return memberAccess(this.#source, on);
    if (what === "patroni") return patroniAccess(this.#source, on);
    if (what === "pgbouncer" && this.#source.pgbouncer !== undefined) {
      const { pgbouncerAccess } = await import("../pgbouncer/client.ts");
      return pgbouncerAccess(this.#source.pgbouncer, on, this.#source.spec);
    }
    if (what === "dcs") return dcsAccess(this.#source, on);
    throw new PgdbaError("capability_missing", `${this.name} has no ${what}`, {
      hint: "Choose another target or runbook.",
    });
  }

  lock(holder: string, words: readonly LockWord[] = ["all"]): Promise<TargetLock | Held> {
    return this.#following.lock(holder, words);
  }

  async close(): Promise<void> {
    try {
      await this.#following.close();
      await this.#repository.close();
    } finally {
      await this.#nodes.close();
    }
  }

  /** Gates and expressions have to know that it does not answer. */
  async #readFacts(): Promise<TargetFacts> {
    try {
      return await this.#whenUp();
    } catch (thrown) {
      const why = toPgdbaError(thrown);
      if (why.code === "lock_lost" || why.code === "identity_mismatch") throw why;
      // The server that comes up later must be the registered one.
      this.#following.expect(this.#source.expectedIdentity);
      const known = await this.#source.known?.(null, null);
      return {
        ...(await whyNotUp(this.#source, this.#nodes, why)),
        ways: waysTo(this.#source.cluster !== null),
        warnings: assumption(this.#source),
        ...known,
      };
    }
  }

  async #whenUp(): Promise<TargetFacts> {
    const source = this.#source;
    const session = await this.#following.now("pgdba");
    const { info } = session;
    const { rows } = await session.ask(
      `SELECT inet_server_addr()::text AS address, EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')
         AND current_setting('pg_stat_statements.max', true) IS NOT NULL AS statements,
         (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory`,
    );
    const role = info.standby ? "standby" : "primary";
    const capabilities: Capability[] = ["postgres", role];
    if (source.patroni !== undefined) capabilities.push("patroni");
    if (source.dcs !== undefined) capabilities.push("dcs");
    if (source.pgbouncer !== undefined) capabilities.push("pgbouncer");
    if (hasMembers(source)) capabilities.push("member");
    if (source.nodes !== undefined) capabilities.push("nodes");
    if (source.repository !== undefined) capabilities.push("repository");
    if (source.monitoring !== undefined) capabilities.push("monitoring");
    if (info.superuser) capabilities.push("superuser");
    if (info.superuser || info.pg_monitor) capabilities.push("pg_monitor");
    if (rows[0]?.["statements"] === true) capabilities.push("pg_stat_statements");
    const identity = this.#following.identity ?? (await identityOf(session));
    return {
      state: source.partialBy === undefined ? "up" : "partial",
      partialBy: source.partialBy,
      identity,
      capabilities,
      ways: waysTo(source.cluster !== null, rows[0]?.["data_directory"] as string | null),
      warnings: [
        ...assumption(source),
        ...(info.standby && hasMembers(source) ? [onStandby(source, this.#following.place)] : []),
      ],
      ...(await source.known?.(session, identity)),
      facts: {
        can: await this.#nodes.can(),
        version: info.version,
        version_num: info.version_num,
        role,
        timeline: this.#following.timeline,
        database: info.database,
        user: info.user,
        ...this.#following.place,
        member: memberAt(source, this.#following.place),
        members: source.cluster === null ? [] : (source.members ?? []).map(({ name }) => name),
        address: rows[0]?.["address"] ?? null,
      },
    };
  }
}

/** Whoever reads the answer has to know of which cluster it is. */
function assumption({ name, assumed }: TargetSource): string[] {
  return assumed === true
    ? [`No target was named: this is ${name}, the only cluster that is registered`]
    : [];
}

/** The name of the member that listens at a place; null where nobody knows. */
function memberAt({ member, members = [] }: TargetSource, { host, port }: Place): string | null {
  return member ?? members.find((one) => one.host === host && one.port === port)?.name ?? null;
}

/** A run that reads may go on there; what it reads is told as what it is. */
function onStandby({ name }: TargetSource, { host, port }: Place): string {
  return `No primary of ${name} answers: what is read comes from the standby ${host}:${port}, which may be behind`;
}

/** It was there when the run began. */
const GONE: TargetFacts = {
  state: "absent",
  why: new PgdbaError("no_target", "The cluster has been taken out of the registry", {
    hint: "Nothing more can be done with it under this name.",
  }),
  identity: null,
  capabilities: [],
  facts: {},
};

/** True when it has members that are known by name. */
function hasMembers({ members = [], patroni }: TargetSource): boolean {
  return members.length > 0 || patroni !== undefined;
}
