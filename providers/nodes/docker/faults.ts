import type { JsonObject } from "../../../engine/types.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Deadline, Fault, Nodes, Peers, Role } from "../contract.ts";
import { armed, GONE } from "./arm.ts";
import type { At } from "./at.ts";
import { attach } from "./attached.ts";
import { hasSizes } from "./disks.ts";
import { ask, statusOf } from "./engine.ts";
import { answerOf, execIn } from "./exec.ts";
import { helperImage } from "./images.ts";
import { inspected, killNode } from "./life.ts";
import type { Work } from "./make.ts";
import { inNetworkOf } from "./network.ts";
import fill from "./node/fill.py" with { type: "text" };
import kill from "./node/kill.py" with { type: "text" };
import script from "./node/partition.py" with { type: "text" };
import { LABEL, type NodeRecord, nodeOf } from "./record.ts";
import { HOME_DIR, layoutOf, PGDATA, WAL_DIR } from "./roles.ts";

type On = (node: string, role?: Role) => Promise<At>;

/** Takes a chain of ours away, in both families; it says so when that is done, also when it was not there. */
const REMOVE = `there=${GONE}
for program in iptables ip6tables; do
  $program -w 5 -n -L "$1" >/dev/null 2>&1 || continue
  there=0
  for hook in INPUT OUTPUT; do
    while $program -w 5 -D $hook -j "$1" 2>/dev/null; do :; done
  done
  $program -w 5 -F "$1" && $program -w 5 -X "$1" || exit 1
done
[ "$2" = told ] && exit "$there"
exit 0`;

const EMPTY = `there=${GONE}
[ ! -e "$1" ] || there=0
rm -f -- "$1" || exit 1
[ "$2" = told ] && exit "$there"
exit 0`;

/** Nothing goes out or in any more, not even the word that a connection has ended. */
const CUT = `iptables -w 5 -I OUTPUT 1 -j DROP && iptables -w 5 -I INPUT 1 -j DROP || exit 1
ip6tables -w 5 -I OUTPUT 1 -j DROP; ip6tables -w 5 -I INPUT 1 -j DROP; exit 0`;

/** Waits for the end of whoever has cut it: where that comes before the node's, nobody else would take it back. What still cuts meanwhile ends with this. Nodes die
 * within seconds: an Engine that was too busy to close the input, or to kill this, leaves it for five minutes. */
const UNCUT = `timeout 300 cat >/dev/null
for n in 1 2 3; do
  for program in iptables ip6tables; do
    for hook in OUTPUT INPUT; do $program -w 5 -D $hook -j DROP 2>/dev/null; done
  done
  sleep 1
done`;

/** Rules in the network of the node itself: they last until they are taken away, or it starts anew. */
export async function partition(
  work: Work,
  on: On,
  node: string,
  { from, ports = [], direction }: Parameters<Nodes["partition"]>[1],
  until: Deadline,
): Promise<Fault> {
  const at = await on(node);
  const peers = await peersOf(work, from, ports);
  // A name of the kernel's is short.
  const chain = `pgdba-${Bun.hash(until.id).toString(36).slice(0, 12)}`;
  const here = ["sh", "-c", REMOVE, "sh", chain];
  const { container, ...fault } = await armed(work, on, { on: node, here, in: "network" }, until);
  const place = { engine: work.cluster.engine, id: container, node, by: work.by };
  const question = { chain, direction, ports, ...peers };
  // Another fault under this id is taken back before.
  const cleared = await clear(at, work, here);
  if (cleared !== undefined) throw failed(node, cleared);
  const { tried, passed, alive } = await answerOf<{
    tried: string[];
    passed: string[];
    alive: string[];
  }>(place, script, question);
  const took = tried.length === 0 ? null : passed.length === 0;
  return {
    ...fault,
    took,
    evidence:
      took === null
        ? "none of the peers took a connection before, so that nothing can be told"
        : took
          ? `no connection to ${tried.join(", ")} came about any more`
          : `a connection to ${passed.join(", ")} came about still`,
    openConnections: tried.length === 0 ? "unknown" : alive.length === 0 ? "cut" : "alive",
  };
}

async function clear(at: At, work: Work, here: readonly string[]): Promise<string | undefined> {
  const image = await helperImage(work);
  const done = await inNetworkOf(work.cluster, at.record.id, image, here);
  return done.code === 0 ? undefined : done.text;
}

/** The addresses that are cut off, and where a connection is tried. */
async function peersOf(
  { cluster }: Work,
  { nodes = [], addresses = [] }: Peers,
  ports: readonly number[],
): Promise<{ addresses: string[]; probes: [string, number][] }> {
  const all = [...addresses];
  const probes: [string, number][] = addresses.flatMap((address) =>
    ports.map((port): [string, number] => [address, port]),
  );
  for (const name of nodes) {
    const record = await nodeOf(cluster, name);
    const { NetworkSettings } = await ask(cluster.engine, `look at ${name}`, () =>
      cluster.engine.docker.getContainer(record.id).inspect(),
    );
    const own = Object.values(NetworkSettings.Networks).flatMap(
      ({ IPAddress, GlobalIPv6Address }) => [IPAddress, GlobalIPv6Address].filter(Boolean),
    );
    all.push(...own);
    const known = layoutOf(record.role).ports;
    const tried = ports.length === 0 ? known : known.filter((port) => ports.includes(port));
    for (const address of own) for (const port of tried) probes.push([address, port]);
  }
  if (all.length > 0) return { addresses: all, probes };
  throw new PgdbaError("step_failed", "None of the peers has an address to be cut off from", {
    hint: "Name nodes that run, or addresses.",
    nothingDone: true,
  });
}

