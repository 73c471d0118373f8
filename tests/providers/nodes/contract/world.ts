import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../../../engine/types.ts";
import type {
  NodeInfo,
  Nodes,
  NodeSpec,
  Opened,
  Opening,
  Provider,
  Spec,
} from "../../../../providers/nodes/contract.ts";
import { nodesFor } from "../../../../providers/nodes/narrow.ts";
import { openNodes } from "../../../../providers/nodes/open.ts";
import { connect } from "../../../../providers/postgres/connect.ts";

export interface PlaceUnderTest {
  provider: string;
  version: number;
  cluster?: JsonObject;
  node?: JsonObject;
  /** The place of each node but the first. */
  standby?: JsonObject;
  /** How much longer things take there than a process takes. */
  slower?: number;
}

/** In each password, and nowhere else. */
export const PART = "kJ7elephant";

/** Characters that files and command lines of all kinds trip over. */
const PASSWORDS: Record<string, string> = {
  su: `s'u:p\\e"r $x${PART}`,
  rep: `r e:p\\'${PART}`,
  rewind: `rw${PART}`,
  rest: `rest${PART}`,
  store: `store${PART}`,
  root: `root${PART}`,
};

/** A cluster that Patroni runs: what its spec has beside. It looks often, so that tests need not wait. */
const WATCHED = {
  times: { ttl: 20, loop_wait: 1, retry_timeout: 3, synchronous_mode: "off" },
  accounts: {
    patroni: { user: "patroni", password: "rest" },
    etcd: { user: "patroni", password: "store" },
    etcd_root: { user: "root", password: "root" },
  },
} as const;

/** One cluster that all cases share: `a`, the primary, and `b`. Each case leaves both running. */
export class World {
  readonly name = `contract-${crypto.randomUUID().slice(0, 8)}`;
  stateDir = "/nonexistent/pgdba";
  #opened: Promise<Opened> | undefined;
  #others: Opened[] = [];

  readonly place: PlaceUnderTest;

  /** The nodes that the place needs beside those with PostgreSQL. */
  readonly beside: NodeSpec[];

  constructor(place: PlaceUnderTest, roles: Provider["roles"] = []) {
    this.place = place;
    this.beside = roles.flatMap(({ role, least }) =>
      Array.from({ length: least }, (_, at) => ({ name: `${role}${at + 1}`, roles: [role] })),
    );
  }

  /** Those with PostgreSQL. */
  servers<T extends { node: string }>(all: readonly T[]): T[] {
    return all.filter(({ node }) => !this.beside.some(({ name }) => name === node));
  }

  /** The list of nodes with PostgreSQL. */
  async list(): Promise<NodeInfo[]> {
    return this.servers(await this.nodes().list());
  }

  /** True where Patroni runs the servers: then it decides who leads, and who has a slot. */
  get watched(): boolean {
    return this.beside.some(({ roles }) => roles.includes("etcd"));
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
      accounts: {
        rewind: { user: "rewinder", password: "rewind" },
        ...(this.watched ? WATCHED.accounts : {}),
      },
      ...(this.watched ? { patroni: { scope: this.name, ...WATCHED.times } } : {}),
      nodes: [
        ...names.map((name, at): NodeSpec => {
          const place = { ...this.place.node, ...(at === 0 ? {} : this.place.standby) };
          return { name, roles: ["postgres"], place };
        }),
        ...this.beside,
      ],
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

  /** A time that leaves the place enough of it. */
  ms(time: number): number {
    return time * (this.place.slower ?? 1);
  }

  /** Waits until `probe` holds; the last it gave is shown when it never does. */
  async until<T>(probe: () => Promise<T>, holds: (value: T) => boolean, ms = 20_000): Promise<T> {
    const deadline = performance.now() + this.ms(ms);
    for (;;) {
      const value = await probe();
      if (holds(value)) return value;
      if (performance.now() > deadline) throw new Error(`it stayed ${JSON.stringify(value)}`);
      await Bun.sleep(25);
    }
  }

  /** Waits until the node is a primary that takes writes. */
  async leads(node: string): Promise<void> {
    await this.until(
      () => this.sql(node, "SELECT pg_is_in_recovery()").catch(String),
      (rows) => Array.isArray(rows) && rows[0]![0] === false,
    );
  }

  /** A row written on the primary is on the standby. */
  async replicates(from: string, to: string): Promise<void> {
    const value = crypto.randomUUID();
    await this.leads(from);
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
