import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { installed, median, type Row, timeCommand } from "./measure.ts";

/** What check_postgres has of our checks; each is a process of its own, as its users run it. */
const ACTIONS = [
  "autovac_freeze",
  "backends",
  "bloat",
  "commitratio",
  "connection",
  "database_size",
  "disabled_triggers",
  "hitratio",
  "index_size",
  "last_analyze",
  "last_vacuum",
  "locks",
  "prepared_txns",
  "query_time",
  "replication_slots",
  "sequence",
  "table_size",
  "txn_idle",
  "txn_time",
  "txn_wraparound",
];

/** Time per check of a whole health check on the lab, beside check_postgres on the same server. */
export async function checkPostgres(
  pgdba: string,
  root: string,
  env: Record<string, string>,
): Promise<Row> {
  const up = Bun.spawnSync([pgdba, "lab", "up"], { env: { ...process.env, ...env } });
  const lab = JSON.parse(up.stdout.toString()) as {
    data: { host: string; port: number; user: string; database: string };
  };
  const argv = [pgdba, "health", "check", "--cluster", "lab", "-q"];
  const total = await timeCommand(argv, 7, env);
  const once = Bun.spawnSync(argv, { env: { ...process.env, ...env } });
  const { data } = JSON.parse(once.stdout.toString()) as {
    data: { summary: { checks: number; skipped: number } };
  };
  const ran = data.summary.checks - data.summary.skipped;

  const check = installed("check_postgres", "check_postgres.pl");
  const peer = check ? await eachAction(check, root, env, lab.data) : null;
  return {
    what: `health check on the lab, per check (${ran} checks in ${total.toFixed(0)} ms)`,
    ours_ms: total / ran,
    peer: `check_postgres, per check${peer ? ` (${peer.ran} checks)` : ""}`,
    peer_ms: peer?.perCheck ?? null,
    atLeast: 10,
  };
}

async function eachAction(
  check: string,
  root: string,
  env: Record<string, string>,
  lab: { host: string; port: number; user: string; database: string },
): Promise<{ perCheck: number; ran: number }> {
  const passFile = join(root, "pgpass");
  const password = (
    await Bun.file(join(env["PGDBA_HOME"]!, "secrets/lab/superuser")).text()
  ).trim();
  writeFileSync(passFile, `*:*:*:*:${password}\n`, { mode: 0o600 });
  const times: number[] = [];
  for (const action of ACTIONS) {
    const argv = [
      check,
      `--action=${action}`,
      `--host=${lab.host}`,
      `--port=${lab.port}`,
      `--dbuser=${lab.user}`,
      `--dbname=${lab.database}`,
    ];
    const started = performance.now();
    const child = Bun.spawn(argv, {
      env: { ...process.env, ...env, PGPASSFILE: passFile },
      stdout: "ignore",
      stderr: "ignore",
    });
    const code = await child.exited;
    // 0 ok, 1 warning, 2 critical, 3 unknown: one that could not be made is not counted.
    if (code <= 2) times.push(performance.now() - started);
  }
  return { perCheck: median(times), ran: times.length };
}
