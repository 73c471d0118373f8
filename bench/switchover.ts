/**
 * What clients notice of a switchover: `npm run bench:switchover -- 10`. Turn about, by pgdba and by patronictl, on one cluster of Patroni's
 * processes, with a client that writes through PgBouncer by four connections all the while. A failure is a transaction, or an attempt to connect.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Ha, haMissing, startHa } from "../tests/support/ha.ts";
import { startWriter } from "../tests/support/writer.ts";
import { median } from "./measure.ts";

const rounds = Number(process.argv[2] ?? 10);
const pgdba = join(import.meta.dir, "../engine/pgdba");

interface Move {
  stallMs: number;
  failed: number;
  lost: number;
}

const missing = haMissing();
if (missing !== null) {
  console.log(missing);
  process.exit(1);
}
// As Patroni comes: a loop of ten seconds, which a switchover does not wait for; and the follower as it comes.
const ha = await startHa(3, { dcs: { ttl: 30, loop_wait: 10, retry_timeout: 10 }, pollMs: 200 });
const moves: Record<"pgdba" | "patronictl", Move[]> = { pgdba: [], patronictl: [] };
try {
  const config = join(ha.home, "patronictl.yaml");
  const authentication = { username: ha.cluster.apiUser, password: ha.cluster.apiPassword };
  await writeFile(
    config,
    stringify({
      scope: "test",
      etcd3: { host: new URL(ha.cluster.etcd).host },
      restapi: { authentication },
      ctl: { authentication },
    }),
  );
  for (let round = 0; round < rounds; round++) {
    moves.pgdba.push(
      await move(ha, (_from, to) => [
        pgdba,
        "failover",
        "trigger",
        to,
        "--yes",
        "--cluster",
        "ha",
        "-q",
      ]),
    );
    moves.patronictl.push(
      await move(ha, (from, to) => [
        "patronictl",
        "-c",
        config,
        "switchover",
        "test",
        "--leader",
        from,
        "--candidate",
        to,
        "--force",
      ]),
    );
    process.stderr.write(".");
  }
} finally {
  await ha.stop();
}
process.stderr.write("\n");
console.log("switchover through PgBouncer   median     p95     max   failed   lost   moves");
for (const [name, list] of Object.entries(moves)) {
  const stalls = list.map(({ stallMs }) => stallMs).toSorted((a, b) => a - b);
  const at = (part: number) =>
    stalls[Math.min(stalls.length - 1, Math.ceil(part * stalls.length) - 1)]!;
  const sum = (of: (one: Move) => number) => list.reduce((all, one) => all + of(one), 0);
  const times = [median(stalls), at(0.95), at(1)].map((ms) => `${Math.round(ms)} ms`.padStart(8));
  const counts = [sum(({ failed }) => failed), sum(({ lost }) => lost), list.length];
  console.log(
    `${name.padEnd(29)}${times.join("")}${counts.map((n) => String(n).padStart(8)).join("")}`,
  );
}
if (moves.pgdba.some(({ failed, lost }) => failed + lost > 0)) process.exitCode = 1;

async function move(at: Ha, argv: (from: string, to: string) => string[]): Promise<Move> {
  await at.whole();
  const [from, [to]] = [await at.leader(), await at.standbys()];
  await at.until(async () => (await at.follower()).route?.member === from, "PgBouncer follows");
  const { host, port } = at.pooler;
  const { user, password } = at.cluster;
  const writer = await startWriter({ host, port, user, password, database: "postgres" });
  await writer.next();
  const began = writer.now();
  const child = Bun.spawn(argv(from, to!), {
    env: { ...process.env, ...at.env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`${argv(from, to!).join(" ")}: ${said}`);
  await at.until(async () => (await at.leader()) === to, `${to} leads`);
  await writer.next();
  const { longestGapMs, failed, unknown, refused } = writer.report(began);
  await writer.stop();
  await at.whole();
  const { lost } = await writer.check(await at.client(to!));
  return { stallMs: longestGapMs, failed: failed + unknown + refused, lost: lost.length };
}
