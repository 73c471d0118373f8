/** A highly available cluster that is made by the real command line, at a place with a provider, and what is really there of it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { JsonObject } from "../../engine/types.ts";
import type { DcsAccess } from "../../providers/dcs/contract.ts";
import { openDcs } from "../../providers/dcs/open.ts";
import type { Nodes, Opened } from "../../providers/nodes/contract.ts";
import { openNodes } from "../../providers/nodes/open.ts";
import { connect } from "../../providers/postgres/connect.ts";
import type { ClusterFile } from "../../providers/registry/schema.ts";
import { cli, type Place, place, type Ran, Running } from "../e2e/support.ts";
import type { WriterSpec } from "./writer.ts";

export const KILL_AT = join(import.meta.dir, "kill-at.ts");
/** As shells tell SIGKILL. */
export const KILLED = 137;
/** A whole cluster is made and moved meanwhile, on a busy machine. */
const LIMIT_MS = 600_000;

export class Live {
  readonly name: string;
  readonly provider: string;
  readonly place: Place;
  #opened: Promise<Opened> | undefined;

  /** `at`: of a cluster that is there already. */
  constructor(
    provider: string,
    name = `live-${crypto.randomUUID().slice(0, 8)}`,
    at: Place = place(),
  ) {
    this.name = name;
    this.provider = provider;
    this.place = at;
  }

  /** A new one on Docker, or the one of this name, of the state folder that PGDBA_HOME names. @throws Error without PGDBA_HOME */
  static onDocker(name: string | undefined): Live {
    if (name === undefined) return new Live("docker");
    const home = process.env["PGDBA_HOME"];
    if (home === undefined) throw new Error("PGDBA_HOME says where it is");
    const env = { ...(process.env as Record<string, string>) };
    return new Live("docker", name, { root: home, home, cwd: home, env });
  }

  argv(...words: string[]): string[] {
    return [...words, "--cluster", this.name, "--yes", "--format", "json", "--full"];
  }

  /** `pgdba <words> --cluster NAME --yes`. */
  run(...words: string[]): Promise<Ran> {
    return cli(this.argv(...words), this.place, { limitMs: LIMIT_MS });
  }

  /** The same, with what it says when it fails. @throws Error */
  async well(...words: string[]): Promise<any> {
    const { envelope, exit, stderr } = await this.run(...words);
    if (envelope.success) return envelope.data;
    throw new Error(
      `${words.join(" ")}: exit ${exit}: ${JSON.stringify(envelope.error)}\n${stderr.slice(-2000)}`,
    );
  }

  begin(...words: string[]): Running {
    return new Running(this.argv(...words), this.place, { limitMs: LIMIT_MS });
  }

  /** The same in a process that kills itself at a moment, or tells all its moments: `kill-at.ts` says how. */
  beginToKill(env: Record<string, string>, ...words: string[]): Running {
    const options = { limitMs: LIMIT_MS, preload: KILL_AT, env };
    return new Running(this.argv(...words), this.place, options);
  }

  /** Has it killed at a moment, and gives its run. @throws Error when it does not come to that moment */
  async killedAt(moment: string, ...words: string[]): Promise<string> {
    const { exit, stderr } = await this.beginToKill({ KILL_AT: moment }, ...words).ended();
    const id = runIn(stderr);
    if (exit === KILLED && id !== undefined) return id;
    throw new Error(`${words.join(" ")} never came to ${moment}: exit ${exit}\n${stderr}`);
  }

  init(...more: string[]): Promise<any> {
    const made = ["--generate-secrets", "--provider", this.provider, "--database", "app"];
    return this.well("cluster", "init", ...made, ...more);
  }

  destroy(): Promise<Ran> {
    const { name } = this;
    return this.run("cluster", "destroy", `--confirm=${name}`, `--without-backup=${name}`);
  }

  entry(): ClusterFile | undefined {
    const file = join(this.place.home, "clusters", `${this.name}.yaml`);
    return existsSync(file) ? (parse(readFileSync(file, "utf8")) as ClusterFile) : undefined;
  }

  secret(name: string): string {
    return readFileSync(join(this.place.home, "secrets", this.name, name), "utf8").trim();
  }

  /** The file of the authority to trust, where the cluster uses TLS. */
  cafile(): string | undefined {
    const file = join(this.place.home, "secrets", this.name, "ca.crt");
    return existsSync(file) ? file : undefined;
  }

