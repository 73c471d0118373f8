/**
 * A client that writes numbered rows through a pool address, as an application would, and knows afterwards what was lost: every
 * row that it has an answer for must be there, and none that was surely not written.
 */

import type { Client } from "pg";

export interface WriterSpec {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** Connections that write at the same time; 4 without it. */
  connections?: number;
  /** Each waits so long between its transactions, ms; 0 without it. */
  restMs?: number;
  /** It is made where it is not there. */
  table?: string;
  /** The certificate of the authority to trust: it connects by TLS, and verifies, then. */
  ca?: string | undefined;
}

/** A transaction, or a connection, that failed. */
export interface Failure {
  /** Monotonic, ms since the writer began. */
  at: number;
  /** `unknown`: it broke while COMMIT was under way, so that nobody knows. `connect`: no transaction was begun. */
  what: "failed" | "unknown" | "connect";
  code: string;
  message: string;
}

export interface Written {
  acknowledged: number;
  failed: number;
  unknown: number;
  /** Attempts to connect that failed. */
  refused: number;
  failures: Failure[];
  longestGapMs: number;
}

export interface Writer {
  /** Monotonic, ms since it began. */
  now(): number;
  /** What was written and failed since `from`. */
  report(from?: number): Written;
  /** Resolves with the next row that is acknowledged, begun after the call. */
  next(ms?: number): Promise<void>;
  /** Ends all connections; a transaction under way is unknown. */
  stop(): Promise<Written>;
  /** Looks at what is there, by a client of the primary; stop it first. */
  check(client: Client): Promise<{ lost: number[]; ghosts: number[] }>;
}

/** More are counted and not kept. */
const MOST_FAILURES = 1000;

export async function startWriter(spec: WriterSpec): Promise<Writer> {
  const { connections = 4, restMs = 0, table = "pgdba_writes" } = spec;
  const began = performance.now();
  const now = () => performance.now() - began;
  const acknowledged = new Map<number, number>();
  const failed = new Set<number>();
  const unknown = new Set<number>();
  const failures: Failure[] = [];
  const counts = { refused: 0 };
  const open = new Set<Client>();
  let last = 0;
  let over = false;
  let wanted: { after: number; done: () => void }[] = [];

  const fail = (what: Failure["what"], error: unknown): void => {
    const { code, message } = error as Error & { code?: unknown };
    if (failures.length < MOST_FAILURES)
      failures.push({ at: now(), what, code: String(code ?? ""), message });
  };
  const connect = async (): Promise<Client> => {
    const { Client } = await import("pg");
    const { host, port, user, password, database, ca } = spec;
    const client = new Client({
      host,
      port,
      user,
      password,
      database,
      ...(ca === undefined ? {} : { ssl: { ca } }),
    });
    client.on("error", () => {});
    open.add(client);
    await client.connect();
    return client;
  };
  const drop = (client: Client): void => {
    open.delete(client);
    client.connection.stream.destroy();
  };

  /** One row, in a transaction of its own. Throws where the connection can't be used any more. */
  const write = async (client: Client): Promise<void> => {
    const id = ++last;
    const begun = now();
    try {
      await client.query("BEGIN");
      await client.query(`INSERT INTO ${table} (id) VALUES (${id})`);
    } catch (error) {
      failed.add(id);
      if (!over) fail("failed", error);
      throw error;
    }
    let warned: string | undefined;
    const notice = ({ message = "" }: { message?: string | undefined }) => {
      warned = message;
    };
    client.on("notice", notice);
    try {
      const { command } = await client.query("COMMIT");
      if (command !== "COMMIT") {
        failed.add(id);
        fail("failed", new Error(`COMMIT was answered by ${command}`));
      } else if (warned !== undefined) {
        // "canceling wait for synchronous replication": it is here, and on no standby yet.
        unknown.add(id);
        fail("unknown", new Error(`COMMIT warned: ${warned}`));
      } else {
        acknowledged.set(id, now());
        for (const one of wanted.filter(({ after }) => begun >= after)) one.done();
        wanted = wanted.filter(({ after }) => begun < after);
      }
    } catch (error) {
      unknown.add(id);
      if (!over) fail("unknown", error);
      throw error;
    } finally {
      client.off("notice", notice);
    }
  };

  const loop = async (): Promise<void> => {
    while (!over) {
      let client: Client;
      try {
        client = await connect();
      } catch (error) {
        if (over) return;
        counts.refused += 1;
        fail("connect", error);
        await Bun.sleep(20);
        continue;
      }
      try {
        while (!over) {
          await write(client);
          if (restMs > 0) await Bun.sleep(restMs);
        }
      } catch {
        // Counted; a new connection follows.
      } finally {
        drop(client);
      }
    }
  };

  const first = await connect();
  try {
    await first.query(`CREATE TABLE IF NOT EXISTS ${table} (id bigint PRIMARY KEY)`);
    await first.query(`TRUNCATE ${table}`);
  } finally {
    drop(first);
  }
  const loops = Array.from({ length: connections }, loop);
  const report = (from = 0): Written => {
    const times = [...acknowledged.values()].filter((at) => at >= from).toSorted((a, b) => a - b);
    const edges = [from, ...times, ...(over ? [] : [now()])];
    const gaps = edges.slice(1).map((at, index) => at - (edges[index] as number));
    const since = failures.filter(({ at }) => at >= from);
    const count = (what: Failure["what"]) => since.filter((one) => one.what === what).length;
    return {
      acknowledged: times.length,
      failed: count("failed"),
      unknown: count("unknown"),
      refused: count("connect"),
      failures: since,
      longestGapMs: Math.round(Math.max(0, ...gaps)),
    };
  };
  return {
    now,
    report,
    async next(ms = 60_000) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      wanted.push({ after: now(), done: resolve });
      const timer = setTimeout(
        () =>
          reject(
            new Error(
              `no row was acknowledged within ${ms} ms: ${JSON.stringify(failures.slice(-5))}`,
            ),
          ),
        ms,
      );
      await promise.finally(() => clearTimeout(timer));
    },
    async stop() {
      over = true;
      // Those that run have a moment to end; one that hangs is cut.
      const cut = setTimeout(() => [...open].forEach(drop), 2000);
      await Promise.all(loops);
      clearTimeout(cut);
      return report();
    },
    async check(client) {
      const { rows } = await client.query<{ id: string }>(`SELECT id::text FROM ${table}`);
      const there = new Set(rows.map(({ id }) => Number(id)));
      const lost = [...acknowledged.keys()].filter((id) => !there.has(id));
      const ghosts = [...there].filter((id) => failed.has(id) || id > last);
      return { lost, ghosts };
    },
  };
}
