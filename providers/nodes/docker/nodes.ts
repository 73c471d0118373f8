import { PgdbaError } from "../../../engine/errors.ts";
import { canAllBut, lacking } from "../can.ts";
import type { By, Nodes, Opened, Opening, Role, Verb } from "../contract.ts";
import { accountOn, nodeEnv } from "./account.ts";
import { certify } from "./certify.ts";
import { arm, armedOf, disarm, heal } from "./arm.ts";
import { type At, atNode, Helpers } from "./at.ts";
import { openEngine } from "./engine.ts";
import { execIn } from "./exec.ts";
import {
  fillDisk,
  hasOwnDisks,
  killPatroni,
  killPower,
  killService,
  partition,
  whyNoNetwork,
} from "./faults.ts";
import { filesOf } from "./files.ts";
import { hold, holderOf } from "./hold.ts";
import { helperImage } from "./images.ts";
import { jobsOf } from "./jobs.ts";
import { deathOf, fenceNode, freezeNode, killNode, startNode, stopNode, thawNode } from "./life.ts";
import { plan, provision } from "./make.ts";
import { factsOf, logsOf } from "./observe.ts";
import { type Cluster, CLUSTER_NAME, nodeOf, readRecords } from "./record.ts";
import { deprovision } from "./remove.ts";
import { compare, prepare, renew } from "./renew.ts";
import { listNodes, stateOf } from "./state.ts";
import { watchNodes } from "./watch.ts";

const SLOW_NETWORK =
  "to delay what goes to some peers alone takes the kernel's netem and prio, which this provider does not set yet; `partition` cuts it off whole";
const FILL =
  "the volumes of the nodes have no size of their own: to fill one would fill the disk of the Engine's machine";
const SLOW_DISK =
  "the Engine limits what a container writes only when it is made, and not what goes through the machine's memory";

/** What no Engine can. */
const LACKS: Partial<Record<Verb, string>> = {
  slow_network: SLOW_NETWORK,
  slow_disk: SLOW_DISK,
};

export async function openDocker(at: Opening): Promise<Opened> {
  if (!CLUSTER_NAME.test(at.cluster)) {
    throw new PgdbaError(
      "invalid_config",
      `${JSON.stringify(at.cluster)} can't name a cluster here`,
      {
        hint: "Use letters, digits, `.`, `-` and `_`; it names containers.",
      },
    );
  }
  const cluster = { engine: openEngine(at.env), name: at.cluster };
  const helpers = new Helpers();
  return {
    nodes: (by) => verbs(cluster, at, by, helpers),
    close: () => helpers.close(),
  };
}

function verbs(cluster: Cluster, opening: Opening, by: By, helpers: Helpers): Nodes {
  const { secret, place } = opening;
  const work = { cluster, by, secret, place };
  const on = async (node: string, role?: Role): Promise<At> => {
    const at = await atNode(cluster, node, by, helpers);
    if (role === undefined || at.record.roles.includes(role)) return at;
    throw new PgdbaError("step_refused", `${node} runs no ${role}`, {
      hint: `It runs ${at.record.roles.join(", ")}.`,
      nothingDone: true,
    });
  };
  const files = filesOf(by, on);
  return {
    ...files,
    cluster: cluster.name,
    async can() {
      // An Engine that does not answer is found out by the first verb.
      const records = await readRecords(cluster).catch(() => []);
      const why = await whyNoNetwork(work, records);
      return canAllBut({
        ...LACKS,
        ...(why === undefined ? {} : { partition: why, kill_power: why }),
        ...(hasOwnDisks(records, place) ? {} : { fill_disk: FILL }),
      });
    },
    plan: (spec) => plan(cluster, spec),
    provision: (spec) => provision(work, spec),
    deprovision: (which) => deprovision(work, which),
    list: () => listNodes(cluster),
    async state(node) {
      let record;
      try {
        record = (await readRecords(cluster)).find((one) => one.node === node);
      } catch (error) {
        return { running: "unknown", why: (error as Error).message, services: [] };
      }
      return record === undefined ? { running: "absent", services: [] } : stateOf(cluster, record);
    },
    prepare: (spec, options) => prepare(work, spec, options),
    compare: (spec) => compare(work, spec),
    renew: (node, spec) => renew(work, node, spec),
    async certify(node, tls) {
      const at = await on(node);
      if (at.record.spec.tls) return certify(at, files, secret, tls);
      throw new PgdbaError("step_refused", `${node} was made without TLS`, {
        hint: "Whether a cluster uses TLS is said when it is made: `pgdba cluster init --tls`.",
        nothingDone: true,
      });
    },
    watch: (onEvent, signal) => watchNodes(cluster, onEvent, AbortSignal.any([signal, by.signal])),
    async death(node) {
      let record;
      try {
        record = await nodeOf(cluster, node);
      } catch (error) {
        const { code, message } = error as PgdbaError;
        if (code !== "connection_failed") throw error;
        return { proven: false, why: message };
      }
      return deathOf({ cluster, record });
    },
    fence: async (node) => fenceNode(await on(node)),
    start: async (node, options) => startNode(await on(node, options?.role), options?.timeoutMs),
    stop: async (node, how, options) =>
      stopNode(await on(node, options?.role), how, options?.timeoutMs),
    async kill(node, what, options) {
      const at = await on(node, options?.role);
      if (what === "power") return killPower(work, at);
      if (what === "patroni") return killPatroni(at);
      return what === "process" ? killService(at) : killNode(at);
    },
    freeze: async (node) => freezeNode(await on(node)),
    thaw: async (node) => thawNode(await on(node)),
    logs: async (node, options) => logsOf(await on(node, options?.role), options ?? {}),
    facts: async (node) => factsOf(await on(node)),
    async exec(node, argv, options = {}) {
      const at = await on(node);
      const { user = at.layout.user, cwd = at.layout.home, env, ...rest } = options;
      await accountOn(at, user);
      return at.work(false, (there) =>
        execIn(there, argv, { ...rest, user, cwd, env: { ...nodeEnv(at), ...env } }),
      );
    },
    jobs: jobsOf(by, on),
    partition: (node, what, until) => partition(work, on, node, what, until),
    slowNetwork: () => Promise.reject(lacking("slow_network", SLOW_NETWORK)),
    fillDisk: (node, what, until) => fillDisk(work, on, node, what, until),
    slowDisk: () => Promise.reject(lacking("slow_disk", SLOW_DISK)),
    arm: (inverse, until) => arm(work, on, inverse, until),
    armed: () => armedOf(cluster),
    disarm: (id) => disarm(cluster, id),
    heal: (which) => heal(work, on, which),
    lease: async (holder, what) => hold(cluster, leaseName(what), holder, await helperImage(work)),
    leased: (what) => holderOf(cluster, leaseName(what)),
  };
}

const leaseName = (what: string | undefined): string =>
  what === undefined ? "lease" : `lease-${what}`;
