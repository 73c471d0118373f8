/** Servers in which a test plants what a runbook is to mend: the oldest and the newest that pgdba knows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { inProcess } from "./in-process.ts";
import { clientOf, startServer, type TestServer } from "./postgres.ts";

export interface Planted extends TestServer {
  /** The state folder, which is the working folder as well. */
  home: string;
  /** Runs pgdba on it, in a state folder of its own; gives the envelope and the exit code. */
  run(words: string[], env?: Record<string, string>): Promise<{ exit: number; envelope: any }>;
  /** A session shown by this name, which ends with the server. */
  session(application: string, database?: string): Promise<Client>;
}

type Settings = Record<string, string | number | boolean>;

export const VERSIONS_HERE = [13, 18] as const;

export async function planted(
  version: (typeof VERSIONS_HERE)[number],
  settings: Settings = {},
): Promise<Planted> {
  const server = await startServer({ version, settings });
  const home = mkdtempSync(join(tmpdir(), "pgdba-planted-"));
  const env = {
    PGDBA_HOME: home,
    PGDBA_PG_HOST: server.host,
    PGDBA_PG_PORT: String(server.port),
    PGDBA_PG_USER: server.user,
    PGDBA_PG_DATABASE: server.database,
    PGDBA_PG_PASSWORD: server.password,
  };
  const clients: Client[] = [];
  return {
    ...server,
    home,
    run: (words, more = {}) => inProcess([...words, "--format", "json"], { ...env, ...more }),
    async session(application, database) {
      const client = await clientOf(server, database);
      clients.push(client);
      await client.query(`SET application_name = '${application}'`);
      return client;
    },
    async stop() {
      for (const client of clients) await client.end().catch(() => {});
      await server.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** The process behind a session. */
export async function pidOf(client: Client): Promise<number> {
  return (await client.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
}
