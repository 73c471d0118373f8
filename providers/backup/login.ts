import { PgdbaError } from "../../engine/errors.ts";
import type { ConnectionSpec, SslMode } from "../postgres/connect.ts";
import { passwordIn } from "../postgres/passfile.ts";
import { openSession, type PgSession } from "../postgres/session.ts";

/** The way to a server, as an order names it. The password comes from the file that PGPASSFILE names, as every node has one. */
export interface Login {
  host: string;
  port: number;
  user: string;
  database: string;
  sslmode?: SslMode;
  sslrootcert?: string;
}

export function specOf(
  login: Login,
  env: Readonly<Record<string, string | undefined>>,
  warn: (text: string) => void,
): ConnectionSpec {
  const file = env["PGPASSFILE"];
  return {
    sslmode: "prefer",
    ...login,
    application_name: "pgdba work",
    password: () => (file ? passwordIn(file, login, (why) => warn(why)) : undefined),
  };
}

/** Sessions with the servers of a cluster, opened when they are asked for, and the one of them that is the primary at the moment. */
export class Servers {
  readonly #specs: readonly ConnectionSpec[];
  readonly #opened: PgSession[] = [];
  #primary: PgSession | undefined;

  /** @param specs all members, for each of them may be the primary */
  constructor(specs: readonly ConnectionSpec[]) {
    this.#specs = specs;
  }

  async open(spec: ConnectionSpec): Promise<PgSession> {
    const pg = await openSession(spec);
    this.#opened.push(pg);
    return pg;
  }

  /** @throws PgdbaError connection_failed when none takes writes */
  async primary(): Promise<PgSession> {
    if (this.#primary?.alive() && !(await isStandby(this.#primary))) return this.#primary;
    const reasons: string[] = [];
    for (const spec of this.#specs) {
      try {
        const pg = await this.open(spec);
        if (!(await isStandby(pg))) return (this.#primary = pg);
        await pg.close();
        reasons.push(`${spec.host}:${spec.port} is a standby`);
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    throw new PgdbaError("connection_failed", `No server is the primary: ${reasons.join("; ")}`, {
      hint: "A failover may be under way. Look with `pgdba cluster status`, then take the backup again.",
      retryable: true,
    });
  }

  async close(): Promise<void> {
    for (const pg of this.#opened) await pg.close();
  }
}

async function isStandby(pg: PgSession): Promise<boolean> {
  const { rows } = await pg.ask("SELECT pg_is_in_recovery() AS standby");
  return rows[0]?.["standby"] === true;
}
