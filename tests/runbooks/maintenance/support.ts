import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { type Ended, pgdba } from "../config/cli.ts";
import { PGDBA_SOURCE } from "../../support/source.ts";

/** Autovacuum would look after what is planted here. */
const SETTINGS = { autovacuum: "off" };

/** The oldest and the newest that pgdba knows. */
export const PLACES = ([13, 18] as const).map((version) => ({
  name: String(version),
  start: (): Promise<TestServer> => startServer({ version, settings: SETTINGS }),
}));

export interface Bench {
  server: TestServer;
  client: Awaited<ReturnType<typeof clientOf>>;
  home: string;
  /** Runs the command line on the server. */
  pgdba(
    args: string[],
    more?: Record<string, string>,
    preload?: string,
    kill?: AbortSignal,
  ): Promise<Ended>;
  /** Runs a command as it stands in an answer, in a shell. */
  shell(command: string): Promise<{ exit: number; envelope: any }>;
  rows(sql: string, values?: unknown[]): Promise<any[]>;
  stop(): Promise<void>;
}

export async function bench(start: () => Promise<TestServer>): Promise<Bench> {
  const home = await mkdtemp(join(tmpdir(), "pgdba-maintenance-"));
  const server = await start();
  const client = await clientOf(server);
  const env = {
    PGDBA_HOME: home,
    PGDBA_SOURCE,
    PGDBA_PG_HOST: server.host,
    PGDBA_PG_PORT: String(server.port),
    PGDBA_PG_USER: server.user,
    PGDBA_PG_DATABASE: server.database,
    PGDBA_PG_PASSWORD: server.password,
  };
  return {
    server,
    client,
    home,
    pgdba: (args, more = {}, preload, kill) =>
      pgdba([...args, "--quiet"], { ...env, ...more }, preload, kill),
    async shell(command) {
      const engine = join(import.meta.dir, "../../../engine");
      const child = Bun.spawn(["sh", "-c", command], {
        env: { ...env, PATH: `${engine}:${process.env["PATH"] ?? ""}`, HOME: home },
        cwd: home,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "ignore",
      });
      const out = await child.stdout.text();
      return { exit: await child.exited, envelope: JSON.parse(out) };
    },
    rows: async (sql, values = []) => (await client.query(sql, values)).rows,
    async stop() {
      await client.end();
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
