/** A server that archives, its repository in a folder, and its entry in a registry of its own: what figures of backups and of restores stand on. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeRepository } from "../providers/repository/open.ts";
import { binariesOf, debianPostgres } from "../tests/support/debian.ts";
import { clientOf, startServer } from "../tests/support/postgres.ts";

export const pgdba = join(dirname(import.meta.dir), "engine", "pgdba");

/** Rows of the table that has so many gigabytes. */
export const rowsOf = (gigabytes: number): number => Math.round(gigabytes * 6_000_000);

export async function setStage(archiving: (root: string, settings: string) => string) {
  const debian = debianPostgres();
  if (debian === undefined) throw new Error("PostgreSQL of Debian's packages is needed");
  const root = mkdtempSync(join(tmpdir(), "pgdba-bench-"));
  chmodSync(root, 0o755);
  const settings = join(root, "repository.json");
  const folder = join(root, "repository");
  const home = join(root, "home");
  const server = await startServer({
    version: debian.version,
    binaries: binariesOf(debian),
    settings: {
      archive_mode: "on",
      archive_command: archiving(root, settings),
      full_page_writes: "on",
      max_wal_size: "4GB",
      autovacuum: "off",
    },
  });
  const { uid, gid } = statSync(server.dataDir);
  const end = async () => {
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    await makeRepository({ kind: "directory", path: folder });
    for (const path of [folder, join(folder, ".pgdba-repository")]) chownSync(path, uid, gid);
    const client = await clientOf(server);
    const { rows } = await client.query(
      "select system_identifier::text id from pg_control_system()",
    );
    const key = { system_identifier: rows[0].id, version: server.version, cluster_id: "bench" };
    for (const path of [home, join(home, "clusters"), join(home, "secrets")]) mkdirSync(path);
    writeFileSync(join(home, "secrets", "superuser"), server.password, { mode: 0o600 });
    writeFileSync(
      join(home, "clusters", "bench.yaml"),
      `ownership: connected
system_identifier: "${key.system_identifier}"
version: ${server.version}
cluster_id: bench
postgres: {host: 127.0.0.1, port: ${server.port}, user: postgres, password_secret: superuser}
secrets: {superuser: {file: secrets/superuser}}
repository: {kind: directory, location: ${folder}}
`,
    );
    return {
      root,
      settings,
      folder,
      home,
      server,
      client,
      key,
      /** The folder of the server's programs, and its account. */
      bin: debian.bin,
      uid,
      gid,
      /** From now on what is archived can reach the repository. */
      connect() {
        const place = { kind: "directory", path: folder };
        writeFileSync(settings, JSON.stringify({ place, write: key, read: [key] }));
        chmodSync(settings, 0o644);
      },
      /** Makes the table `big`; the bytes of all databases. */
      async fill(gigabytes: number): Promise<number> {
        await client.query(`create table big as select g as id, md5(g::text) as a, md5((g * 7)::text) as b, repeat(md5((g % 1000)::text), 2) as c,
          now() as at from generate_series(1, ${rowsOf(gigabytes)}) g`);
        await client.query("checkpoint");
        const { rows: size } = await client.query(
          "select sum(pg_database_size(oid))::bigint as bytes from pg_database",
        );
        const bytes = Number(size[0].bytes);
        console.log(
          `${new Date().toISOString()}, ${availableParallelism()} CPUs, ${(bytes / 1e9).toFixed(2)} GB, PostgreSQL ${server.version}`,
        );
        return bytes;
      },
      /** pg_basebackup, in tar files. */
      base(into: string, ...more: string[]): string[] {
        const at = ["-h", "127.0.0.1", "-p", String(server.port), "-U", "postgres"];
        const how = ["-Ft", "-D", into, "-X", "none", "-c", "fast"];
        return [join(debian.bin, "pg_basebackup"), ...at, ...how, ...more];
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** 0 where there is nothing. */
export function sizeOf(path: string): number {
  return Number(Bun.spawnSync(["du", "-sb", path]).stdout.toString().split("\t")[0]);
}
