/** A server on which runs that mend are killed, and all that they can leave on it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "pg";
import { cli, type Place, type Ran, Running } from "../../e2e/support.ts";
import { inProcess } from "../in-process.ts";
import { clientOf, reload, type TestServer } from "../postgres.ts";

const KILL_AT = join(import.meta.dir, "kill-at.ts");
const STATE = readFileSync(join(import.meta.dir, "state.sql"), "utf8");
/** A statement that a dead run has left to the server ends by then, also on a busy machine. */
const ENDS_MS = 60_000;

/** The database in which all happens. */
export const DATABASE = "killed";

const CLEAR = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('${DATABASE}', 'beside') AND pid <> pg_backend_pid()`;

export class Scene {
  readonly server: TestServer;
  readonly standby: TestServer | undefined;
  readonly #clients: Client[] = [];
  readonly #templates = new Set<string>();

  constructor(server: TestServer, standby?: TestServer) {
    this.server = server;
    this.standby = standby;
  }

  /** A session that goes with the trial. */
  async session(application = "somebody", database = DATABASE): Promise<Client> {
    const client = await clientOf(this.server, database);
    this.#clients.push(client);
    await client.query(`SET application_name = '${application}'`);
    return client;
  }

  /** Does something with a session that ends at once. */
  async sql(text: string, database = DATABASE): Promise<any[]> {
    const client = await clientOf(this.server, database);
    try {
      let rows: any[] = [];
      for (const one of text.split(/;\s*\n/))
        if (one.trim() !== "") ({ rows } = await client.query(one));
      return rows;
    } finally {
      await client.end();
    }
  }

  /** A server without what earlier trials have left, and the database anew, as `template` makes it. */
  async ready(name: string, template: string): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.end().catch(() => {});
    const dba = await clientOf(this.server);
    const all = async (text: string) => (await dba.query(text)).rows as Record<string, string>[];
    try {
      for (const { database, gid } of await all("SELECT database, gid FROM pg_prepared_xacts"))
        await this.sql(`ROLLBACK PREPARED '${gid}'`, database);
      for (const { name: sub } of await all("SELECT subname AS name FROM pg_subscription")) {
        await this.sql(`ALTER SUBSCRIPTION ${sub} DISABLE`);
        await this.sql(`ALTER SUBSCRIPTION ${sub} SET (slot_name = NONE)`);
        await this.sql(`DROP SUBSCRIPTION ${sub}`);
      }
      await dba.query(CLEAR);
      await dba.query(
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL AND slot_type = 'logical'",
      );
      await this.until(
        async () =>
          (await all("SELECT FROM pg_replication_slots WHERE active AND slot_type = 'logical'"))
            .length === 0,
        "slots are free",
      );
      await dba.query(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
      );
      await dba.query("ALTER SYSTEM RESET ALL");
      await reload(dba);
      for (const one of [DATABASE, "beside"]) await dba.query(`DROP DATABASE IF EXISTS ${one}`);
      if (!this.#templates.has(name)) {
        await dba.query(`CREATE DATABASE ${name}`);
        await this.sql(template, name);
        this.#templates.add(name);
      }
      for (const { role } of await all(
        "SELECT rolname AS role FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'",
      )) {
        await dba.query(`DROP OWNED BY "${role}"`);
        await dba.query(`DROP ROLE "${role}"`);
      }
      await dba.query(`CREATE DATABASE ${DATABASE} TEMPLATE ${name}`);
    } finally {
      await dba.end();
    }
  }

  env(at: "primary" | "standby"): Record<string, string> {
    const { host, user, password } = this.server;
    const { port } = at === "standby" ? this.standby! : this.server;
    return {
      PGDBA_PG_HOST: host,
      PGDBA_PG_PORT: String(port),
      PGDBA_PG_USER: user,
      // Replay that is paused never comes to the new database.
      PGDBA_PG_DATABASE: at === "standby" ? "postgres" : DATABASE,
      PGDBA_PG_PASSWORD: password,
    };
  }

  /** `pgdba <words>` in a process that kills itself, or tells its moments. */
  begin(place: Place, env: Record<string, string>, words: string[]): Running {
    return new Running([...words, "--yes", "--format", "json"], place, { preload: KILL_AT, env });
  }

  run(
    place: Place,
    env: Record<string, string>,
    words: string[],
  ): Promise<{ exit: number; envelope: any }> {
    return inProcess([...words, "--format", "json", "--full"], { ...place.env, ...env }, place.cwd);
  }

  runApart(place: Place, env: Record<string, string>, words: string[]): Promise<Ran> {
    return cli([...words, "--format", "json", "--full"], place, { env });
  }

  /** What is there, a line for each thing. */
  async state(): Promise<string[]> {
    const client = await clientOf(this.server, DATABASE);
    const lines = (await client.query(STATE)).rows.map(({ line }) => String(line));
    await client.end();
    if (this.standby === undefined) return lines;
    const there = await clientOf(this.standby);
    const { rows } = await there.query("SELECT pg_is_wal_replay_paused() AS paused");
    await there.end();
    return [...lines, `replay paused ${rows[0].paused}`];
  }

  /** What of pgdba is still connected, or locked. */
  async atWork(): Promise<string[]> {
    const rows = await this.sql(
      `SELECT a.application_name || ': ' || left(a.query, 100) AS line FROM pg_stat_activity a WHERE a.application_name LIKE 'pgdba%' OR a.application_name = 'pg_repack'
       UNION ALL SELECT 'advisory lock of ' || l.pid FROM pg_locks l WHERE l.locktype = 'advisory'`,
      "postgres",
    );
    return rows.map(({ line }) => line);
  }

  /** Waits until the server has ended what a dead run has begun; what has not ended by then. */
  async settled(): Promise<string[]> {
    let left = await this.atWork();
    const deadline = performance.now() + ENDS_MS;
    while (left.length > 0 && performance.now() < deadline) {
      await Bun.sleep(20);
      left = await this.atWork();
    }
    return left;
  }

  async until(is: () => Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + ENDS_MS;
    while (!(await is())) {
      if (performance.now() > deadline) throw new Error(`never: ${what}`);
      await Bun.sleep(20);
    }
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.end().catch(() => {});
    await this.standby?.stop();
    await this.server.stop();
  }
}

/** Files of a state folder that a run must not leave once it has ended. */
export function filesLeft({ home }: Place): string[] {
  return ["tmp", "rights", "twin"].flatMap((folder) => {
    const path = join(home, folder);
    return existsSync(path) ? readdirSync(path).map((name) => `${folder}/${name}`) : [];
  });
}
