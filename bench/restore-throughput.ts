/**
 * A restore of a database of two gigabytes, and its way forward over one gigabyte of WAL, beside tar and zstd over what pg_basebackup made, and
 * pgBackRest: one server, one run, one disk, the same level of zstd, all of it on disk at the end. Forward means: from the start of the restored
 * server until it has replayed all of the archive and is out of recovery; what differs there is the restore_command.
 *
 *   npm run bench:restore -- [GIGABYTES]
 */
import { appendFileSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { SERVER_ENV } from "../providers/nodes/embedded/server.ts";
import { watchPeak } from "../tests/support/peak-memory.ts";
import { clientOf } from "../tests/support/postgres.ts";
import { pgdba, rowsOf, setStage, sizeOf } from "./backup-stage.ts";
import { installed } from "./measure.ts";

const gigabytes = Number(process.argv[2] ?? 2);
const backrest = installed("pgbackrest");

const ARCHIVE = "pgdba-and-pgbackrest.sh";
const stage = await setStage(
  (root) => `if [ -s ${root}/${ARCHIVE} ]; then /bin/sh ${root}/${ARCHIVE} %p %f; fi`,
);
const { root, settings, server, client, key, uid, gid } = stage;
const archive = join(root, ARCHIVE);
const [plain, other] = ["plain", "pgbackrest"].map((name) => join(root, name)) as [string, string];
const env: Record<string, string | undefined> = {
  ...process.env,
  PGPASSWORD: server.password,
  PGDBA_HOME: stage.home,
};

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
  const child = Bun.spawn([join(stage.bin, "postgres"), "-D", data], {
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

const LATER = rowsOf(Math.min(gigabytes, 0.8));
try {
  for (const path of [plain, other]) mkdirSync(path);
  for (const path of [root, plain, other]) chownSync(path, uid, gid);
  // What is written before a backup needs no archive.
  const bytes = await stage.fill(gigabytes);
  stage.connect();
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
  const made = await run(
    [pgdba, "backup", "create", "--cluster", "bench", "--verify=false", "-q"],
    { own: true },
  );
  const { backup_id: id } = JSON.parse(made.out).data;
  const tar = join(root, "tar");
  await run(stage.base(tar, "--compress=client-zstd:3"));
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

  await client.query(`create table later as select * from big limit ${LATER}`);
  const { rows: at } = await client.query("select pg_walfile_name(pg_switch_wal()) as file");
  await client.end();
  while (!(await Bun.file(join(plain, at[0].file)).exists())) await Bun.sleep(100);
  if (backrest !== undefined) await Bun.sleep(1000);

  const synced = async (into: string) => (await run(["sync", "-f", into], { own: true })).seconds;
  const into = join(root, "restored");
  // As pgdba has it without being asked: segments are fetched ahead, 128 MB of them.
  const ahead = ["--archive-async", `--spool-path=${other}`, "--process-max=2"];
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
          input: `${JSON.stringify({ settings, fetch: { key, id, into, programs: stage.bin, owner: null } })}\n`,
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
          name: `pgBackRest, ${jobs === 1 ? "1 process" : "2 processes; archive-async"}`,
          fetch: () =>
            run([
              ...stanza,
              `--pg1-path=${into}`,
              `--process-max=${jobs}`,
              "--type=none",
              "restore",
            ]),
          command: `${[...stanza, `--pg1-path=${into}`, ...(jobs === 1 ? [] : ahead)].join(" ")} archive-get %f "%p"`,
          sync: true,
        }))),
  ];
  const wal = sizeOf(plain);
  for (const { name, fetch, command, sync } of ways) {
    const { seconds, more } = await fetch();
    print(`restore: ${name}`, seconds + (sync ? await synced(into) : 0), bytes, more);
    print(`forward: ${name}`, await forward(into, command), wal);
    for (const path of [into, `${into}.tablespaces`])
      rmSync(path, { recursive: true, force: true });
  }
} finally {
  await stage.end();
}
