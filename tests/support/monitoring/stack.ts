/** A real Prometheus with its exporters before a cluster, configured by the files that users get; all die with the test process. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { COLLECTORS } from "../../../steps/monitor/node/services.ts";

const root = join(import.meta.dir, "../../..");

/** Ends the program when standard input closes. */
const KEEPER = `"$@" >>"$LOG" 2>&1 </dev/null &
cat >/dev/null
kill -KILL $!
wait`;

export interface Target {
  cluster: string;
  instance: string;
  address: string;
}

export interface StackOptions {
  /** The folder of the programs. */
  bin: string;
  /** By job, without those of Prometheus itself. */
  targets: Record<string, Target[]>;
  /** For the servers of the job postgres. */
  login: { username: string; password: string };
  /** Connection URLs of the consoles of PgBouncer, each the one of a target of its own. */
  poolers: { cluster: string; instance: string; url: string }[];
}

export interface Stack {
  /** What an instant query gives. @throws Error with what Prometheus says */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>;
  get(path: string): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts all, asked every five seconds so that nobody has to wait for long; resolves when Prometheus is ready. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const base = await mkdtemp(join(tmpdir(), "pgdba-stack-"));
  const children: Bun.Subprocess<"pipe", "ignore", "ignore">[] = [];
  const start = (name: string, argv: string[], env: Record<string, string> = {}): void => {
    const child = Bun.spawn(["/bin/sh", "-c", KEEPER, "keeper", ...argv], {
      cwd: base,
      env: { PATH: "/usr/bin:/bin", LOG: join(base, `${name}.log`), ...env },
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
    });
    child.unref();
    children.push(child);
  };
  const listen = async (): Promise<string> => `127.0.0.1:${await freePort()}`;
  const program = (name: string): string => join(options.bin, name);
  const [prometheus, postgres, node] = [await listen(), await listen(), await listen()];

  await writeFile(
    join(base, "postgres_exporter.yml"),
    JSON.stringify({
      auth_modules: {
        pgdba: { type: "userpass", userpass: options.login, options: { sslmode: "disable" } },
      },
    }),
    { mode: 0o600 },
  );
  start("postgres_exporter", [
    program("prometheus-postgres-exporter"),
    `--web.listen-address=${postgres}`,
    `--config.file=${join(base, "postgres_exporter.yml")}`,
    ...COLLECTORS,
  ]);
  start("node_exporter", [program("prometheus-node-exporter"), `--web.listen-address=${node}`]);
  const poolers: Target[] = [];
  for (const { cluster, instance, url } of options.poolers) {
    const address = await listen();
    poolers.push({ cluster, instance, address });
    start(
      `pgbouncer_exporter_${instance}`,
      [program("prometheus-pgbouncer-exporter"), `--web.listen-address=${address}`],
      { PGBOUNCER_EXPORTER_CONNECTION_STRING: url },
    );
  }

  const servers = options.targets["postgres"] ?? [];
  const targets: Record<string, Target[]> = {
    pgbouncer: poolers,
    node: servers.map((one) => ({ ...one, address: node })),
    prometheus: [{ cluster: "monitoring", instance: "monitor1", address: prometheus }],
    ...options.targets,
  };
  await configure(base, targets, postgres);
  start("prometheus", [
    program("prometheus"),
    `--config.file=${join(base, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(base, "data")}`,
    `--web.listen-address=${prometheus}`,
  ]);

  const get = async (path: string): Promise<unknown> => {
    const answer = await fetch(`http://${prometheus}${path}`);
    const body = (await answer.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  const stack: Stack = {
    get,
    async query(expr) {
      const data = await get(`/api/v1/query?query=${encodeURIComponent(expr)}`);
      return (data as { result: Awaited<ReturnType<Stack["query"]>> }).result;
    },
    async stop() {
      await Promise.all(
        children.map(async (child) => {
          await child.stdin.end();
          await child.exited;
        }),
      );
      await rm(base, { recursive: true, force: true });
    },
  };
  for (const ends = performance.now() + 60_000; ; await Bun.sleep(100)) {
    if ((await fetch(`http://${prometheus}/-/ready`).catch(() => null))?.ok === true) return stack;
    if (performance.now() < ends) continue;
    const logs = (await readdir(base)).filter((name) => name.endsWith(".log"));
    const texts = await Promise.all(
      logs.map(async (name) => `== ${name}\n${await readFile(join(base, name), "utf8")}`),
    );
    await stack.stop();
    throw new Error(`Prometheus did not start:\n${texts.join("\n").slice(-4000)}`);
  }
}

/** The files of the project; only their intervals are shorter, and the addresses those of this machine. */
async function configure(
  base: string,
  targets: Record<string, Target[]>,
  exporter: string,
): Promise<void> {
  const from = join(root, "monitoring/prometheus");
  const quick = (text: string): string =>
    text.replaceAll(
      /((?:scrape_|evaluation_|refresh_)?interval|scrape_timeout): \d+[sm]/g,
      "$1: 5s",
    );
  const config = await readFile(join(from, "prometheus.yml"), "utf8");
  await writeFile(join(base, "prometheus.yml"), quick(config).replace("127.0.0.1:9187", exporter));
  await cp(join(from, "rules"), join(base, "rules"), { recursive: true });
  for (const name of await readdir(join(base, "rules"))) {
    const file = join(base, "rules", name);
    await writeFile(file, quick(await readFile(file, "utf8")));
  }
  await mkdir(join(base, "targets"));
  for (const [job, list] of Object.entries(targets)) {
    const groups = list.map(({ cluster, instance, address }) => ({
      targets: [address],
      labels: { cluster, instance },
    }));
    await writeFile(join(base, "targets", `${job}.json`), JSON.stringify(groups));
  }
}
