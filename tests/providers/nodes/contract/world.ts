import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../../../engine/types.ts";
import type { Nodes, Opened, Opening, Spec } from "../../../../providers/nodes/contract.ts";
import { nodesFor } from "../../../../providers/nodes/narrow.ts";
import { openNodes } from "../../../../providers/nodes/open.ts";
import { connect } from "../../../../providers/postgres/connect.ts";

export interface PlaceUnderTest {
  provider: string;
  version: number;
  cluster?: JsonObject;
  node?: JsonObject;
}

/** In each password, and nowhere else. */
export const PART = "kJ7elephant";

/** Characters that files and command lines of all kinds trip over. */
const PASSWORDS: Record<string, string> = {
  su: `s'u:p\\e"r $x${PART}`,
  rep: `r e:p\\'${PART}`,
  rewind: `rw${PART}`,
};

/** One cluster that all cases share: `a`, the primary, and `b`. Each case leaves both running. */
export class World {
  readonly name = `contract-${crypto.randomUUID().slice(0, 8)}`;
  stateDir = "/nonexistent/pgdba";
  #opened: Promise<Opened> | undefined;
  #others: Opened[] = [];

  readonly place: PlaceUnderTest;

  constructor(place: PlaceUnderTest) {
    this.place = place;
  }

  /** `open`: others may enter the state folder, such as the account that a server runs as. */
  async begin({ open = false } = {}): Promise<void> {
    this.#opened = undefined;
    this.stateDir = await mkdtemp(join(tmpdir(), "pgdba-nodes-"));
    if (open) await chmod(this.stateDir, 0o711);
  }

  async end(): Promise<void> {
    await this.nodes().deprovision();
    for (const one of [await this.#opened, ...this.#others]) await one?.close();
    await rm(this.stateDir, { recursive: true, force: true });
  }

  opening(): Opening {
    return {
      cluster: this.name,
      stateDir: this.stateDir,
      env: {},
      place: this.place.cluster ?? {},
      secret: async (name) => PASSWORDS[name] ?? "",
    };
  }

  /** The verbs as a step has them that declares all hazards. */
  nodes(more: Partial<Parameters<typeof nodesFor>[1]> = {}): Nodes {
    const opened = (this.#opened ??= openNodes(this.place.provider, this.opening()));
    return lazily(opened, more);
  }

  /** As another process of pgdba would see it; or another cluster. */
  async another(
    more: Partial<Parameters<typeof nodesFor>[1]> = {},
    opening: Partial<Opening> = {},
  ): Promise<Nodes> {
    const opened = await openNodes(this.place.provider, { ...this.opening(), ...opening });
    this.#others.push(opened);
    return nodesFor(opened, { ...ON, signal: new AbortController().signal, ...more });
  }

  spec(names: string[], more: Partial<Spec> = {}): Spec {
    return {
      version: this.place.version,
      settings: { fsync: "off", shared_buffers: "16MB", wal_retrieve_retry_interval: "100ms" },
      superuser: { user: "postgres", password: "su" },
      replication: { user: "replicator", password: "rep" },
      accounts: { rewind: { user: "rewinder", password: "rewind" } },
      nodes: names.map((name) => ({
        name,
        roles: ["postgres"],
        ...(this.place.node === undefined ? {} : { place: this.place.node }),
      })),
      ...(this.place.cluster === undefined ? {} : { place: this.place.cluster }),
      ...more,
    };
  }

  /** What another process needs to do the same. */
  driven(cluster = this.name): JsonObject {
    return {
      provider: this.place.provider,
      cluster,
      stateDir: this.stateDir,
      place: this.place.cluster ?? {},
      passwords: PASSWORDS,
    };
  }

  /** Asks a node's server as one of the accounts. */
  async sql(
    node: string,
    text: string,
    { user = "postgres", password = "su", timeoutMs = 5_000 } = {},
  ): Promise<unknown[][]> {
    const info = (await this.nodes().list()).find((one) => one.node === node);
    const client = await connect({
      host: info!.reach!.host,
      port: info!.reach!.port,
      user,
      database: "postgres",
      password: () => PASSWORDS[password],
      sslmode: "prefer",
      application_name: "contract",
      connect_timeout_ms: timeoutMs,
    });
    try {
      return (await client.query({ text, rowMode: "array" })).rows as unknown[][];
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Waits until `probe` holds; the last it gave is shown when it never does. */
  async until<T>(probe: () => Promise<T>, holds: (value: T) => boolean, ms = 20_000): Promise<T> {
    const deadline = performance.now() + ms;
    for (;;) {
      const value = await probe();
      if (holds(value)) return value;
      if (performance.now() > deadline) throw new Error(`it stayed ${JSON.stringify(value)}`);
      await Bun.sleep(25);
    }
  }

  /** A row written on the primary is on the standby. */
  async replicates(from: string, to: string): Promise<void> {
    const value = crypto.randomUUID();
    await this.sql(from, "CREATE TABLE IF NOT EXISTS seen (value text)");
    await this.sql(from, `INSERT INTO seen VALUES ('${value}')`);
    const count = `SELECT count(*)::int FROM seen WHERE value = '${value}'`;
    await this.until(
      () => this.sql(to, count).catch(() => [[0]]),
      (rows) => rows[0]![0] === 1,
    );
  }
}

const ON = {
  run: "run-1",
  path: "make",
  effect: "change",
  hazards: ["fault", "destroys", "loses"],
} as const;

/** Verbs that wait for the way to be open. */
function lazily(opened: Promise<Opened>, more: Partial<Parameters<typeof nodesFor>[1]>): Nodes {
  const on = { ...ON, signal: new AbortController().signal, ...more };
  const nodes = opened.then((one) => nodesFor(one, on));
  const through = (of: () => Promise<object>): object =>
    new Proxy(
      {},
      {
        get: (_, name: string) =>
          name === "jobs"
            ? through(async () => (await nodes).jobs)
            : async (...args: unknown[]) => {
                const object = (await of()) as Record<string, (...all: unknown[]) => unknown>;
                return object[name]!(...args);
              },
      },
    );
  return through(() => nodes) as Nodes;
}
