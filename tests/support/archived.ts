/** A server that archives its WAL into a repository in a folder, for tests of backups. */
import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { take, type TakeOrder, type TakeWorld } from "../../providers/backup/take.ts";
import { push } from "../../providers/backup/wal.ts";
import type { NodeRepository } from "../../providers/backup/work.ts";
import { openReplication } from "../../providers/postgres/replication/session.ts";
import { openSession, type PgSession } from "../../providers/postgres/session.ts";
import type { Repository } from "../../providers/repository/contract.ts";
import type { ClusterKey } from "../../providers/repository/layout.ts";
import { makeRepository, openRepository } from "../../providers/repository/open.ts";
import {
  clientOf,
  type ServerOptions,
  startServer,
  type TestServer,
  type Version,
} from "./postgres.ts";

export interface Archived {
  server: TestServer;
  repository: Repository;
  settings: NodeRepository;
  key: ClusterKey;
  /** The folder of the repository. */
  folder: string;
  /** No segment arrives any more; the server goes on as if each did. */
  halt(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** The server copies each segment to a spool, from where this process puts it into the repository as `pgdba wal push` does. */
export async function startArchived(
  version: Version,
  options: ServerOptions = {},
): Promise<Archived> {
  const base = await mkdtemp(join(tmpdir(), "pgdba-archived-"));
  await chmod(base, 0o755);
  const spool = join(base, "spool");
  await mkdir(spool);
  const server = await startServer({
    ...options,
    version,
    settings: {
      archive_mode: "on",
      // A standby gives no backup without.
      full_page_writes: "on",
      archive_command: `cp %p ${spool}/.%f && mv ${spool}/.%f ${spool}/%f`,
      ...options.settings,
    },
    async prepare(dataDir) {
      const { uid, gid } = await stat(dataDir);
      await chown(spool, uid, gid);
      await options.prepare?.(dataDir);
    },
  });
  const client = await clientOf(server);
  const { rows } = await client.query("select system_identifier::text id from pg_control_system()");
  await client.end();
  const key = { system_identifier: rows[0].id, version, cluster_id: "one" };
  const place = { kind: "directory", path: join(base, "repository") } as const;
  await makeRepository(place);
  const settings = { place, write: key, read: [key] };
  const file = join(base, "repository.json");
  await writeFile(file, JSON.stringify(settings));
  const end = new AbortController();
  let halted = false;
  const pushing = (async () => {
    while (!end.signal.aborted) {
      const names = halted ? [] : (await readdir(spool)).filter((name) => !name.startsWith("."));
      for (const name of names.toSorted()) {
        await push(join(spool, name), { cwd: spool, settings: file, signal: end.signal });
        await rm(join(spool, name));
      }
      await Bun.sleep(20);
    }
  })();
  const repository = await openRepository(place);
  return {
    server,
    repository,
    settings,
    key,
    folder: place.path,
    halt: () => void (halted = true),
    resume: () => void (halted = false),
    async stop() {
      end.abort();
      await pushing.catch(() => {});
      await server.stop();
      await rm(base, { recursive: true, force: true });
    },
  };
}

const never = new AbortController().signal;
/** How a test connects to it. */
const specOf = (server: TestServer) => ({
  ...server,
  password: () => server.password,
  sslmode: "prefer" as const,
  application_name: "pgdba test",
});

function orderOf({ key }: Pick<Archived, "key">, id: string): TakeOrder {
  return {
    id,
    type: "full",
    parent: null,
    key,
    cluster: "test",
    node: "pg1",
    run: "run-1",
    tool: "pgdba test",
    checkpoint: "fast",
    max_rate_kb: null,
    level: 1,
    wal_timeout_ms: 60_000,
  };
}

/** A backup of the server, by all that a real one is taken by. */
export async function takeBackup(
  { server, repository, key }: Archived,
  id: string,
  more: Partial<TakeOrder> = {},
  world: Partial<TakeWorld> = {},
) {
  const replication = await openReplication(specOf(server));
  const opened: PgSession[] = [];
  const open = async (database?: string) => {
    const pg = await openSession({ ...specOf(server), ...(database ? { database } : {}) });
    opened.push(pg);
    return pg;
  };
  try {
    return await take(
      { ...orderOf({ key }, id), ...more },
      {
        repository,
        replication,
        server: open,
        primary: () => open(),
        tell: () => {},
        now: () => new Date(),
        signal: never,
        ...world,
      },
    );
  } finally {
    replication.close();
    for (const pg of opened) await pg.close();
  }
}
