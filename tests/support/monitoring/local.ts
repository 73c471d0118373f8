/** A real Prometheus and Alertmanager as processes of this machine, laid out as on a node that monitors; both die with the test process. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { monitoringAccess } from "../../../providers/monitoring/client.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import type { AccessFor } from "../../../engine/types.ts";
import { alertmanagerConfig } from "../../../steps/monitor/node/alertmanager.ts";

const HOME = "/var/lib/pgdba";
const KEEPER = `"$@" >>"$LOG" 2>&1 </dev/null &
echo $!
cat >/dev/null
kill -KILL $!
wait`;

export interface Delivery {
  status: string;
  receiver: string;
  alerts: { status: string; labels: Record<string, string> }[];
}

export class LocalMonitoring {
  readonly delivered: Delivery[] = [];
  readonly base: string;
  readonly prometheus: string;
  readonly alertmanager: string;
  #hook: Bun.Server<unknown>;
  #children: Bun.Subprocess<"pipe", "pipe", "ignore">[] = [];
  #pids: number[] = [];

  private constructor(base: string, ports: [number, number]) {
    this.base = base;
    this.prometheus = `http://127.0.0.1:${ports[0]}`;
    this.alertmanager = `http://127.0.0.1:${ports[1]}`;
    this.#hook = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        this.delivered.push((await request.json()) as Delivery);
        return new Response();
      },
    });
  }

  /** `rules`: the text of a rules file, evaluated every second. */
  static async start(rules: string): Promise<LocalMonitoring> {
    const base = await mkdtemp(join(tmpdir(), "pgdba-local-monitoring-"));
    const one = new LocalMonitoring(base, [await freePort(), await freePort()]);
    try {
      await one.#begin(rules);
    } catch (error) {
      await one.stop();
      throw error;
    }
    return one;
  }

  async #begin(rules: string): Promise<void> {
    const folder = this.path(`${HOME}/monitor`);
    await mkdir(join(folder, "rules"), { recursive: true });
    await writeFile(join(folder, "rules/pgdba.rules.yml"), rules);
    await this.receivers([`http://127.0.0.1:${this.#hook.port}/`]);
    const scrape = {
      job_name: "prometheus",
      static_configs: [
        { targets: [new URL(this.prometheus).host], labels: { cluster: "orders", instance: "m" } },
      ],
    };
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules/*.rules.yml"],
      alerting: {
        alertmanagers: [{ static_configs: [{ targets: [new URL(this.alertmanager).host] }] }],
      },
      scrape_configs: [scrape],
    };
    await writeFile(join(folder, "prometheus.yml"), stringify(config));
    await this.#run([
      "prometheus",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(this.base, "data")}`,
      `--web.listen-address=${new URL(this.prometheus).host}`,
      // It knows its Alertmanager only some seconds after its first alert.
      "--rules.alert.resend-delay=1s",
    ]);
    await this.#run([
      "prometheus-alertmanager",
      `--config.file=${join(folder, "alertmanager.yml")}`,
      `--storage.path=${join(this.base, "alertmanager")}`,
      `--web.listen-address=${new URL(this.alertmanager).host}`,
      "--cluster.listen-address=",
    ]);
    for (const url of [this.prometheus, this.alertmanager])
      await this.until(
        async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok === true,
        `${url} is ready`,
      );
  }

  /** Where a path of the node lies here. */
  path(onNode: string): string {
    return join(this.base, onNode.slice(HOME.length));
  }

  /** Sets where alerts go, as `monitor setup` does. */
  async receivers(urls: string[]): Promise<void> {
    await writeFile(
      this.path(`${HOME}/monitor/alertmanager.yml`),
      stringify(await alertmanagerConfig(urls)),
    );
    this.#reload();
  }

  async #run(argv: string[]): Promise<void> {
    const child = Bun.spawn(["/bin/sh", "-c", KEEPER, "keeper", ...argv], {
      env: { PATH: "/usr/bin:/bin", LOG: join(this.base, `${argv[0]}.log`) },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    child.unref();
    this.#children.push(child);
    const { value } = await child.stdout.getReader().read();
    this.#pids.push(Number(new TextDecoder().decode(value)));
  }

  #reload(): void {
    for (const pid of this.#pids) process.kill(pid, "SIGHUP");
  }

  get hook(): string {
    return `http://127.0.0.1:${this.#hook.port}/`;
  }

  /** As a target of the registry gives it to a step. */
  access(effect: AccessFor["effect"] = "change") {
    const { prometheus, alertmanager } = this;
    const on = { effect, signal: new AbortController().signal };
    return monitoringAccess("orders", { prometheus, alertmanager }, on);
  }

  /** The node that monitors: its programs are ours, and its files lie in our folder. */
  get nodes(): Nodes {
    const here = (word: string): string =>
      word
        .replace("http://127.0.0.1:9090", this.prometheus)
        .replaceAll(/\/var\/lib\/pgdba[^\s"]*/g, (path) => this.path(path));
    const nodes = {
      put: async (_node: string, path: string, { content }: { content: string }) => {
        await mkdir(dirname(this.path(path)), { recursive: true });
        await writeFile(this.path(path), content);
      },
      exec: async (_node: string, argv: string[], { stdin = "" } = {}) => {
        const none = { signal: null, truncated: false, stderr: "" };
        if (argv.join(" ").includes("pkill -HUP")) {
          this.#reload();
          return { exit_code: 0, stdout: "", ...none };
        }
        const ran = Bun.spawn(argv.map(here), {
          stdin: Buffer.from(here(stdin)),
          stdout: "pipe",
          stderr: "pipe",
        });
        const [stdout, stderr] = await Promise.all([ran.stdout.text(), ran.stderr.text()]);
        return { exit_code: await ran.exited, ...none, stdout, stderr };
      },
    };
    return nodes as unknown as Nodes;
  }

  async until(isSo: () => Promise<boolean> | boolean, what: string): Promise<void> {
    for (const ends = performance.now() + 30_000; ; await Bun.sleep(50)) {
      if (await isSo()) return;
      if (performance.now() < ends) continue;
      const log = await readFile(join(this.base, "prometheus-alertmanager.log"), "utf8").catch(
        () => "",
      );
      throw new Error(`${what}: not in time\n${log.slice(-2000)}`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        await child.stdin.end();
        await child.exited;
      }),
    );
    await this.#hook.stop(true);
    await rm(this.base, { recursive: true, force: true });
  }
}
