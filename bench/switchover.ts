/**
 * What clients notice of a switchover: `npm run bench:switchover -- 10`, and `-- 10 docker` on a cluster that `cluster/init` makes there. Turn
 * about, by pgdba and by patronictl, on one cluster, with a client that writes through PgBouncer by four connections, each 10 ms after
 * its last answer. A failure is a transaction, or an attempt to connect. On Docker patronictl runs in the container of the leader.
 */
import { cpus, loadavg } from "node:os";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Client } from "pg";
import { stringify } from "yaml";
import { removePlaces } from "../tests/e2e/support.ts";
import { dockerMissing } from "../tests/support/docker.ts";
import { haMissing, startHa } from "../tests/support/ha.ts";
import { Live } from "../tests/support/live.ts";
import { startWriter, type WriterSpec } from "../tests/support/writer.ts";
import { median } from "./measure.ts";

const rounds = Number(process.argv[2] ?? 10);
const where = process.argv[3] ?? "processes";
const pgdba = join(import.meta.dir, "../engine/pgdba");

/** A cluster, and how it is moved. */
interface Stage {
  what: string;
  env: Record<string, string | undefined>;
  /** Waits until all stream from one leader and PgBouncer leads to it; gives that, and another member. */
  settled(): Promise<{ from: string; to: string }>;
  writer(): WriterSpec;
  /** A client of a member, in the writer's database. */
  client(member: string): Promise<Client>;
  argv: Record<"pgdba" | "patronictl", (from: string, to: string) => string[]>;
  stop(): Promise<void>;
}

interface Move {
  stallMs: number;
  failed: number;
  lost: number;
}

async function processes(): Promise<Stage> {
  const missing = haMissing();
  if (missing !== null) throw new Error(missing);
  // As Patroni comes: a loop of ten seconds, which a switchover does not wait for; and the follower as it comes.
  const dcs = { ttl: 30, loop_wait: 10, retry_timeout: 10 };
  const ha = await startHa(3, { dcs, pollMs: 200 });
  const { user, password, apiUser: username, apiPassword } = ha.cluster;
  const config = join(ha.home, "patronictl.yaml");
  const authentication = { username, password: apiPassword };
  const etcd3 = { host: new URL(ha.cluster.etcd).host };
  const restapi = { authentication };
  await writeFile(config, stringify({ scope: "test", etcd3, restapi, ctl: restapi }));
  return {
    what: "Patroni's processes",
    env: { ...process.env, ...ha.env },
    async settled() {
      await ha.whole();
      const [from, [to]] = [await ha.leader(), await ha.standbys()];
      await ha.until(async () => (await ha.follower()).route?.member === from, "PgBouncer follows");
      return { from, to: to! };
    },
    writer() {
      const { host, port } = ha.pooler;
      return { host, port, user, password, database: "postgres" };
    },
    client: (member) => ha.client(member),
    argv: {
      pgdba: (_, to) => [pgdba, "failover", "trigger", to, "--yes", "--cluster", "ha", "-q"],
      patronictl: (from, to) => ["patronictl", "-c", config, ...switchover("test", from, to)],
    },
    stop: () => ha.stop(),
  };
}

async function containers(): Promise<Stage> {
  const missing = dockerMissing();
  if (missing !== null) throw new Error(missing);
  const live = new Live("docker");
  const stop = async () => {
    if (live.entry() !== undefined) await live.destroy();
    await live.close();
    removePlaces();
  };
  try {
    await live.init();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    what: "containers",
    env: { ...process.env, PGDBA_HOME: live.place.home },
    async settled() {
      const from = await live.settled();
      for (;;) {
        const { instances } = await live.well("pgbouncer", "status");
        if (instances.every((one: any) => one.member === from)) break;
        await Bun.sleep(200);
      }
      return { from, to: live.servers().find((name) => name !== from)! };
    },
    writer: () => live.writer(),
    client(member) {
      const { host, port } = live.entry()!.nodes!.find(({ name }) => name === member)!.reach!;
      return live.client(host, Number(port), "app");
    },
    argv: {
      pgdba: (_, to) => [pgdba, "failover", "trigger", to, "--cluster", live.name, "--yes", "-q"],
      patronictl(from, to) {
        const inside = ["docker", "exec", "-u", "postgres", `${live.name}-${from}`, "patronictl"];
        return [...inside, ...switchover(live.name, from, to)];
      },
    },
    stop,
  };
}

function switchover(scope: string, from: string, to: string): string[] {
  return ["switchover", scope, "--leader", from, "--candidate", to, "--force"];
}

async function move(stage: Stage, how: keyof Stage["argv"]): Promise<Move> {
  const { from, to } = await stage.settled();
  const writer = await startWriter({ ...stage.writer(), restMs: 10 });
  await writer.next();
  const began = writer.now();
  const argv = stage.argv[how](from, to);
  const child = Bun.spawn(argv, { env: stage.env, stdout: "pipe", stderr: "pipe" });
  const [said, wrong] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}: ${said}${wrong}`);
  const now = await stage.settled();
  await writer.next();
  const { longestGapMs, failed, unknown, refused } = writer.report(began);
  await writer.stop();
  if (now.from !== to) throw new Error(`${argv.join(" ")}: ${now.from} leads`);
  const client = await stage.client(to);
  const { lost } = await writer.check(client);
  await client.end();
  return { stallMs: longestGapMs, failed: failed + unknown + refused, lost: lost.length };
}

const stage = await (where === "docker" ? containers() : processes());
const moves: Record<keyof Stage["argv"], Move[]> = { pgdba: [], patronictl: [] };
const loads: number[] = [];
try {
  for (let round = 0; round < rounds; round++)
    for (const how of ["pgdba", "patronictl"] as const) {
      const one = await move(stage, how);
      moves[how].push(one);
      loads.push(loadavg()[0]!);
      process.stderr.write(`${how} ${one.stallMs} ms, ${one.failed} failed, ${one.lost} lost\n`);
    }
} finally {
  await stage.stop();
}
const rows = (["pgdba", "patronictl"] as const).map((name) => {
  const list = moves[name];
  const stalls = list.map(({ stallMs }) => stallMs).toSorted((a, b) => a - b);
  const at = (part: number) => stalls[Math.max(0, Math.ceil(part * stalls.length) - 1)]!;
  const sum = (of: (one: Move) => number) => list.reduce((all, one) => all + of(one), 0);
  const counts = [sum(({ failed }) => failed), sum(({ lost }) => lost), list.length];
  return { name, times: [median(stalls), at(0.95), at(1)], counts };
});
const line = (name: string, times: string[], counts: string[]) =>
  `${name.padEnd(24)}${[...times, ...counts].map((cell) => cell.padStart(9)).join("")}`;
console.log(`Switchovers through PgBouncer, ${stage.what}`);
console.log(line("", ["median", "p95", "max"], ["failed", "lost", "moves"]));
for (const { name, times, counts } of rows)
  console.log(
    line(
      name,
      times.map((ms) => `${Math.round(ms)} ms`),
      counts.map(String),
    ),
  );
const ratios = rows[0]!.times.map((ms, at) => (ms / rows[1]!.times[at]!).toFixed(2));
console.log(line("pgdba / patronictl", ratios, []));
const load = [median(loads), Math.max(...loads)].map((one) => one.toFixed(1));
console.log(`load average: median ${load[0]}, max ${load[1]}, of ${cpus().length} cores`);
if (moves.pgdba.some(({ failed, lost }) => failed + lost > 0)) process.exitCode = 1;