/** Only on a disk of its own size: the file lies beside the data, where the server never looks. */
export async function fillDisk(
  work: Work,
  on: On,
  node: string,
  { of, leaveBytes }: Parameters<Nodes["fillDisk"]>[1],
  until: Deadline,
): Promise<Fault> {
  const at = await on(node);
  const { data, wal } = at.record.sizes;
  const folder =
    of === "data" && data
      ? HOME_DIR
      : of === "wal" && (wal ?? data)
        ? wal
          ? WAL_DIR
          : HOME_DIR
        : undefined;
  if (folder === undefined) {
    throw new PgdbaError("unsupported", `The disk of ${node} for ${of} has no size of its own`, {
      hint: "To fill it would fill that of the Engine's machine. Clusters with `data_size` (`dcs_size` for the store) have disks of their own.",
      nothingDone: true,
    });
  }
  const path = `${folder}/.pgdba-fill-${until.id}`;
  const inverse = { on: node, here: ["sh", "-c", EMPTY, "sh", path], in: "volumes" } as const;
  const { container, ...fault } = await armed(work, on, inverse, until);
  // In the healer: it sees the disk whether the node runs or not.
  const place = { engine: work.cluster.engine, id: container, node, by: work.by };
  const { before, free, tried, room } = await answerOf<{
    before: number;
    free: number;
    tried: number;
    room: boolean;
  }>(place, fill, { path, leave: leaveBytes });
  return {
    ...fault,
    took: !room,
    evidence: `${tried} bytes ${room ? "find" : "found no"} room there; ${free} are free, ${before} were before`,
  };
}

/** True when a node has, or will have, a disk of its own size. */
export function hasOwnDisks(records: readonly NodeRecord[], place: JsonObject): boolean {
  return records.length === 0
    ? ["data_size", "wal_size", "dcs_size"].some((name) => place[name] !== undefined)
    : records.some(({ sizes }) => hasSizes(sizes));
}

/**
 * The network is cut first, in the same breath: nobody hears that the node's connections have ended. What its programs had written and
 * not flushed is kept by the machine, which has not lost its power.
 */
export async function killPower(work: Work, at: At): Promise<void> {
  if (!(await inspected(at)).State.Running) return killNode(at);
  const { engine, name } = work.cluster;
  const { node, id } = at.record;
  const held = await attach(engine, {
    image: await helperImage(work),
    labels: { [LABEL.cluster]: name, [LABEL.kind]: "helper" },
    host: { NetworkMode: `container:${id}`, CapAdd: ["NET_ADMIN"] },
    passing: true,
    argv: ["sh", "-c", UNCUT],
  });
  try {
    const place = { engine, id: held.id, node, by: work.by };
    const done = await execIn(place, ["sh", "-c", CUT], { user: "0", cwd: "/" });
    if (done.exit_code !== 0) throw failed(node, done.stderr);
    await killNode(at);
  } catch (error) {
    await held.leave();
    throw error;
  }
  await held.end();
}

function failed(node: string, text: string): PgdbaError {
  return new PgdbaError("command_failed", `The network of ${node} can't be changed: ${text}`, {
    hint: "Give the image of its servers iptables, and the Engine the right to NET_ADMIN.",
  });
}

const TOOLS = ["/usr/sbin/iptables", "/usr/sbin/ip6tables"];

/** Why nothing can be done in the network of a node; undefined when it can. */
export async function whyNoNetwork(
  work: Work,
  records: readonly NodeRecord[],
): Promise<string | undefined> {
  const server = records.find(({ role }) => role === "postgres");
  // Our own image has them.
  if (server === undefined) return undefined;
  const container = work.cluster.engine.docker.getContainer(server.id);
  for (const path of TOOLS) {
    try {
      await container.infoArchive({ path });
    } catch (error) {
      if (statusOf(error) === 404)
        return `the image ${server.image} has no ${path}, by which packets are dropped`;
    }
  }
  return undefined;
}

/** A container whose first process has ended is told to have ended by then, ms. */
const ENDS_MS = 10_000;

/** The container ends with its Patroni, and whoever kills it with it. */
export async function killPatroni(at: At): Promise<void> {
  const { StartedAt: before } = (await inspected(at)).State;
  try {
    await at.work(true, (place) => answerOf(place, kill, { pidfile: null, name: "patroni" }));
  } catch (error) {
    for (const ends = performance.now() + ENDS_MS; ; await Bun.sleep(50)) {
      const { State } = await inspected(at);
      if (!State.Running || State.Restarting || State.StartedAt !== before) return;
      if (performance.now() > ends) throw error;
    }
  }
}

/** The first process of what the node is for. */
export async function killService(at: At): Promise<void> {
  const { role } = at.record;
  const question = { pidfile: role === "postgres" ? `${PGDATA}/postmaster.pid` : null, name: role };
  await at.work(true, (place) => answerOf(place, kill, question));
}
