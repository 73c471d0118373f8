/**
 * A backup of a database of two gigabytes, beside pg_basebackup (with and without zstd) and pgBackRest, on one server in one run: seconds, and of our own
 * process its CPU and the most memory that it held. All of them write to the same disk, and those that compress do it at the same level.
 *
 *   npm run bench:backup -- [GIGABYTES]
 */
import { mkdirSync, rmSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { watchPeak } from "../tests/support/peak-memory.ts";
import { pgdba, setStage, sizeOf } from "./backup-stage.ts";
import { installed } from "./measure.ts";

const LEVEL = 3;
const gigabytes = Number(process.argv[2] ?? 2);
const stage = await setStage(
  (_root, settings) =>
    `if [ -s ${settings} ]; then ${pgdba} wal push --settings ${settings} %p; fi`,
);
const { root, folder, server, key } = stage;

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

async function timed(
  what: string,
  argv: string[],
  into: string,
  more: Record<string, string> = {},
): Promise<Took> {
  const before = sizeOf(into);
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
  const took = {
    what,
    seconds,
    megabytes: (sizeOf(into) - before) / 1e6,
    cpu: used === undefined ? null : Number(used) / 1e6,
    peak: peak.megabytes(),
  };
  print(took);
  return took;
}

try {
  bytes = await stage.fill(gigabytes);
  stage.connect();
  await stage.client.end();
  const own = { PGDBA_HOME: stage.home };
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
  const peer = async (what: string, ...more: string[]) => {
    const into = join(root, "peer");
    const took = await timed(what, stage.base(into, ...more), into);
    rmSync(into, { recursive: true, force: true });
    return took;
  };
  // Once before anything counts: the data are in the page cache for all of them.
  await peer("warming");
  const ours = await timed(
    `pgdba backup create, zstd:${LEVEL}, SHA256 manifest, not read back`,
    create("--verify=false"),
    part,
    own,
  );
  rmSync(part, { recursive: true, force: true });
  const plain = await peer(
    `pg_basebackup, client-zstd:${LEVEL}, CRC32C`,
    `--compress=client-zstd:${LEVEL}`,
  );
  const hashed = await peer(
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
  const readBack = await timed(
    `pgdba backup create, zstd:${LEVEL}, and read back`,
    create(),
    part,
    own,
  );
  const verdict = (holds: boolean, what: string) => {
    console.log(`${holds ? "reached" : "MISSED "}  ${what}`);
    if (!holds) process.exitCode = 1;
  };
  verdict(
    ours.seconds <= plain.seconds,
    `at least as fast as pg_basebackup with the same compression (CRC32C): ${(plain.seconds / ours.seconds).toFixed(2)}x`,
  );
  verdict(
    ours.seconds <= hashed.seconds,
    `and with the same checksums in the manifest (SHA256): ${(hashed.seconds / ours.seconds).toFixed(2)}x`,
  );
  const most = Math.max(ours.peak ?? 0, readBack.peak ?? 0);
  verdict(most < 150, `less than 150 MB: ${most.toFixed(0)} MB`);
} finally {
  await stage.end();
}
