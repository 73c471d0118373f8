import { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import type { Change, Opening, Role, Spec } from "../contract.ts";
import { accountsOf, passwordsFor } from "../passwords.ts";
import { createContainer, ensureVolume, nodeLabels, putSecrets } from "./create.ts";
import { backupsFor, ensureBackups } from "./backups.ts";
import { authorityOf, certificateFiles } from "./certify.ts";
import type { Authority } from "../../certificates/authority.ts";
import { attachDisks, diskVolume, hasSizes, optionsFor, sizesOf, volumesFor } from "./disks.ts";
import { refused } from "../spec.ts";
import { decide, type Found, type Todo } from "./decide.ts";
import { ask, type Engine, isLoopback, statusOf } from "./engine.ts";
import { exclusively } from "./hold.ts";
import { helperImage, imageFor, type ImageWork } from "./images.ts";
import { START_MS, startContainer, waitReady } from "./life.ts";
import { choosePorts, isAnyTaken } from "./ports.ts";
import { chooseIp, ensureNetwork } from "./network.ts";
import {
  type Cluster,
  containerName,
  draftName,
  LABEL,
  labelsFor,
  type NodeRecord,
  nodeOf,
  readRecords,
  secretsVolume,
} from "./record.ts";
import { isPrimary, patroniSays, streamersOf } from "./rest.ts";
import { layoutOf } from "./roles.ts";
import { stateOf } from "./state.ts";

export interface Work extends ImageWork {
  secret: Opening["secret"];
}

/** The work of others takes minutes, when they build images or copy a large server; a longer wait is one for something that hangs. */
export const LOCK_MS = 300_000;
/** A standby is a copy of its primary: that takes as long as it takes, and Patroni tells when it fails. */
const COPY_MS = 24 * 3600_000;
const POLL_MS = 100;
/** How often another port is tried when somebody took the one that was free. */
const PORT_TRIES = 5;

export async function findNodes(cluster: Cluster): Promise<Found[]> {
  const records = await readRecords(cluster);
  return Promise.all(
    records.map(async (record) => {
      const { running } = await stateOf(cluster, record);
      const isServer = record.role === "postgres" && running === "running";
      const said = isServer ? await patroniSays(record) : null;
      return { record, running, isLeader: said === null ? null : isPrimary(said) };
    }),
  );
}

export async function plan(cluster: Cluster, spec: Spec): Promise<Change[]> {
  return changesOf(decide(spec, await findNodes(cluster)));
}

const changesOf = ({ todo, rest }: ReturnType<typeof decide>): Change[] => [
  ...todo.map(({ node, act, what }) => ({ node, act, what })),
  ...rest,
];

export async function provision(work: Work, spec: Spec): Promise<Change[]> {
  const { cluster, by } = work;
  const before = decide(spec, await findNodes(cluster));
  if (before.todo.every(({ act }) => act === "keep")) return changesOf(before);
  const isMaking = before.todo.some(({ act }) => act === "make");
  if (isMaking) assertReached(cluster.engine, { ...work.place, ...spec.place });
  const accounts = isMaking ? accountsOf(spec) : [];
  const values = await passwordsFor(work.secret, accounts);
  const passwords = new Map(accounts.map(({ password }, at) => [password, values[at]!]));
  const authority =
    isMaking && spec.tls !== undefined ? await authorityOf(work.secret, spec.tls) : null;
  const images = await imagesOf(work, spec, before.todo);
  const image = images.get("postgres") ?? (await helperImage(work));
  return exclusively(cluster, { image, waitMs: LOCK_MS, signal: by.signal }, async () => {
    const decided = decide(spec, await findNodes(cluster));
    const making = { ...work, spec, passwords, images, authority };
    await new Making(making, decided.todo).run();
    return changesOf(decided);
  });
}

/** Ports on the loopback of another machine are reached by nobody here. @throws PgdbaError step_refused */
export function assertReached(
  { machine }: Pick<Engine, "machine">,
  { address = "127.0.0.1" }: JsonObject,
): void {
  if (machine === null || !isLoopback(String(address))) return;
  throw refused(
    `The Docker Engine is on ${machine}, and the nodes would be published on its own loopback (${String(address)}), where pgdba can't reach them`,
    `Name the address of that machine on which they are published and reached: --place '{"address": "${machine}"}', with --tls; or run pgdba there.`,
  );
}

/** Those of the nodes that are to be made. */
async function imagesOf(work: Work, spec: Spec, todo: readonly Todo[]): Promise<Map<Role, string>> {
  const place = { ...work.place, ...spec.place };
  const roles = new Set(todo.filter(({ act }) => act === "make").map(({ role }) => role));
  const images = new Map<Role, string>();
  for (const role of roles)
    images.set(role, await imageFor({ ...work, place }, role, spec.version));
  return images;
}

type Begun = Work & {
  spec: Spec;
  passwords: Map<string, string>;
  images: Map<Role, string>;
  /** Null where nothing is made, or without TLS. */
  authority: Authority | null;
};

/** One provision under the lock: each role's nodes are begun at once, in the order in which they need one another. */
class Making {
  readonly #work: Begun;
  readonly #todo: readonly Todo[];
  #done = 0;

  constructor(work: Begun, todo: readonly Todo[]) {
    this.#work = work;
    this.#todo = todo.filter(({ act }) => act !== "keep");
  }

  async run(): Promise<void> {
    const { cluster, by } = this.#work;
    if (this.#todo.some(({ act }) => act === "make"))
      await ensureNetwork(cluster, labelsFor(cluster.name, by));
    const with_ = (role: Role) => this.#todo.filter((one) => one.role === role);
    // etcd answers when most of it is there, and a server when it is.
    await this.#together(with_("etcd"));
    const servers = with_("postgres");
    await this.#together(servers.filter(({ what }) => what === "primary"));
    await this.#together(servers.filter(({ what }) => what !== "primary"));
    await this.#together(with_("pgbouncer"));
    await this.#together(with_("backup"));
    await this.#together(with_("monitoring"));
    if (this.#todo.length > 0) this.#tell("done");
  }

  async #together(todo: readonly Todo[]): Promise<void> {
    const { by } = this.#work;
    for (const one of todo) {
      by.signal.throwIfAborted();
      this.#tell(`${one.act === "make" ? "making" : "starting"} ${one.node}, ${one.what}`);
      by.signal.throwIfAborted();
      if (one.act === "make") await this.#make(one);
      else await this.#start(one);
    }
    await Promise.all(todo.map((one) => this.#finish(one)));
  }

  #tell(text: string): void {
    const progress = { done: this.#done, total: this.#todo.length, unit: "nodes", text };
    this.#work.by.progress?.(progress);
  }

  /**
   * A container that was not made to the end is made anew, upon the volumes that it had; but one that this run has started before it was cut off was whole
   * by then, and is waited for: cut off in the middle of a bootstrap or a copy, Patroni would not know what to make of the data.
   */
  async #make({ spec: node, role }: Todo): Promise<void> {
    const { cluster, by, spec, passwords, images, place, authority } = this.#work;
    const { engine, name } = cluster;
    const layout = layoutOf(role);
    const labels = nodeLabels(cluster, by, spec, node);
    const taken = new Set<number>();
    for (const record of await readRecords(cluster)) {
      const isOurs = record.node === node.name;
      if (isOurs && record.labels.run === by.run && record.state === "running") return;
      if (isOurs) await removeContainer(cluster, record.id);
      else for (const port of Object.values(record.ports)) taken.add(port);
    }
    const own = { ...labelsFor(name, by), [LABEL.node]: node.name };
    await ensureVolume(cluster, secretsVolume(name, node.name), own);
    const sizes = sizesOf({ ...place, ...spec.place }, role);
    if (hasSizes(sizes)) {
      const disk = diskVolume(name, node.name);
      await ensureVolume(cluster, disk, { ...own, [LABEL.sizes]: JSON.stringify(sizes) });
      // The store comes before the first server.
      const image = images.get("postgres") ?? images.get(role)!;
      await attachDisks(cluster, node.name, sizes, image);
    }
    if (layout.volume)
      for (const { of, volume } of volumesFor(name, node.name, sizes))
        await ensureVolume(cluster, volume, own, optionsFor(name, node.name, of, sizes));
    const backups = backupsFor({ ...place, ...spec.place }, role);
    if (backups !== null) await ensureBackups(cluster, backups);
    const address = String({ ...place, ...spec.place }["address"] ?? "127.0.0.1");
    const first = node.place?.["port"] as number | undefined;
    const at = { cluster: name, node: node.name, address };
    const certificates = authority === null ? {} : certificateFiles(authority, at, spec.tls!).files;
    for (let tries = 1; ; tries++) {
      const ports = await choosePorts(engine, layout.ports, { address, first, taken });
      const draft = draftName(name, node.name);
      const image = images.get(role)!;
      const ip = await chooseIp(cluster);
      const made = { cluster, spec, node, image, name: draft, labels, address, ports, sizes };
      const id = await createContainer({ ...made, backups, ip });
      await putSecrets(cluster, id, { spec, node }, { passwords, certificates });
      try {
        return await startContainer(engine, id, draft);
      } catch (error) {
        const isPort =
          statusOf((error as PgdbaError).cause) === 500 &&
          (await isAnyTaken(engine, address, Object.values(ports)));
        if (!isPort || first !== undefined || tries === PORT_TRIES) throw error;
        await removeContainer(cluster, id);
      }
    }
  }

  async #start({ node }: Todo): Promise<void> {
    const { cluster } = this.#work;
    const record = await nodeOf(cluster, node);
    await attachDisks(cluster, node, record.sizes, record.image);
    await startContainer(cluster.engine, record.id, record.name);
  }

  async #finish(one: Todo): Promise<void> {
    const { cluster, by } = this.#work;
    const record = await nodeOf(cluster, one.node);
    await waitReady({ cluster, record, by }, one.act === "make" ? COPY_MS : START_MS);
    if (one.role === "postgres" && one.act === "make") {
      if (one.what === "primary") await this.#leads(record);
      else await this.#streams(record);
    }
    if (one.act === "make") {
      await ask(cluster.engine, `rename ${record.name}`, () =>
        cluster.engine.docker
          .getContainer(record.id)
          .rename({ name: containerName(cluster.name, one.node) }),
      );
    }
    this.#done++;
    this.#tell(`${one.node}, ${one.what}, runs`);
  }

  async #leads(record: NodeRecord): Promise<void> {
    await this.#until(record, async () => isPrimary(await patroniSays(record)));
  }

  /** As its primary says it. */
  async #streams(record: NodeRecord): Promise<void> {
    const { cluster } = this.#work;
    await this.#until(record, async () => {
      const servers = (await readRecords(cluster)).filter(({ role }) => role === "postgres");
      const said = await Promise.all(servers.map(patroniSays));
      return said.some((one) => isPrimary(one) && streamersOf(one).includes(record.node));
    });
  }

  async #until(record: NodeRecord, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (!(await holds())) {
      this.#work.by.signal.throwIfAborted();
      if (performance.now() > deadline) {
        throw new PgdbaError("timeout", `${record.node} runs, and does not do its part yet`, {
          hint: `Look at \`docker logs ${record.name}\`.`,
          retryable: true,
        });
      }
      await Bun.sleep(POLL_MS);
    }
  }
}

export async function removeContainer({ engine }: Cluster, id: string): Promise<void> {
  try {
    await engine.docker.getContainer(id).remove({ force: true });
  } catch (error) {
    // It is gone, or somebody else removes it.
    if (statusOf(error) !== 404 && statusOf(error) !== 409)
      await ask(engine, "remove a container", () => Promise.reject(error));
  }
}
