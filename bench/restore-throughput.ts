/**
 * A restore of a database of two gigabytes, and its way forward over as much WAL, beside tar and zstd over what pg_basebackup made, and
 * pgBackRest: one server, one run, one disk, the same level of zstd, all of it on disk at the end. Forward means: from the start of the restored
 * server until it has replayed all of the archive and is out of recovery; what differs there is the restore_command.
 *
 *   npm run bench:restore -- [GIGABYTES]
 */
import {
  appendFileSync,
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
import { SERVER_ENV } from "../providers/nodes/embedded/server.ts";
import { binariesOf, debianPostgres } from "../tests/support/debian.ts";
import { watchPeak } from "../tests/support/peak-memory.ts";
import { clientOf, startServer } from "../tests/support/postgres.ts";
import { installed } from "./measure.ts";

const gigabytes = Number(process.argv[2] ?? 2);
const pgdba = join(dirname(import.meta.dir), "engine", "pgdba");
const debian = debianPostgres();
if (debian === undefined) throw new Error("PostgreSQL of Debian's packages is needed");
const backrest = installed("pgbackrest");

const root = mkdtempSync(join(tmpdir(), "pgdba-bench-"));
chmodSync(root, 0o755);
const settings = join(root, "repository.json");
const [folder, plain, other] = ["repository", "plain", "pgbackrest"].map((name) =>
  join(root, name),
) as [string, string, string];
const archive = join(root, "pgdba-and-pgbackrest.sh");
writeFileSync(archive, "true\n");
const server = await startServer({
  version: debian.version,
  binaries: binariesOf(debian),
  settings: {
    archive_mode: "on",
    archive_command: `/bin/sh ${archive} %p %f`,
    full_page_writes: "on",
    max_wal_size: "4GB",
    autovacuum: "off",
  },
});
const { uid, gid } = statSync(server.dataDir);
const env: Record<string, string | undefined> = { ...process.env, PGPASSWORD: server.password };

function print(what: string, seconds: number, bytes: number, more = ""): void {
  const rate = (bytes / 1e6 / seconds).toFixed(0).padStart(6);
  console.log(
    `${what.padEnd(52)} ${seconds.toFixed(1).padStart(7)} s ${rate} MB/s${more}  load ${loadavg()[0]!.toFixed(1)}`,
  );
}

/** Runs it as the server's user, and gives its seconds. */
async function run(argv: string[], { input = "", own = false } = {}) {
  const started = performance.now();
  const child = Bun.spawn(argv, {
    ...(own ? {} : { uid, gid }),
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
    env: own ? env : { ...SERVER_ENV, PGPASSWORD: server.password, HOME: root },
    cwd: "/",
  });
  const peak = watchPeak(child);
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0)
    throw new Error(`${argv.join(" ")}: ${err.slice(-800)} ${out.slice(-800)}`);
  const used = Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6;
  return {
    out,
    seconds: (performance.now() - started) / 1000,
    more: `  cpu ${used.toFixed(1)} s  peak ${peak.megabytes().toFixed(0)} MB`,
  };
}

/** From its start until it is out of recovery. */
async function forward(data: string, command: string): Promise<number> {
  const port = server.port + 1;
  appendFileSync(
    join(data, "postgresql.auto.conf"),
    `\nrestore_command = '${command}'\narchive_mode = off\nport = ${port}\nlogging_collector = off\n`,
  );
  writeFileSync(join(data, "recovery.signal"), "");
  chownSync(join(data, "recovery.signal"), uid, gid);
  const started = performance.now();
  const log = join(root, "server.log");
  const child = Bun.spawn([join(debian!.bin, "postgres"), "-D", data], {
    uid,
    gid,
    env: SERVER_ENV,
    cwd: "/",
    stdout: Bun.file(log),
    stderr: Bun.file(log),
  });
  try {
    for (;;) {
      if (child.exitCode !== null) throw new Error((await Bun.file(log).text()).slice(-2000));
      const client = await clientOf({ ...server, port }).catch(() => undefined);
      const { rows } = (await client
        ?.query("select pg_is_in_recovery() as on, (select count(*) from later)::int as n")
        .catch(() => undefined)) ?? { rows: [] };
      await client?.end();
      if (rows[0]?.on === false) {
        if (rows[0].n !== LATER) throw new Error(`${rows[0].n} rows came back`);
        return (performance.now() - started) / 1000;
      }
      await Bun.sleep(50);
    }
  } finally {
    child.kill("SIGQUIT");
    await child.exited;
  }
}

