import { PgdbaError } from "../../../engine/errors.ts";
import type { By } from "../contract.ts";
import { type Attached, attach } from "./attached.ts";
import { attachDisks } from "./disks.ts";
import { ask } from "./engine.ts";
import { answerOf, type ExecAt } from "./exec.ts";
import helper from "./node/helper.py" with { type: "text" };
import jobs from "./node/jobs.py" with { type: "text" };
import { type Cluster, filter, LABEL, networkName, type NodeRecord, nodeOf } from "./record.ts";
import { HOME_DIR, layoutOf, type RoleLayout } from "./roles.ts";

const ANSWER_MS = 10_000;

/** A node, on behalf of one step. */
export interface At {
  cluster: Cluster;
  record: NodeRecord;
  layout: RoleLayout;
  by: By;
  /**
   * Works in the node's container; where that is stopped, in a helper with its image and volumes, unless the node must run.
   * @throws PgdbaError connection_failed
   */
  work<T>(mustRun: boolean, act: (place: ExecAt) => Promise<T>): Promise<T>;
}

/**
 * The helpers of stopped nodes: each lasts as long as the way to the cluster is open, and no longer than this process, but for a job that runs in it:
 * that goes on as it would on the node, and whoever comes later finds it there.
 */
export class Helpers {
  /** By the node's container: what was asked for last, which whoever asks next waits for. */
  readonly #asked = new Map<string, Promise<string>>();
  readonly #own = new Map<string, Attached>();

  /** Several may ask at once, as one who follows a job and one who looks at it: they get the same helper. */
  of(cluster: Cluster, record: NodeRecord): Promise<string> {
    const before = this.#asked.get(record.id);
    const asked = (async () => {
      await before?.catch(() => {});
      return this.#found(cluster, record);
    })();
    this.#asked.set(record.id, asked);
    return asked;
  }

  async #found(cluster: Cluster, record: NodeRecord): Promise<string> {
    const before = this.#own.get(record.id);
    if (before !== undefined && (await isRunning(cluster, before.id))) return before.id;
    const busy = await busyHelper(cluster, record.node);
    if (busy !== undefined) return busy;
    await attachDisks(cluster, record.node, record.sizes, record.image);
    const made = await attach(cluster.engine, {
      image: record.image,
      labels: {
        [LABEL.cluster]: cluster.name,
        [LABEL.kind]: "helper",
        [LABEL.node]: record.node,
      },
      host: { VolumesFrom: [record.id], NetworkMode: networkName(cluster.name) },
      passing: true,
      argv: ["python3", "-I", "-S", "-c", helper],
      stays: (id) => isBusy(cluster, record.node, id),
    });
    this.#own.set(record.id, made);
    return made.id;
  }

  async close(): Promise<void> {
    // One that is being made is ended as well.
    await Promise.allSettled(this.#asked.values());
    const all = [...this.#own.values()];
    this.#asked.clear();
    this.#own.clear();
    for (const one of all) await one.end();
  }
}

/** The helper of a stopped node in which a job runs, such as one of a process that has died. */
export async function busyHelper(cluster: Cluster, node: string): Promise<string | undefined> {
  const found = await ask(cluster.engine, "list helpers", () =>
    cluster.engine.docker.listContainers({
      filters: filter(cluster.name, { [LABEL.kind]: "helper", [LABEL.node]: node }),
    }),
  );
  for (const { Id } of found) if (await isBusy(cluster, node, Id)) return Id;
  return undefined;
}

/** Whoever only looks at something there, or reads through it, is no job. */
async function isBusy(cluster: Cluster, node: string, id: string): Promise<boolean> {
  const { engine } = cluster;
  const top = await engine.docker
    .getContainer(id)
    .top({ ps_args: "-o pid,stat" })
    .catch(() => undefined);
  const live = ((top?.Processes ?? []) as string[][]).filter(([, stat]) => !stat?.startsWith("Z"));
  if (live.length < 2) return false;
  const signal = AbortSignal.timeout(ANSWER_MS);
  const question = { verb: "list", base: `${HOME_DIR}/jobs` };
  const all = await answerOf<{ running: boolean }[]>(
    { engine, id, node, by: { signal } },
    jobs,
    question,
  ).catch(() => undefined);
  // One that lives and gives no answer may have a job: nothing may write beside it.
  return all?.some(({ running }) => running) ?? isRunning(cluster, id);
}

async function isRunning({ engine }: Cluster, id: string): Promise<boolean> {
  const info = await engine.docker
    .getContainer(id)
    .inspect()
    .catch(() => undefined);
  return info?.State.Running === true;
}

export async function atNode(
  cluster: Cluster,
  node: string,
  by: By,
  helpers: Helpers,
): Promise<At> {
  const record = await nodeOf(cluster, node);
  return {
    cluster,
    record,
    layout: layoutOf(record.role),
    by,
    async work(mustRun, act) {
      const place = (id: string): ExecAt => ({ engine: cluster.engine, id, node, by });
      const { State } = await ask(cluster.engine, `look at ${node}`, () =>
        cluster.engine.docker.getContainer(record.id).inspect(),
      );
      if (State.Running && !State.Paused && !State.Restarting) return act(place(record.id));
      if (mustRun || State.Paused) throw doesNotRun(node, State.Paused);
      return act(place(await helpers.of(cluster, record)));
    },
  };
}

function doesNotRun(node: string, frozen: boolean): PgdbaError {
  return new PgdbaError(
    "connection_failed",
    frozen ? `${node} is frozen: nothing runs on it` : `${node} does not run`,
    { hint: frozen ? "Thaw it first." : "Start it first.", nothingDone: true },
  );
}