  #ca(): string | undefined {
    const file = this.cafile();
    return file === undefined ? undefined : readFileSync(file, "utf8");
  }

  /** The verbs of its place, as somebody else has them. */
  async nodes(): Promise<Nodes> {
    this.#opened ??= openNodes(this.provider, {
      cluster: this.name,
      stateDir: this.place.home,
      env: process.env,
      place: (this.entry()?.place ?? {}) as JsonObject,
      secret: async (name) => this.secret(name),
    });
    const { signal } = new AbortController();
    return (await this.#opened).nodes({ run: "somebody", path: "else", signal });
  }

  dcs(): Promise<DcsAccess> {
    const { dcs } = this.entry()!;
    return openDcs({
      kind: "etcd3",
      endpoints: dcs!.endpoints,
      scope: this.name,
      namespace: "service",
      user: dcs!.user,
      cafile: this.cafile(),
      password: this.secret("etcd"),
    });
  }

  /** What a member's Patroni says of itself; null when it does not answer. */
  async member(node: string): Promise<any> {
    const at = this.entry()!.nodes!.find(({ name }) => name === node)!.endpoints!.patroni!.reach;
    const late = AbortSignal.timeout(1000);
    const ca = this.#ca();
    const url = `${ca === undefined ? "http" : "https"}://${at.host}:${at.port}/patroni`;
    return fetch(url, { signal: late, ...(ca === undefined ? {} : { tls: { ca } }) })
      .then((answer) => answer.json())
      .catch(() => null);
  }

  servers(): string[] {
    const nodes = this.entry()?.nodes ?? [];
    return nodes.filter(({ roles }) => roles.includes("postgres")).map(({ name }) => name);
  }

  /** The servers that take writes at this moment, by their own word. */
  async writable(): Promise<string[]> {
    const asked = await Promise.all(
      this.servers().map(async (node) =>
        (await this.ask(node, "SELECT pg_is_in_recovery()").catch(() => [[true]]))[0]![0] === false
          ? [node]
          : [],
      ),
    );
    return asked.flat();
  }

  /** Asks one node's server. */
  async ask(node: string, text: string, values: unknown[] = []): Promise<unknown[][]> {
    const found = this.entry()!.nodes!.find(({ name }) => name === node)!.reach!;
    const client = await this.client(found.host, Number(found.port));
    try {
      return (await client.query({ text, values, rowMode: "array" })).rows as unknown[][];
    } finally {
      await client.end().catch(() => {});
    }
  }

  client(host: string, port: number, database = "postgres") {
    return connect({
      host,
      port,
      user: "postgres",
      database,
      password: () => this.secret("superuser"),
      sslmode: this.cafile() === undefined ? "prefer" : "verify-full",
      sslrootcert: this.cafile(),
      application_name: "somebody",
      connect_timeout_ms: 3_000,
    });
  }

  /** The standbys that stream from a node. */
  async streaming(node: string): Promise<string[]> {
    const rows = await this.ask(
      node,
      "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'",
    );
    return rows.map(([name]) => String(name)).toSorted();
  }

  /** Waits until one leads and all others stream from it; gives the leader. */
  async settled(ms = 120_000): Promise<string> {
    const deadline = performance.now() + ms;
    for (;;) {
      const writable = await this.writable();
      const [leader] = writable;
      const standbys = leader === undefined ? [] : await this.streaming(leader).catch(() => []);
      const others = this.servers().filter((node) => node !== leader);
      if (writable.length === 1 && others.every((node) => standbys.includes(node))) return leader!;
      if (performance.now() > deadline)
        throw new Error(`it stayed: writable ${writable.join()}, streaming ${standbys.join()}`);
      await Bun.sleep(100);
    }
  }

  /** An application's client, through the PgBouncer. */
  writer(more: Partial<WriterSpec> = {}): WriterSpec {
    const { host, port } = this.entry()!.pgbouncer!.instances[0]!;
    const password = this.secret("owner");
    return {
      host,
      port: Number(port),
      user: "app",
      database: "app",
      password,
      ca: this.#ca(),
      ...more,
    };
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close();
  }
}

/** The run that the progress on stderr names. */
export function runIn(stderr: string): string | undefined {
  // Not that of another run, whose lock it waits for.
  return /(?:steps?|plan only|resumed), run (\d{8}-\d{6}-\w+)$/m.exec(stderr)?.[1];
}
