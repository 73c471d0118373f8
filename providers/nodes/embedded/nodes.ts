import { PgdbaError } from "../../../engine/errors.ts";
import { canAllBut, lacking } from "../can.ts";
import type { By, Can, NodeInfo, Nodes, Opened, Opening, Role, Verb } from "../contract.ts";
import { arm, armedOf, disarm, heal } from "./arm.ts";
import { execOn } from "./exec.ts";
import { filesOf } from "./files.ts";
import {
  baseOf,
  type Home,
  homeOf,
  HOST,
  nodeOf,
  placeOf,
  readRecord,
  readRecords,
} from "./home.ts";
import { jobsOf } from "./jobs.ts";
import { holderOf, takeLease } from "./lease.ts";
import {
  deathOf,
  freezeNode,
  killNode,
  killProcess,
  startNode,
  stateOf,
  stopNode,
  thawNode,
} from "./life.ts";
import { deprovision, plan, provision } from "./make.ts";
import { factsOf, logsOf } from "./observe.ts";
import { TELLS_PROCESSES } from "./processes.ts";

const NETWORK =
  "the nodes share the network of this machine, so that one can't be cut off from another. Containers can";
const DISK = "the nodes share the disk of this machine with everything else on it. Containers can";
const POWER =
  "a process has no plug: what the kernel has of its writes is kept. `kill node` is there";
const PATRONI = "no Patroni runs on a node of plain processes: each server runs alone";
const PROCESSES = "only Linux tells which processes belong to a node";

const NO_TLS = "processes of this machine speak to one another by its loopback, and not by TLS";
const ALONE = "a process has no image or limit to be made anew with: its settings can be changed";
const NO_EVENTS = "nobody tells of processes that end. `state` can be asked";

const SCHEDULE = "its nodes are processes of this machine, which has a cron of its own";

const MONITOR =
  "its nodes are processes of this machine, where Prometheus may be run by whoever runs it otherwise";

const LACKS: Partial<Record<Verb, string>> = {
  schedule: SCHEDULE,
  monitor: MONITOR,
  renew: ALONE,
  certify: NO_TLS,
  watch: NO_EVENTS,
  kill_power: POWER,
  kill_patroni: PATRONI,
  partition: NETWORK,
  slow_network: NETWORK,
  fill_disk: DISK,
  slow_disk: DISK,
  ...(TELLS_PROCESSES
    ? {}
    : {
        kill_node: PROCESSES,
        freeze: PROCESSES,
        jobs: PROCESSES,
        arm: PROCESSES,
        death: PROCESSES,
        fence: PROCESSES,
      }),
};

const CAN: Can = canAllBut(LACKS);

export async function openEmbedded(at: Opening): Promise<Opened> {
  const { stateDir, cluster, secret, reached } = at;
  const home = { ...homeOf(stateDir, cluster), reached };
  return {
    nodes: (by) => verbs(home, by, secret),
    close: async () => {},
  };
}

function verbs(home: Home, by: By, secret: Opening["secret"]): Nodes {
  const work = { home, by, secret };
  const { signal } = by;
  const at = async (node: string, role: Role = "postgres") => {
    const found = await nodeOf(home, node);
    if (role !== "postgres") {
      throw new PgdbaError("step_refused", `${node} runs no ${role}`, {
        hint: "A process of this machine runs postgres alone.",
        nothingDone: true,
      });
    }
    return { ...found, home, signal };
  };
  return {
    ...filesOf(home, by),
    cluster: home.cluster,
    can: async () => CAN,
    plan: (spec) => plan(home, spec),
    provision: (spec) => provision(work, spec),
    deprovision: (which) => deprovision(work, which),
    list: () => listNodes(home),
    async state(node) {
      const base = baseOf(home);
      const record = base === undefined ? undefined : readRecord(base, node);
      if (base === undefined || record === undefined) return { running: "absent", services: [] };
      return stateOf(record, placeOf(base, node));
    },
    prepare: () => Promise.reject(lacking("renew", ALONE)),
    compare: () => Promise.reject(lacking("renew", ALONE)),
    renew: () => Promise.reject(lacking("renew", ALONE)),
    certify: () => Promise.reject(lacking("certify", NO_TLS)),
    watch: () => Promise.reject(lacking("watch", NO_EVENTS)),
    death: async (node) => deathOf(await at(node)),
    async fence(node) {
      const one = await at(node);
      const before = await deathOf(one);
      if (before.proven) return before;
      await killNode(one);
      return deathOf(one);
    },
    start: async (node, options) => {
      await startNode(await at(node, options?.role), options?.timeoutMs);
    },
    stop: async (node, how, options) =>
      stopNode(await at(node, options?.role), how, options?.timeoutMs),
    async kill(node, what, options) {
      if (what === "power") throw lacking("kill_power", POWER);
      if (what === "patroni") throw lacking("kill_patroni", PATRONI);
      const one = await at(node, options?.role);
      return what === "process" ? killProcess(one) : killNode(one);
    },
    freeze: async (node) => freezeNode(await at(node)),
    thaw: async (node) => thawNode(await at(node)),
    logs: async (node, options) => logsOf((await at(node, options?.role)).at.log, options ?? {}),
    facts: async (node) => factsOf(await at(node)),
    exec: async (node, argv, options) =>
      execOn({ ...(await nodeOf(home, node)), home, by }, argv, options),
    jobs: jobsOf(home, by),
    partition: () => Promise.reject(lacking("partition", NETWORK)),
    slowNetwork: () => Promise.reject(lacking("slow_network", NETWORK)),
    fillDisk: () => Promise.reject(lacking("fill_disk", DISK)),
    slowDisk: () => Promise.reject(lacking("slow_disk", DISK)),
    arm: (inverse, until) => arm(home, by, inverse, until),
    armed: () => armedOf(home),
    disarm: (id) => disarm(home, id),
    heal: (which) => heal(home, by, which),
    lease: (holder, what) => takeLease(home, holder, what),
    leased: (what) => holderOf(home, what),
  };
}

async function listNodes(home: Home): Promise<NodeInfo[]> {
  const base = baseOf(home);
  if (base === undefined) return [];
  return Promise.all(
    (await readRecords(home)).map(async (record) => {
      const { node, roles, labels, made, port, bin, version } = record;
      const address = { host: HOST, port };
      const state = await stateOf(record, placeOf(base, node));
      const place = { port, version, ...(bin === null ? {} : { bin }) };
      return { node, roles, labels, made, address, reach: address, endpoints: {}, state, place };
    }),
  );
}
