/**
 * A backup of a database of two gigabytes, beside pg_basebackup (with and without zstd) and pgBackRest, on one server in one run: seconds, and of our own
 * process its CPU and the most memory that it held. All of them write to the same disk, and those that compress do it at the same level.
 *
 *   npm run bench:backup -- [GIGABYTES]
 */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeRepository } from "../providers/repository/open.ts";
import { binariesOf, debianPostgres } from "../tests/support/debian.ts";
import { watchPeak } from "../tests/support/peak-memory.ts";
import { clientOf, startServer } from "../tests/support/postgres.ts";
import { installed } from "./measure.ts";

const LEVEL = 3;
const gigabytes = Number(process.argv[2] ?? 2);
const pgdba = join(dirname(import.meta.dir), "engine", "pgdba");
const debian = debianPostgres();
if (debian === undefined) throw new Error("PostgreSQL of Debian's packages is needed");

const root = mkdtempSync(join(tmpdir(), "pgdba-bench-"));
chmodSync(root, 0o755);
const settings = join(root, "repository.json");
const folder = join(root, "repository");
const server = await startServer({
  version: debian.version,
  binaries: binariesOf(debian),
  settings: {
    archive_mode: "on",
    archive_command: `if [ -s ${settings} ]; then ${pgdba} wal push --settings ${settings} %p; fi`,
    full_page_writes: "on",
    max_wal_size: "4GB",
    autovacuum: "off",
  },
});

interface Took {
  what: string;
  seconds: number;
  megabytes: number;
  cpu: number | null;
  peak: number | null;
}
/** Set once the data are there; each line is printed at once, for a run takes minutes. */
let bytes = 0;

function print({ what, seconds, megabytes, cpu, peak }: Took): void {
  const rate = (bytes / 1e6 / seconds).toFixed(0).padStart(6);
  const own = cpu === null ? "" : `  cpu ${cpu.toFixed(1)} s`;
  const held = peak === null ? "" : `  peak ${peak.toFixed(0)} MB`;
  const load = loadavg()[0]!.toFixed(1);
  console.log(
    `${what.padEnd(64)} ${seconds.toFixed(1).padStart(7)} s ${rate} MB/s ${megabytes.toFixed(0).padStart(6)} MB kept${own}${held}  load ${load}`,
  );
}

function sizeOf(path: string): number {
  const { stdout } = Bun.spawnSync(["du", "-sb", path]);
  return Number(stdout.toString().split("\t")[0]);
}

async function timed(
  what: string,
  argv: string[],
  into: string,
  more: Record<string, string> = {},
) {
  const started = performance.now();
  const child = Bun.spawn(argv, {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PGPASSWORD: server.password, ...more },
  });
  const peak = watchPeak(child);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(" ")}: ${err.slice(-800)} ${out.slice(-800)}`);
  const seconds = (performance.now() - started) / 1000;
  const used = child.resourceUsage()?.cpuTime.total;
  print({
    what,
    seconds,
    megabytes: sizeOf(into) / 1e6,
    cpu: used === undefined ? null : Number(used) / 1e6,
    peak: peak.megabytes(),
  });
}

try {
  await makeRepository({ kind: "directory", path: folder });
  const { uid, gid } = statSync(server.dataDir);
  for (const path of [folder, join(folder, ".pgdba-repository")]) chownSync(path, uid, gid);
  const client = await clientOf(server);
  const { rows: found } = await client.query(
    "select system_identifier::text id from pg_control_system()",
  );
  const key = { system_identifier: found[0].id, version: server.version, cluster_id: "bench" };
  await client.query(`create table big as select g as id, md5(g::text) as a, md5((g * 7)::text) as b, repeat(md5((g % 1000)::text), 2) as c,
    now() as at from generate_series(1, ${Math.round(gigabytes * 6_000_000)}) g`);
  await client.query("checkpoint");
  const { rows: size } = await client.query(
    "select sum(pg_database_size(oid))::bigint as bytes from pg_database",
  );
  bytes = Number(size[0].bytes);
  console.log(
    `${new Date().toISOString()}, ${availableParallelism()} CPUs, ${(bytes / 1e9).toFixed(2)} GB, PostgreSQL ${server.version}`,
  );
  writeFileSync(
    settings,
    JSON.stringify({ place: { kind: "directory", path: folder }, write: key, read: [key] }),
  );
  chmodSync(settings, 0o644);
  await client.end();

  const home = join(root, "home");
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
  const own = { PGDBA_HOME: home };
  const part = join(folder, key.system_identifier, String(server.version), "bench", "backup");
  const create = (...more: string[]) => [
    pgdba,
    "backup",
    "create",
    "--cluster",
    "bench",
    "--level",
    String(LEVEL),
    "-q",
    ...more,
  ];
  const base = (name: string, ...more: string[]): [string[], string] => {
    const into = join(root, name);
    return [
      [
        join(debian.bin, "pg_basebackup"),
        "-h",
        "127.0.0.1",
        "-p",
        String(server.port),
        "-U",
        "postgres",
        "-Ft",
        "-D",
        into,
        "-X",
        "none",
        "-c",
        "fast",
        ...more,
      ],
      into,
    ];
  };
  const peer = async (what: string, ...more: string[]) => {
    const [argv, into] = base("peer", ...more);
    await timed(what, argv, into);
    rmSync(into, { recursive: true, force: true });
  };
  // Once before anything counts: the data are in the page cache for all of them.
  await peer("warming");
  await timed(
    `pgdba backup create, zstd:${LEVEL}, SHA256 manifest, not read back`,
    create("--verify=false"),
    part,
    own,
  );
  rmSync(part, { recursive: true, force: true });
  await peer(`pg_basebackup, client-zstd:${LEVEL}, CRC32C`, `--compress=client-zstd:${LEVEL}`);
  await peer(
    `pg_basebackup, client-zstd:${LEVEL}, SHA256`,
    `--compress=client-zstd:${LEVEL}`,
    "--manifest-checksums=SHA256",
  );
  await peer(`pg_basebackup, server-zstd:${LEVEL}, CRC32C`, `--compress=server-zstd:${LEVEL}`);
  await peer("pg_basebackup, plain, CRC32C");
  const backrest = installed("pgbackrest");
  if (backrest !== undefined) {
    const into = join(root, "pgbackrest");
    mkdirSync(into);
    const argv = [
      backrest,
      "--stanza=bench",
      `--repo1-path=${into}`,
      `--log-path=${root}`,
      `--lock-path=${root}`,
      `--pg1-path=${server.dataDir}`,
      `--pg1-port=${server.port}`,
      `--pg1-socket-path=${server.socketDir}`,
      "--pg1-user=postgres",
      "--log-level-console=warn",
      "--no-archive-check",
      "--no-config",
    ];
    const made = Bun.spawnSync(
      [...argv.filter((word) => word !== "--no-archive-check"), "--no-online", "stanza-create"],
      { env: { ...process.env, PGPASSWORD: server.password } },
    );
    if (made.exitCode !== 0) throw new Error(made.stdout.toString() + made.stderr.toString());
    for (const jobs of [1, 2])
      await timed(
        `pgBackRest, zst:${LEVEL}, ${jobs} ${jobs === 1 ? "process" : "processes"}`,
        [
          ...argv,
          "--type=full",
          "--start-fast",
          "--compress-type=zst",
          `--compress-level=${LEVEL}`,
          `--process-max=${jobs}`,
          "backup",
        ],
        into,
      );
  }
  await timed(`pgdba backup create, zstd:${LEVEL}, and read back`, create(), part, own);
} finally {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}
