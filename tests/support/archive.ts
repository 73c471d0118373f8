/** A server that archives into a folder, and a repository in memory that is filled from it. */
import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import type { BackupRecord } from "../../providers/backup/record.ts";
import type { Repository, Stored } from "../../providers/repository/contract.ts";
import { type ClusterKey, recordName, walName } from "../../providers/repository/layout.ts";
import { clientOf, startServer, type TestServer, type Version } from "./postgres.ts";

export class MemoryRepository implements Pick<Repository, "list" | "names" | "read"> {
  readonly objects = new Map<string, { bytes: Uint8Array; at: Date }>();

  async *list(prefix: string): AsyncGenerator<Stored> {
    for (const [name, { bytes, at }] of [...this.objects].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      if (name.startsWith(prefix)) yield { name, bytes: bytes.length, at };
  }

  async *names(prefix: string): AsyncGenerator<string> {
    for await (const { name } of this.list(prefix)) yield name;
  }

  async read(name: string) {
    const found = this.objects.get(name);
    return found
      ? (async function* () {
          yield found.bytes;
        })()
      : null;
  }

  put(name: string, content: string | Uint8Array, at = new Date()): void {
    this.objects.set(name, { bytes: Buffer.from(content as string), at });
  }
}

export interface Archived {
  server: TestServer;
  client: Awaited<ReturnType<typeof clientOf>>;
  key: ClusterKey;
  repository: MemoryRepository;
  /** Ends the segment, waits until it is archived, and puts all that was archived into the repository. */
  collect(): Promise<void>;
  /** The record of a backup that was begun and ended now; no byte of it is kept. */
  backup(id: string, more?: Partial<BackupRecord>): Promise<BackupRecord>;
  one<T>(sql: string): Promise<T>;
  stop(): Promise<void>;
}

export async function archivingServer(version: Version, settings = {}): Promise<Archived> {
  let folder = "";
  const server = await startServer({
    version,
    settings: {
      wal_level: "replica",
      archive_mode: "on",
      archive_command: "cp %p ../archive/%f.new && mv ../archive/%f.new ../archive/%f",
      ...settings,
    },
    initdbArgs: ["--wal-segsize=1"],
    async prepare(dataDir) {
      folder = join(dirname(dataDir), "archive");
      await mkdir(folder);
      const { uid, gid } = await stat(dataDir);
      await chown(folder, uid, gid);
    },
  });
  const client = await clientOf(server);
  const one = async <T>(sql: string) =>
    (await client.query({ text: sql, rowMode: "array" })).rows[0]![0] as T;
  const key: ClusterKey = {
    system_identifier: await one("select system_identifier::text from pg_control_system()"),
    version,
    cluster_id: "c1",
  };
  const repository = new MemoryRepository();
  const collect = async () => {
    const file = await one<string>("select pg_walfile_name(pg_switch_wal())");
    for (;;) {
      const last = await one<string | null>("select last_archived_wal from pg_stat_archiver");
      if ((last ?? "") >= file) break;
      await Bun.sleep(20);
    }
    for (const name of await readdir(folder)) {
      if (name.endsWith(".new") || repository.objects.has(walName(key, name))) continue;
      const bytes = await readFile(join(folder, name));
      const { mtime } = await stat(join(folder, name));
      const stored = name.endsWith(".history") ? bytes : zstdCompressSync(bytes);
      repository.put(walName(key, name), stored, mtime);
    }
  };
  const backup = async (id: string, more: Partial<BackupRecord> = {}) => {
    const isOld = version < 15;
    const segment = (lsn: string) => one<string>(`select pg_walfile_name('${lsn}')`);
    const started_at = await one<Date>("select now()");
    const start = await one<string>(
      isOld ? "select pg_start_backup('t', true, false)" : "select pg_backup_start('t', true)",
    );
    const end = await one<string>(
      isOld
        ? "select lsn from pg_stop_backup(false, false)"
        : "select lsn from pg_backup_stop(false)",
    );
    const record: BackupRecord = {
      format: 1,
      id,
      type: "full",
      parent: null,
      cluster: { ...key, name: "orders" },
      node: "pg1",
      source: "primary",
      started_at: started_at.toISOString(),
      finished_at: (await one<Date>("select now()")).toISOString(),
      wal: {
        timeline: 1,
        start_lsn: start,
        start_segment: await segment(start),
        end_timeline: 1,
        end_lsn: end,
        end_segment: await segment(end),
      },
      parts: [],
      manifest: null,
      bytes: 0,
      stored_bytes: 0,
      compression: "zstd",
      server: {
        version: "0",
        block_size: 8192,
        segment_bytes: 1 << 20,
        checksums: false,
        settings: {},
      },
      databases: [],
      run: "r",
      tool: "test",
      ...more,
    };
    repository.put(recordName(key, id), JSON.stringify(record));
    return record;
  };
  const stop = async () => {
    await client.end();
    await server.stop();
  };
  return { server, client, key, repository, collect, backup, one, stop };
}
