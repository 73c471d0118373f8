/** A cluster that the rehearsals work on by the real command line, and what is really there of it. */
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { JsonObject } from "../../engine/types.ts";
import type { Nodes, Opened } from "../../providers/nodes/contract.ts";
import { openNodes } from "../../providers/nodes/open.ts";
import { connect } from "../../providers/postgres/connect.ts";
import { type ControlState, readControlState } from "../../providers/postgres/control-state.ts";
import { alive, at, cli, type Place, place, type Ran, Running } from "../e2e/support.ts";

/** Small and without waiting for a disk. */
const SETTINGS = {
  fsync: "off",
  shared_buffers: "16MB",
  wal_retrieve_retry_interval: "100ms",
  max_wal_size: "64MB",
  min_wal_size: "32MB",
};

/** Servers that stand still are waited for. */
export const LIMIT_MS = 300_000;
export const NODES = ["pg1", "pg2", "pg3"] as const;

export class Rehearsed {
  readonly name: string;
  readonly place: Place;
  #opened: Promise<Opened> | undefined;

  constructor(name = "shop", at: Place = place()) {
    this.name = name;
    this.place = at;
    // The account of the servers must get to its data.
    chmodSync(at.root, 0o711);
  }

  argv(runbook: string, ...more: string[]): string[] {
    return [
      "rehearsal",
      runbook,
      ...more,
      "--cluster",
      this.name,
      "--yes",
      "--format",
      "json",
      "--full",
    ];
  }

  run(runbook: string, ...more: string[]): Promise<Ran> {
    return cli(this.argv(runbook, ...more), this.place, { limitMs: LIMIT_MS });
  }

  begin(runbook: string, ...more: string[]): Running {
    return new Running(this.argv(runbook, ...more), this.place, { limitMs: LIMIT_MS });
  }

  create(...more: string[]): Promise<Ran> {
    return this.run("create", ...this.settings, ...more);
  }

  get settings(): string[] {
    return ["--settings", JSON.stringify(SETTINGS)];
  }

  destroy(): Promise<Ran> {
    const { name } = this;
    return this.run("destroy", `--confirm=${name}`, `--without-backup=${name}`);
  }

  /** The verbs of its place, as somebody else has them. */
  async nodes(): Promise<Nodes> {
    this.#opened ??= openNodes("embedded", {
      cluster: this.name,
      stateDir: this.place.home,
      env: {},
      place: {},
      secret: async (name) => this.secret(name),
    });
    const signal = new AbortController().signal;
    return (await this.#opened).nodes({ run: "somebody", path: "else", signal });
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close();
  }

  secret(name: string): string {
    return readFileSync(join(this.place.home, "secrets", this.name, name), "utf8").trim();
  }

  entry(): JsonObject | undefined {
    const file = join(this.place.home, "clusters", `${this.name}.yaml`);
    return existsSync(file) ? (parse(readFileSync(file, "utf8")) as JsonObject) : undefined;
  }

  /** The folder of its nodes; undefined when there is none. */
  base(): string | undefined {
    const file = join(this.place.home, "nodes", this.name, "place.json");
    if (!existsSync(file)) return undefined;
    return (JSON.parse(readFileSync(file, "utf8")) as { base: string }).base;
  }

  data(node: string): string {
    return join(this.base()!, node, "data");
  }

  control(node: string): ControlState | null {
    return readControlState(readFileSync(join(this.data(node), "global/pg_control")));
  }

  /** The first process of its server, when it is alive. */
  pid(node: string): number | undefined {
    const file = join(this.data(node), "postmaster.pid");
    if (!existsSync(file)) return undefined;
    const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
    return alive(pid) ? pid : undefined;
  }

  /** The nodes whose server lives and takes writes, by their files: asking the servers would miss one that stands still. */
  writable(): string[] {
    return NODES.filter((node) => {
      try {
        // The control file of a standby that is made or starts is still that of the primary.
        return (
          this.control(node)?.state === "in production" &&
          !existsSync(join(this.data(node), "standby.signal")) &&
          this.pid(node) !== undefined
        );
      } catch {
        // Its files are moved or removed just now.
        return false;
      }
    });
  }

  /** Asks one node's server. */
  async ask(
    node: string,
    text: string,
    values?: unknown[],
    database = "postgres",
  ): Promise<unknown[][]> {
    const found = (await (await this.nodes()).list()).find((one) => one.node === node);
    const client = await connect({
      host: found!.reach!.host,
      port: found!.reach!.port,
      user: "postgres",
      database,
      password: () => this.secret("superuser"),
      sslmode: "prefer",
      application_name: "somebody",
      connect_timeout_ms: 5_000,
    });
    try {
      // Without values a text may hold several statements.
      const query = { text, rowMode: "array" as const, ...(values ? { values } : {}) };
      return ((await client.query(query)).rows ?? []) as unknown[][];
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Writes a row that the primary acknowledges. */
  async write(node: string, value: string): Promise<void> {
    await this.ask(node, "CREATE TABLE IF NOT EXISTS acknowledged (value text)");
    await this.ask(node, "INSERT INTO acknowledged VALUES ($1)", [value]);
  }

  async values(node: string): Promise<string[]> {
    const rows = await this.ask(node, "SELECT value FROM acknowledged");
    return rows.map(([value]) => String(value));
  }

  /** The standbys that stream from a node. */
  async streaming(node: string): Promise<string[]> {
    const rows = await this.ask(
      node,
      "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'",
    );
    return rows.map(([name]) => String(name)).toSorted();
  }

  /** The node at the address that the registry has for the cluster. */
  async registered(): Promise<string | undefined> {
    const port = at(this.entry(), "postgres", "port");
    return (await (await this.nodes()).list()).find((one) => one.reach?.port === port)?.node;
  }

  /** What is left on disk and as processes of a cluster that should not be there. */
  leftovers(): string[] {
    const { home } = this.place;
    const left: string[] = [];
    for (const path of [
      `clusters/${this.name}.yaml`,
      `secrets/${this.name}`,
      `nodes/${this.name}/place.json`,
      `nodes/${this.name}/here`,
    ])
      if (existsSync(join(home, path))) left.push(path);
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
        if (line.includes(join(home, "nodes", this.name, ""))) left.push(`${pid} ${line}`);
      } catch {
        // It has ended.
      }
    }
    return left;
  }
}

/** Waits until `probe` holds; the last it gave is shown when it never does. */
export async function until<T>(
  probe: () => T | Promise<T>,
  holds: (value: T) => boolean,
  ms = 20_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const value = await probe();
    if (holds(value)) return value;
    if (performance.now() > deadline) throw new Error(`it stayed ${JSON.stringify(value)}`);
    await Bun.sleep(25);
  }
}
