import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, StepContext } from "../../../engine/types.ts";
import {
  clientOf,
  type ServerOptions,
  startServer,
  type TestServer,
} from "../../support/postgres.ts";
import { type FakeContext, fakeContext } from "../../support/context.ts";
import { onSession } from "../../support/target.ts";
import { openSession, type PgSession, specOf } from "../../providers/postgres/helpers.ts";

/** Time as it is: progress is asked for once a second. */
const clock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((done, fail) => {
      signal?.throwIfAborted();
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        fail(signal.reason);
      });
    }),
};

export interface Bench {
  server: TestServer;
  client: Awaited<ReturnType<typeof clientOf>>;
  stateDir: string;
  /** A context whose target is the server's default database. */
  context(overrides?: Partial<Pick<StepContext, "log" | "attached">>): FakeContext;
  /** Planner cost of a statement on the server. */
  cost(sql: string): Promise<number>;
  stop(): Promise<void>;
}

/** A server of its own with what the index steps need around it. */
export async function bench(
  settings: Record<string, string> = {},
  from: Pick<ServerOptions, "version" | "binaries"> = {},
): Promise<Bench> {
  const stateDir = await mkdtemp(join(tmpdir(), "pgdba-index-"));
  await chmod(stateDir, 0o755);
  const server = await startServer({ settings, ...from });
  const client = await clientOf(server);
  const sessions: PgSession[] = [];
  const open = async (): Promise<PgSession> => {
    const session = await openSession(specOf(server));
    sessions.push(session);
    return session;
  };
  const main = await open();
  return {
    server,
    client,
    stateDir,
    context: (overrides = {}) =>
      fakeContext({
        clock,
        run: { stateDir },
        target: onSession(main, specOf(server)),
        ...overrides,
      }),
    cost: async (sql) =>
      (await client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"][0].Plan[
        "Total Cost"
      ] as number,
    async stop() {
      for (const session of sessions) await session.close();
      await client.end();
      await server.stop();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}
