import { PgdbaError } from "../../engine/errors.ts";
import type { AccessFor } from "../../engine/types.ts";
import { PATRONI_READS, patroniClient, type PatroniClient } from "../patroni/client.ts";
import { guardedSession } from "../postgres/guard/guarded-session.ts";
import { readOnly } from "../postgres/guard/read.ts";
import { readOnlySession } from "../postgres/read-only-session.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import type { ReplicationSession } from "../postgres/replication/session.ts";
import { openSession, type PgSession } from "../postgres/session.ts";
import type { MemberAccess, PostgresAccess } from "./access.ts";
import { onlyReads } from "./only-reads.ts";
import type { FollowingSession } from "./following.ts";
import { memberMeant, type NamedMember } from "./member-name.ts";
import type { Place, TargetSource } from "./source.ts";

/** Rows of a RETURNING that are kept; the statement itself always runs to its end. */
const MAX_RETURNED = 1_000;
/** How long Patroni is given to name the members, ms. */
const PATRONI_MS = 1_500;
/** How long a read of Patroni is repeated while no member answers, ms. */
const PATIENCE_MS = 5_000;

/** See `Access.postgres`. */
export function postgresAccess(
  source: TargetSource,
  following: FollowingSession,
  on: AccessFor,
): PostgresAccess {
  const { password: _, ...spec } = source.spec;
  const name = nameOf(on);
  const narrow = narrowed(on);
  const session = async (database = spec.database) => {
    if (on.needs?.includes("primary") === true) await following.primary(name, on.signal);
    return narrow(
      database === spec.database
        ? await following.get(name, on.signal)
        : await following.inDatabase(database, name),
    );
  };
  return {
    spec,
    session,
    async passfile(file) {
      if (on.own === true) {
        throw new PgdbaError("step_refused", "A step type of your own gets no password", {
          hint: "Ask by `query`, `execute` or `session()`.",
        });
      }
      const { writePassfile } = await import("../postgres/write-passfile.ts");
      await source.prepare?.();
      return writePassfile(file, source.spec);
    },
    async query(sql, values, options = {}) {
      return readOnly(await session(), sql, { values, ...options, signal: on.signal });
    },
    async execute(sql, values = [], { maxRows = MAX_RETURNED, ...options } = {}) {
      const pg = await session();
      return pg.transaction({ readOnly: false, ...options, signal: on.signal }, (run) =>
        run(sql, values, { maxRows, drain: true }),
      );
    },
    async replication() {
      // Where the session is: after a failover that is another server than the entry names.
      await session();
      return replicationTo({ ...source.spec, ...source.replication, ...following.place }, on);
    },
    open: async (database = spec.database, { timeoutMs, through } = {}) =>
      narrow(
        await following.another(
          database,
          name,
          timeoutMs,
          through === undefined ? undefined : poolerOf(source, through),
        ),
      ),
  };
}

/** The place of a PgBouncer of the cluster: the password goes nowhere else. @throws PgdbaError invalid_param */
function poolerOf({ name, pgbouncer }: TargetSource, instance: string): Place {
  const found = pgbouncer?.instances.find((one) => one.name === instance);
  if (found !== undefined) return found;
  throw new PgdbaError("invalid_param", `${name} has no PgBouncer ${instance}`, {
    hint: `It has ${(pgbouncer?.instances ?? []).map((one) => one.name).join(", ") || "none"}.`,
  });
}

/** See `Access.member`. */
export function memberAccess(source: TargetSource, on: AccessFor): MemberAccess {
  const narrow = narrowed(on);
  const find = async (text: string): Promise<NamedMember> => {
    const known = registered(source).find(({ name }) => name === text);
    // A Patroni that does not answer must not be waited for where it is not needed.
    return known ?? memberMeant(source.name, await membersKnown(source, on.signal), text);
  };
  const way: MemberAccess["way"] = async (member) => {
    const [{ host, port } = source.spec] = (await find(member)).places;
    return async ({ database = source.spec.database, timeoutMs } = {}) =>
      narrow(
        await openSession({
          ...source.spec,
          host,
          port,
          database,
          application_name: nameOf(on),
          ...(timeoutMs === undefined ? {} : { connect_timeout_ms: timeoutMs }),
        }),
      );
  };
  return {
    async find(text) {
      return (await find(text)).name;
    },
    registered: () => registered(source).map(({ name }) => name),
    async place(text) {
      const [{ host, port } = source.spec] = (await find(text)).places;
      return { host, port };
    },
    async list() {
      return (await membersKnown(source, on.signal)).map(({ name }) => name).toSorted();
    },
    async replication(member) {
      const [{ host, port } = source.spec] = (await find(member)).places;
      return replicationTo({ ...source.spec, ...source.replication, host, port }, on);
    },
    async open(member, database, { timeoutMs } = {}) {
      const open = await way(member);
      return open({
        ...(database === undefined ? {} : { database }),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
    },
    way,
  };
}

/** It reads all data of the server, and uses up its connections: no read of a target, and nothing for a type that nobody has looked at. */
async function replicationTo(spec: ConnectionSpec, on: AccessFor): Promise<ReplicationSession> {
  if (on.effect === "read" || on.own === true)
    throw new PgdbaError(
      "step_refused",
      "This step gets no connection of the replication protocol",
      {
        hint: "Only steps of pgdba that change something do.",
        nothingDone: true,
      },
    );
  const { openReplication } = await import("../postgres/replication/session.ts");
  return openReplication({ ...spec, application_name: nameOf(on) });
}

/** See `Access.patroni`. */
export async function patroniAccess(source: TargetSource, on: AccessFor): Promise<PatroniClient> {
  if (source.patroni === undefined) {
    throw new PgdbaError("capability_missing", `${source.name} is not known to be run by Patroni`, {
      hint: "Name Patroni's REST API in the cluster's file: `patroni: {endpoints: [http://host:8008]}`.",
    });
  }
  const client = await patroniClient(source.patroni, { patienceMs: PATIENCE_MS });
  return on.effect === "read" ? onlyReads(client, PATRONI_READS, "patroni") : client;
}

/** The members that the registry knows, each with the place to reach it from here first, and then that for other members. */
function registered({ members = [] }: TargetSource): NamedMember[] {
  return members.map(({ name, inside, host, port }) => ({
    name,
    places: [{ host, port }, ...(inside ? [inside] : [])],
  }));
}

/** The same with what Patroni tells; the registry's are known also while that does not answer. */
async function membersKnown(source: TargetSource, signal: AbortSignal): Promise<NamedMember[]> {
  const known = registered(source);
  const told = await toldBy(source.patroni, signal).catch((error: unknown) => {
    if (known.length === 0 || signal.aborted) throw error;
    return [];
  });
  const names = [...new Set([...told, ...known].map(({ name }) => name))];
  return names.map((name) => ({
    name,
    places: [
      ...(known.find((one) => one.name === name)?.places ?? []),
      ...told.filter((one) => one.name === name).map(({ host, port }) => ({ host, port })),
    ],
  }));
}

async function toldBy(patroni: TargetSource["patroni"], signal: AbortSignal) {
  if (patroni === undefined) return [];
  const late = AbortSignal.any([signal, AbortSignal.timeout(PATRONI_MS)]);
  return (await patroniClient(patroni)).members(late);
}

function narrowed({ effect, rollsBack, own }: AccessFor): (pg: PgSession) => PgSession {
  if (effect !== "read" || rollsBack) return (pg) => pg;
  return own ? guardedSession : readOnlySession;
}

function nameOf({ run }: AccessFor): string {
  return `pgdba/${run}`;
}