const LATER = Math.round(gigabytes * 6_000_000);
try {
  await makeRepository({ kind: "directory", path: folder });
  for (const path of [plain, other]) mkdirSync(path);
  for (const path of [root, folder, join(folder, ".pgdba-repository"), plain, other])
    chownSync(path, uid, gid);
  const client = await clientOf(server);
  const { rows: found } = await client.query(
    "select system_identifier::text id from pg_control_system()",
  );
  const key = { system_identifier: found[0].id, version: server.version, cluster_id: "bench" };
  writeFileSync(
    settings,
    JSON.stringify({ place: { kind: "directory", path: folder }, write: key, read: [key] }),
  );
  chmodSync(settings, 0o644);
  const stanza = [
    backrest ?? "",
    "--stanza=bench",
    `--repo1-path=${other}`,
    `--log-path=${other}`,
    `--lock-path=${other}`,
    "--no-config",
    "--log-level-console=warn",
  ];
  const here = [
    `--pg1-path=${server.dataDir}`,
    `--pg1-port=${server.port}`,
    `--pg1-socket-path=${server.socketDir}`,
    "--pg1-user=postgres",
  ];
  if (backrest !== undefined)
    await run([...stanza, `--pg1-path=${server.dataDir}`, "--no-online", "stanza-create"]);
  const pushed =
    backrest === undefined
      ? ""
      : ` && ${[...stanza, `--pg1-path=${server.dataDir}`].join(" ")} --compress-type=zst --compress-level=1 archive-push "$1"`;
  writeFileSync(
    archive,
    `${pgdba} wal push --settings ${settings} "$1" && cp "$1" ${plain}/"$2"${pushed}\n`,
  );
  await client.query(`create table big as select g as id, md5(g::text) as a, md5((g * 7)::text) as b, repeat(md5((g % 1000)::text), 2) as c,
    now() as at from generate_series(1, ${LATER}) g`);
  await client.query("checkpoint");
  const { rows: size } = await client.query(
    "select sum(pg_database_size(oid))::bigint as bytes from pg_database",
  );
  const bytes = Number(size[0].bytes);
  console.log(
    `${new Date().toISOString()}, ${availableParallelism()} CPUs, ${(bytes / 1e9).toFixed(2)} GB, PostgreSQL ${server.version}`,
  );

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
  env["PGDBA_HOME"] = home;
  const made = await run(
    [pgdba, "backup", "create", "--cluster", "bench", "--verify=false", "-q"],
    { own: true },
  );
  const { backup_id: id } = JSON.parse(made.out).data;
  const tar = join(root, "tar");
  await run([
    join(debian.bin, "pg_basebackup"),
    "-h",
    "127.0.0.1",
    "-p",
    String(server.port),
    "-U",
    "postgres",
    "-Ft",
    "-D",
    tar,
    "-X",
    "none",
    "-c",
    "fast",
    "--compress=client-zstd:3",
  ]);
  if (backrest !== undefined)
    await run([
      ...stanza,
      ...here,
      "--type=full",
      "--start-fast",
      "--compress-type=zst",
      "--compress-level=3",
      "backup",
    ]);

  await client.query(`create table later as select * from big`);
  const { rows: at } = await client.query("select pg_walfile_name(pg_switch_wal()) as file");
  await client.end();
  while (!(await Bun.file(join(plain, at[0].file)).exists())) await Bun.sleep(100);
  if (backrest !== undefined) await Bun.sleep(1000);

  const synced = async (into: string) => (await run(["sync", "-f", into], { own: true })).seconds;
  const into = join(root, "restored");
  const ways: {
    name: string;
    fetch: () => ReturnType<typeof run>;
    command: string;
    sync: boolean;
  }[] = [
    {
      name: "pgdba, all compared with the manifest",
      fetch: () =>
        run([pgdba, "work", "fetch"], {
          input: `${JSON.stringify({ settings, fetch: { key, id, into, programs: debian.bin, owner: null } })}\n`,
        }),
      command: `${pgdba} wal get --settings ${settings} %f %p`,
      sync: false,
    },
    {
      name: "tar and zstd, nothing compared; cp",
      fetch: () =>
        run([
          "/bin/sh",
          "-c",
          `mkdir -m 700 ${into} && zstd -dc ${tar}/base.tar.zst | tar -x -C ${into}`,
        ]),
      command: `cp ${plain}/%f %p`,
      sync: true,
    },
    ...(backrest === undefined
      ? []
      : [1, 2].map((jobs) => ({
          name: `pgBackRest, ${jobs} ${jobs === 1 ? "process" : "processes"}`,
          fetch: () =>
            run([
              ...stanza,
              `--pg1-path=${into}`,
              `--process-max=${jobs}`,
              "--type=none",
              "restore",
            ]),
          command: `${[...stanza, `--pg1-path=${into}`].join(" ")} archive-get %f "%p"`,
          sync: true,
        }))),
  ];
  const wal = statSync(plain).isDirectory()
    ? Number(Bun.spawnSync(["du", "-sb", plain]).stdout.toString().split("\t")[0])
    : 0;
  for (const { name, fetch, command, sync } of ways) {
    const { seconds, more } = await fetch();
    print(`restore: ${name}`, seconds + (sync ? await synced(into) : 0), bytes, more);
    print(`forward: ${name}`, await forward(into, command), wal);
    for (const path of [into, `${into}.tablespaces`])
      rmSync(path, { recursive: true, force: true });
  }
} finally {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
}
