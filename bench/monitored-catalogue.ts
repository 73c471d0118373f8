/** What one refresh of `/metrics` takes on a server with a large catalogue, and what Prometheus's asking costs that server. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchPeak } from "../tests/support/peak-memory.ts";
import type { TestServer } from "../tests/support/postgres.ts";
import { counted, largeCatalogue } from "./catalogue.ts";

const pgdba = join(import.meta.dir, "../engine/pgdba");
const SCRAPED_EVERY_MS = 15_000;
const SCRAPED_FOR_MS = 180_000;
/** Linux's unit of CPU time in /proc. */
const TICKS_PER_SECOND = 100;

interface Process {
  pid: number;
  parent: number;
  seconds: number;
  /** Of children that have ended. */
  ended: number;
}

function processes(): Process[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const text = readFileSync(`/proc/${name}/stat`, "latin1");
      const words = text.slice(text.lastIndexOf(")") + 2).split(" ");
      const ticks = (at: number) => Number(words[at]) / TICKS_PER_SECOND;
      return [
        {
          pid: Number(name),
          parent: Number(words[1]),
          seconds: ticks(11) + ticks(12),
          ended: ticks(13) + ticks(14),
        },
      ];
    } catch {
      // It has ended.
      return [];
    }
  });
}

/** CPU time of a process and of all that it has begun. */
function cpuOf(pid: number): number {
  const all = processes();
  const of = (one: number): number =>
    all
      .filter(({ pid: each }) => each === one)
      .reduce((sum, { seconds, ended }) => sum + seconds + ended, 0) +
    all.filter(({ parent }) => parent === one).reduce((sum, child) => sum + of(child.pid), 0);
  return of(pid);
}

function postmasterOf({ dataDir }: TestServer): number {
  return Number(readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n")[0]);
}

export async function metricsOnLargeCatalogue(say: (line: string) => void): Promise<void> {
  const server = await largeCatalogue();
  const home = mkdtempSync(join(tmpdir(), "pgdba-metrics-"));
  const child = Bun.spawn([pgdba, "health", "serve", "--listen", "0", "--no-input"], {
    cwd: home,
    env: {
      ...process.env,
      PGDBA_HOME: home,
      PGDBA_PG_HOST: server.host,
      PGDBA_PG_PORT: String(server.port),
      PGDBA_PG_USER: server.user,
      PGDBA_PG_DATABASE: server.database,
      PGDBA_PG_PASSWORD: server.password,
    },
    stdout: "ignore",
    stderr: "pipe",
  });
  const peak = watchPeak(child);
  try {
    say(`\n${await counted(server)}`);
    const postmaster = postmasterOf(server);
    const before = cpuOf(postmaster);
    const url = await addressIn(child.stderr);
    const scrape = async () => {
      const begun = performance.now();
      const text = await (await fetch(`${url}/metrics`)).text();
      return { ms: performance.now() - begun, text };
    };
    const first = await scrape();
    say(
      `the first /metrics of a new process: ${first.ms.toFixed(0)} ms, ${first.text.length} bytes`,
    );
    const begun = performance.now();
    const sourceOf = (text: string, metric: string, source: string) =>
      new RegExp(`^${metric}\\{source="${source}"\\} (\\S+)$`, "m").exec(text)?.[1];
    for (
      let now = first;
      sourceOf(now.text, "pgdba_source_up", "checks") !== "1";
      now = await scrape()
    ) {
      if (performance.now() - begun > 60_000)
        throw new Error(`no checks in a minute:\n${now.text}`);
      await Bun.sleep(200);
    }
    const whole = await scrape();
    for (const source of ["alive", "locks", "checks"])
      say(
        `one refresh of ${source}: ${(Number(sourceOf(whole.text, "pgdba_source_duration_seconds", source)) * 1000).toFixed(0)} ms`,
      );
    say(`the server's CPU for the first of all: ${(cpuOf(postmaster) - before).toFixed(2)} s`);
    const [served, own] = [cpuOf(postmaster), cpuOf(child.pid)];
    const times: number[] = [];
    const from = performance.now();
    while (performance.now() - from < SCRAPED_FOR_MS) {
      times.push((await scrape()).ms);
      await Bun.sleep(SCRAPED_EVERY_MS);
    }
    const elapsed = (performance.now() - from) / 1000;
    const share = (cpu: number) => `${((100 * cpu) / elapsed).toFixed(2)} % of one CPU`;
    say(
      `asked every ${SCRAPED_EVERY_MS / 1000} s for ${elapsed.toFixed(0)} s: answers within ${Math.max(...times).toFixed(0)} ms at most; the server used ${share(cpuOf(postmaster) - served)}, pgdba ${share(cpuOf(child.pid) - own)} and ${peak.megabytes().toFixed(0)} MiB at most`,
    );
  } finally {
    child.kill("SIGTERM");
    await child.exited;
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** The address that it says it listens on; the rest is read on, so that it never waits for us. */
async function addressIn(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const found = Promise.withResolvers<string>();
  void (async () => {
    let said = "";
    for await (const part of stderr) {
      said = (said + new TextDecoder().decode(part)).slice(-4000);
      const url = /listening on (http:\S+)/.exec(said)?.[1];
      if (url !== undefined) found.resolve(url);
    }
    found.reject(new Error(`it ended: ${said}`));
  })();
  return found.promise;
}
