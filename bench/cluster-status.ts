import { join } from "node:path";
import { stringify } from "yaml";
import { writeFileSync } from "node:fs";
import { patroniMissing, startPatroni } from "../tests/support/patroni.ts";
import { installed, type Row, timeCommand } from "./measure.ts";

const RUNS = 11;

/**
 * Time of `cluster status` on a Patroni cluster of three, cold, beside `patronictl list` on the same one. Ours asks every server by SQL and
 * every Patroni; patronictl reads the store alone.
 */
export async function clusterStatus(
  pgdba: string,
  root: string,
  env: Record<string, string>,
): Promise<Row[]> {
  const what = "cluster status, 3 members, cold";
  if (patroniMissing() !== null) return [];
  const cluster = await startPatroni(3);
  try {
    const own = { ...env, BENCH_PW: cluster.password };
    const where = ["--patroni-url", cluster.members[0]!.api, "--password-env", "BENCH_PW"];
    const connect = [pgdba, "cluster", "connect", "--name", "bench", ...where, "-q"];
    const connected = Bun.spawnSync(connect, { env: { ...process.env, ...own } });
    if (connected.exitCode !== 0) throw new Error(connected.stdout.toString());
    const config = join(root, "patronictl.yml");
    writeFileSync(
      config,
      stringify({ scope: "test", etcd3: { host: cluster.etcd.replace("http://", "") } }),
    );
    const ours = await timeCommand(
      [pgdba, "cluster", "status", "--cluster", "bench", "-q"],
      RUNS,
      own,
    );
    const patronictl = installed("patronictl");
    const peer = patronictl
      ? await timeCommand([patronictl, "-c", config, "list", "-f", "json"], RUNS, env)
      : null;
    return [{ what, ours_ms: ours, peer: "patronictl list", peer_ms: peer, atLeast: 1 }];
  } finally {
    await cluster.stop();
  }
}

if (import.meta.main) {
  const { mkdtempSync, rmSync } = await import("node:fs");
  const { tmpdir } = await import("node:os");
  const { report } = await import("./measure.ts");
  const root = mkdtempSync(join(tmpdir(), "pgdba-bench-"));
  try {
    const pgdba = join(import.meta.dir, "../engine/pgdba");
    const { text, missed } = report(
      await clusterStatus(pgdba, root, { PGDBA_HOME: join(root, "home") }),
    );
    process.stdout.write(`${text}\n`);
    process.exitCode = missed === 0 ? 0 : 1;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
