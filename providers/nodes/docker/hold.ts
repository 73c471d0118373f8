import type { Lease } from "../contract.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { type Attached, attach } from "./attached.ts";
import { ask, type Engine, statusOf } from "./engine.ts";
import { type Cluster, filter, LABEL } from "./record.ts";

/** What one at a time may hold, such as the lease of a run. */
type What = string;
/** The making and removing of nodes. */
const NODES = "nodes";

const HOLD = "pgdba.hold";
const EPOCH = "pgdba.epoch";
const HOLDER = "pgdba.holder";
/** A holder that died is gone after so long: the Engine closes its container's input, and that ends. */
const GOING_MS = 1_000;
/** Between the making and the start of its container. */
const STARTING_MS = 15_000;
const POLL_MS = 50;

interface Holding {
  id: string;
  epoch: number;
  holder: string;
  held: boolean;
}

/**
 * The holder of the moment is a container with a number in its name, which ends with the process that made it: the Engine gives each name
 * once, and sees that nobody outlives himself. The last one stays behind, ended, so that the number grows.
 */
export async function hold(
  cluster: Cluster,
  what: What,
  holder: string,
  image: string,
): Promise<Lease | { heldBy: string }> {
  const deadline = performance.now() + GOING_MS;
  for (;;) {
    const all = await holdings(cluster, what);
    const last = all.at(-1);
    if (last?.held) {
      if (performance.now() > deadline) return { heldBy: last.holder };
      await Bun.sleep(POLL_MS);
      continue;
    }
    const epoch = (last?.epoch ?? 0) + 1;
    const taken = await take(cluster, { what, holder, image, epoch });
    if (taken === null) continue;
    for (const { id } of all) await removeQuietly(cluster.engine, id);
    return leaseOf(cluster, what, taken, epoch);
  }
}

/** The holder of this moment; null when nobody has it. */
export async function holderOf(cluster: Cluster, what: What): Promise<string | null> {
  return (await holdings(cluster, what)).findLast(({ held }) => held)?.holder ?? null;
}

/** Runs `act` while nobody else does so. @throws PgdbaError lock_held */
export async function exclusively<T>(
  cluster: Cluster,
  { image, waitMs, signal }: { image: string; waitMs: number; signal: AbortSignal },
  act: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  let lock = await hold(cluster, NODES, "another run", image);
  while ("heldBy" in lock) {
    signal.throwIfAborted();
    if (performance.now() > deadline) {
      throw new PgdbaError("lock_held", `Another run is busy with the nodes of ${cluster.name}`, {
        hint: "Look for a pgdba that hangs, end it and run again.",
        retryable: true,
        nothingDone: true,
      });
    }
    lock = await hold(cluster, NODES, "another run", image);
  }
  try {
    return await act();
  } finally {
    await lock.release();
  }
}

async function holdings({ engine, name }: Cluster, what?: What): Promise<Holding[]> {
  const found = await ask(engine, "list containers", () =>
    engine.docker.listContainers({
      all: true,
      filters: filter(name, {
        [LABEL.kind]: "hold",
        ...(what === undefined ? {} : { [HOLD]: what }),
      }),
    }),
  );
  return found
    .map(({ Id, Labels, State, Created }) => ({
      id: Id,
      epoch: Number(Labels[EPOCH]),
      holder: Labels[HOLDER] ?? "another run",
      held:
        State === "running" ||
        State === "paused" ||
        // By the Engine's clock, or ours where they differ: then it waits a little longer or less.
        (State === "created" && Date.now() - Created * 1000 < STARTING_MS),
    }))
    .toSorted((a, b) => a.epoch - b.epoch);
}

/** Null when somebody else was first. */
async function take(
  { engine, name }: Cluster,
  one: { what: What; holder: string; image: string; epoch: number },
): Promise<Attached | null> {
  try {
    return await attach(engine, {
      name: `${name}-${one.what}-${one.epoch}`,
      image: one.image,
      labels: {
        [LABEL.cluster]: name,
        [LABEL.kind]: "hold",
        [HOLD]: one.what,
        [EPOCH]: String(one.epoch),
        [HOLDER]: one.holder,
      },
      passing: false,
    });
  } catch (error) {
    const { data } = error as PgdbaError;
    if ((data as { status?: number } | undefined)?.status === 409) return null;
    throw error;
  }
}

function leaseOf(cluster: Cluster, what: What, taken: Attached, epoch: number): Lease {
  let released = false;
  return {
    epoch,
    async held() {
      if (released) return { heldBy: "nobody: this run has given it back" };
      const all = await holdings(cluster, what);
      if (all.find(({ id }) => id === taken.id)?.held) return "held";
      const other = all.findLast(({ held }) => held);
      return { heldBy: other?.holder ?? "nobody: the Engine has ended what held it" };
    },
    async release() {
      if (released) return;
      released = true;
      await taken.end();
      // A number need not grow where nothing is left of the cluster; that of the making of nodes is of no use to anybody.
      if (what === NODES || !(await hasNodes(cluster)))
        await removeQuietly(cluster.engine, taken.id);
    },
  };
}

async function hasNodes({ engine, name }: Cluster): Promise<boolean> {
  const nodes = await engine.docker
    .listContainers({ all: true, limit: 1, filters: filter(name, { [LABEL.kind]: "node" }) })
    .catch(() => undefined);
  return nodes === undefined || nodes.length > 0;
}

/** Those that have ended. */
export async function removeHoldings(cluster: Cluster): Promise<void> {
  for (const { id, held } of await holdings(cluster))
    if (!held) await removeQuietly(cluster.engine, id);
}

async function removeQuietly(engine: Engine, id: string): Promise<void> {
  try {
    await engine.docker.getContainer(id).remove({ force: true });
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
  }
}
