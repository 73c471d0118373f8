import { PgdbaError } from "../../../engine/errors.ts";
import { isLeader } from "../../../providers/patroni/members.ts";
import type { Found } from "./probe.ts";

export interface Judged {
  scope: string | null;
  identity: string;
  version_num: number;
  leader: Found;
  /** What is wrong with it, and does not keep it from being registered when that is accepted. */
  problems: string[];
}

/** Judges what was found of a cluster. @throws PgdbaError what must not be registered under one name, or can't be reached at all */
export function judgeFound(found: readonly Found[], accepts: boolean): Judged {
  const reached = found.filter(({ server }) => server !== null);
  const [first] = found;
  if (first === undefined)
    throw new PgdbaError("step_refused", "Patroni knows no member of this cluster", {
      hint: "Wait until its first member has started, or give --patroni-url of another cluster.",
    });
  if (reached.length === 0) throw noServer(found);
  const identity = identityOf(found);
  const leader = leaderOf(found);
  const problems = [...found.flatMap(unreachable), ...found.flatMap((one) => idle(one, leader))];
  if (problems.length > 0 && !accepts) {
    throw new PgdbaError("step_refused", `Not all of the cluster is well: ${problems.join("; ")}`, {
      hint: `${
        found.some(({ server, status }) => server === null || status === null) ? `${HOW} ` : ""
      }To register it as it is, with this as warnings, add --accept-problems.`,
      data: { problems },
    });
  }
  return {
    scope: found.find(({ status }) => status?.patroni.scope)?.status?.patroni.scope ?? null,
    identity,
    version_num: reached[0]!.server!.version_num,
    leader,
    problems,
  };
}

/** What to do about a place that Patroni tells its members and that can't be reached from here. */
const HOW =
  'Where a member is reached from here at another place than the one that Patroni tells, say so: --members \'{"pg1": {"patroni": "http://host:8008", "postgres": "host:5432"}}\'.';

function noServer(found: readonly Found[]): PgdbaError {
  const [why] = found.flatMap(({ serverWhy }) => serverWhy ?? []);
  const asksPassword = found.some(({ serverWhy }) => serverWhy?.code === "missing_secret");
  const said = found.map(({ name, reach, serverWhy }) =>
    asksPassword ? `${name} (${reach.host}:${reach.port})` : `${name}: ${serverWhy?.message}`,
  );
  if (asksPassword) {
    return new PgdbaError(
      "missing_secret",
      `PostgreSQL of ${said.join(", ")} asks for a password, and none was named`,
      {
        hint: "Put it into a variable, and name that: --pg-user postgres --password-env ORDERS_PASSWORD.",
        cause: why,
      },
    );
  }
  return new PgdbaError(
    "connection_failed",
    `No PostgreSQL of the cluster can be reached from here: ${said.join("; ")}`,
    { hint: HOW, cause: why },
  );
}

/** The one that all tell, over SQL and over the API. @throws PgdbaError identity_mismatch | insufficient_privilege */
function identityOf(found: readonly Found[]): string {
  const told = found.flatMap(({ name, server, status }) => [
    ...(server?.identity ? [{ by: `PostgreSQL of ${name}`, identity: server.identity }] : []),
    ...(status?.database_system_identifier
      ? [{ by: `Patroni of ${name}`, identity: status.database_system_identifier }]
      : []),
  ]);
  const [first] = told;
  if (first === undefined) {
    throw new PgdbaError("insufficient_privilege", "Nobody tells the cluster's system identifier", {
      hint: "Let the role of --pg-user read it: GRANT EXECUTE ON FUNCTION pg_control_system() TO it.",
    });
  }
  const other = told.find(({ identity }) => identity !== first.identity);
  if (other === undefined) return first.identity;
  throw new PgdbaError(
    "identity_mismatch",
    `${other.by} has system identifier ${other.identity}, and ${first.by} has ${first.identity}: they are not one cluster`,
    { hint: `Nothing was registered. ${HOW}` },
  );
}

/** @throws PgdbaError step_refused unless there is exactly one, and it takes writes or leads a standby cluster */
function leaderOf(found: readonly Found[]): Found {
  const leaders = found.filter(isLeader);
  const [leader] = leaders;
  const refuse = (why: string): never => {
    throw new PgdbaError("step_refused", why, {
      hint: "Nothing was registered. Look at it with `patronictl list`, and connect it when it has one leader.",
    });
  };
  if (leader === undefined || leaders.length > 1)
    return refuse(
      leader === undefined
        ? "Patroni names no leader of the cluster"
        : `Patroni names several leaders: ${leaders.map(({ name }) => name).join(", ")}`,
    );
  const others = found.filter(({ server }) => server !== null && !server.standby);
  const wild = others.filter((one) => one !== leader);
  if (wild.length > 0)
    return refuse(
      `${wild.map(({ name }) => name).join(", ")} takes writes, and is not the leader, which is ${leader.name}`,
    );
  return leader;
}

function unreachable({ name, api, reach, statusWhy, serverWhy }: Found): string[] {
  return [
    ...(statusWhy === null ? [] : [`${name}'s Patroni is not reached at ${api} (${statusWhy})`]),
    ...(serverWhy === null
      ? []
      : [
          `${name}'s PostgreSQL is not reached at ${reach.host}:${reach.port} (${serverWhy.message})`,
        ]),
  ];
}

/** A member that is reached and does not receive WAL, by its own word and by that of whoever may send it. */
function idle({ name, server }: Found, leader: Found): string[] {
  if (server === null || !server.standby || name === leader.name) return [];
  if (server.receiver === "streaming" || leader.server?.streams.includes(name)) return [];
  return [`${name} does not receive WAL from ${leader.name}`];
}
