import type { AccessFor, Effect, Target } from "../../engine/types.ts";
import type { ConnectionSpec } from "../../providers/postgres/connect.ts";
import { openReplication } from "../../providers/postgres/replication/session.ts";
import { openSession, type PgSession } from "../../providers/postgres/session.ts";
import { writePassfile } from "../../providers/postgres/write-passfile.ts";
import type { PostgresAccess } from "../../providers/target/access.ts";

/** As a step of the effect `change` uses a target. */
export function accessFor(effect: Effect = "change", run = "run-1"): AccessFor {
  return {
    run,
    path: "step",
    effect,
    rollsBack: false,
    hazards: [],
    signal: new AbortController().signal,
  };
}

/** The access of a step to the PostgreSQL of a target. */
export async function postgresOf(target: Target, on = accessFor()): Promise<PostgresAccess> {
  return (await target.use!("postgres", on)) as PostgresAccess;
}

/** A real target for a fake context: methods of a class are not copied into it. */
export function through(target: Target): Partial<Target> {
  const { name, cluster, labels, ownership, expectedIdentity } = target;
  return {
    name,
    cluster,
    labels,
    ownership,
    expectedIdentity,
    ...(target.use ? { use: (what, on) => target.use!(what, on) } : {}),
    ...(target.lock ? { lock: (holder, words) => target.lock!(holder, words) } : {}),
    ...(target.refresh ? { refresh: () => target.refresh!() } : {}),
    ...(target.expect ? { expect: (identity) => target.expect!(identity) } : {}),
    facts: () => target.facts(),
    flags: target.flags ?? [],
    close: () => target.close(),
  };
}

/** A target whose shared session is this one. */
export function onSession(session: PgSession, spec: ConnectionSpec): Partial<Target> {
  const access: PostgresAccess = {
    spec,
    session: async () => session,
    open: (database = spec.database) => openSession({ ...spec, database }),
    replication: () => openReplication(spec),
    query: (sql, values) => session.query(sql, values),
    execute: (sql, values) => session.query(sql, values),
    passfile: (file) => writePassfile(file, spec),
  };
  return {
    use: async () => access,
    facts: async () => ({ state: "up", identity: null, capabilities: ["postgres"], facts: {} }),
  };
}
