import { afterAll, beforeAll } from "bun:test";
import { cli, type Options, type Place, place, type Ran, removePlaces } from "../../e2e/support.ts";
import { inProcess } from "../../support/in-process.ts";
import { clientOf, startServer, type TestServer, type Version } from "../../support/postgres.ts";

export interface World {
  server: TestServer;
  at: Place;
  /** Runs statements one by one in a session of its own, as the superuser; gives the rows of the last one. */
  sql(...statements: string[]): Promise<any[]>;
  /** `pgdba sequence …` on the server, against the sources. */
  pgdba(args: string[], options?: Options & { at?: Place }): Promise<Ran>;
}

/** A server of its own for the tests of a `describe`, and the command line for it. */
export function worldOf(version: Version, settings: Record<string, string> = {}): World {
  const world = {} as World;
  beforeAll(async () => {
    world.server = await startServer({ version, settings });
    const { host, port, user, password } = world.server;
    world.at = place();
    const env = {
      PGDBA_PG_HOST: host,
      PGDBA_PG_PORT: String(port),
      PGDBA_PG_USER: user,
      PGDBA_PG_DATABASE: "postgres",
      PGDBA_PG_PASSWORD: password,
      PGSSLMODE: "disable",
    };
    world.pgdba = async (args, options = {}) => {
      const at = options.at ?? world.at;
      const all = { ...env, ...options.env };
      // What is killed, or looks at its working folder, is a process of its own.
      if (Object.keys(options).some((key) => !["env", "at"].includes(key)))
        return cli([...args, "--quiet"], at, { ...options, env: all });
      const whole = { ...at.env, ...all } as Record<string, string>;
      const { exit, envelope, stderr } = await inProcess([...args, "--quiet"], whole, at.cwd);
      return { exit, envelope, stderr, stdout: JSON.stringify(envelope) };
    };
    world.sql = async (...statements) => {
      const client = await clientOf(world.server);
      try {
        let rows: any[] = [];
        for (const statement of statements) ({ rows } = await client.query(statement));
        return rows;
      } finally {
        await client.end();
      }
    };
  }, 300_000);
  afterAll(async () => {
    await world.server?.stop();
    removePlaces();
  });
  return world;
}
