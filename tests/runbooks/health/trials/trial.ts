/** What a trial of a health check is made of: its problem is planted, it must be found, its remedy is done as it is told, and it must be gone. */

import type { Client } from "pg";
import type { JsonObject } from "../../../../engine/types.ts";
import type { Finding } from "../../../../steps/health/findings/findings.ts";
import type { TestServer, Version } from "../../../support/postgres.ts";
import type { Report } from "../support.ts";

export interface Trial {
  check: string;
  /** The first and the last version it is tried on. */
  from?: Version;
  to?: Version;
  /** The standby is examined instead of the server. */
  on?: "standby";
  /** Params of the check under which the problem, and nothing healthy beside it, is one. */
  thresholds?: JsonObject | ((world: World) => Promise<JsonObject>);
  /** SQL, or whatever it takes. Healthy things may stand beside the problem: they must not be found. */
  plant: string | ((world: World) => Promise<unknown>);
  /** `severity object`, one for each that must be found; with those of other trials of the check they are all that may be. */
  finds: string[] | ((world: World) => string[]);
  /** Without it the SQL of each finding, or its command when it has none, is run as it stands. */
  remedy?: Deed | Untried;
  /** The versions on which the command of a finding is run, and not its SQL, which comes to the same; by default the even ones. */
  commands?: readonly Version[];
  /** Does what led to the problem once more, after the remedy: nothing may be found. */
  again?(world: World): Promise<unknown>;
  /** Beyond the finding being gone: what the remedy must have left as it was, or made right. */
  leaves?(world: World): Promise<unknown>;
}

/** What the test does where the remedy is words; `told` is the part of its text that says so. */
export interface Deed {
  told: RegExp;
  does(world: World, finding: Finding): Promise<unknown>;
  /** Only for findings without SQL and command; those of the others are run as they stand. */
  also?: true;
}

/** Why nothing is done: the finding tells of something that has happened, or it takes what no test has. */
export interface Untried {
  untried: string;
}

export interface World {
  server: TestServer;
  /** Its standby, in a scene that has one. */
  standby: TestServer;
  /** Runs SQL statement by statement in a session of its own, as the superuser; gives the rows of the last one. */
  query(sql: string, where?: Where): Promise<any[]>;
  /** A session that stays until the scene ends. */
  open(where?: Where): Promise<Client>;
  examine(input: JsonObject, server?: TestServer): Promise<Report>;
  /** What trials of a scene tell each other. */
  notes: Record<string, unknown>;
}

export interface Where {
  server?: TestServer;
  database?: string;
  user?: string;
  password?: string;
}

export function pidOf(client: Client): number {
  return (client as unknown as { processID: number }).processID;
}

/** What its transaction manager says, of each that there is. */
export async function rollBack({ query }: World): Promise<void> {
  const left = await query(
    "select database, format('rollback prepared %L', gid) as sql from pg_prepared_xacts",
  );
  for (const { database, sql } of left) await query(sql, { database });
}
