import type { NodeInfo, NodeState, Role, Running, Service } from "../contract.ts";
import { soon, statusOf } from "./engine.ts";
import { answersHttp, pingPostgres } from "./ping.ts";
import { type Cluster, type NodeRecord, readRecords, reachOf } from "./record.ts";
import { layoutOf, PORT } from "./roles.ts";

/** Says of a container what its node is like. */
export async function stateOf(cluster: Cluster, record: NodeRecord): Promise<NodeState> {
  const container = await lookAt(cluster, record);
  if (container.running !== "running") {
    const { running, why } = container;
    return { running, ...(why === undefined ? {} : { why }), services: services(record, running) };
  }
  const found = await serviceState(record);
  return {
    running: found,
    services: services(record, found, container.since),
  };
}

const services = (record: NodeRecord, running: Running, since?: string): NodeState["services"] =>
  record.roles.map((role) => ({ role, running, ...(since === undefined ? {} : { since }) }));

interface Look {
  running: Running;
  why?: string;
  since?: string;
}

/** By the Engine's word alone. */
async function lookAt({ engine }: Cluster, record: NodeRecord): Promise<Look> {
  try {
    const { State } = await engine.docker.getContainer(record.id).inspect(soon());
    if (State.Paused) return { running: "frozen" };
    if (State.Restarting)
      return {
        running: "failed",
        why: `it ends again and again, with exit code ${State.ExitCode}`,
      };
    if (State.Running) return { running: "running", since: State.StartedAt };
    if (!record.made) return { running: "stopped", why: "it was not made to the end" };
    if (State.OOMKilled) return { running: "failed", why: "it was killed for want of memory" };
    if (State.Error) return { running: "failed", why: State.Error };
    if (State.ExitCode === 137) return { running: "stopped", why: "it was killed" };
    return { running: "stopped" };
  } catch (error) {
    if (statusOf(error) === 404) return { running: "absent" };
    return {
      running: "unknown",
      why: `the Docker Engine does not answer: ${(error as Error).message}`,
    };
  }
}

/** Whether what the container is for takes connections: nothing else counts as running. */
export async function serviceState(
  record: NodeRecord,
): Promise<Extract<Running, "running" | "starting">> {
  const [port] = layoutOf(record.role).ports;
  // What a node that monitors is to do, it is told after it was made.
  if (record.role === "monitoring") return "running";
  const at = port === undefined ? null : reachOf(record, port);
  if (at === null) return "running";
  const { superuser, tls = false } = record.spec;
  const isUp =
    record.role === "etcd"
      ? await answersHttp(at, "/health", tls)
      : (await pingPostgres(at, record.role === "postgres" ? superuser : "pgbouncer", tls)) ===
        "running";
  return isUp ? "running" : "starting";
}

export async function listNodes(cluster: Cluster): Promise<NodeInfo[]> {
  const records = await readRecords(cluster);
  return Promise.all(records.map((record) => infoOf(cluster, record)));
}

const SERVICES: Partial<Record<Role, Partial<Record<Service, number>>>> = {
  postgres: { patroni: PORT.patroni },
  etcd: { etcd: PORT.etcd },
  pgbouncer: { pgbouncer: PORT.pgbouncer, follower: PORT.follower },
  monitoring: { prometheus: PORT.prometheus, alertmanager: PORT.alertmanager },
};

async function infoOf(cluster: Cluster, record: NodeRecord): Promise<NodeInfo> {
  const { node, roles, labels, made, image, ports } = record;
  const isServer = record.role === "postgres";
  const endpoints: NodeInfo["endpoints"] = {};
  for (const [service, port] of Object.entries(SERVICES[record.role] ?? {})) {
    const reach = reachOf(record, port);
    if (reach !== null) endpoints[service as Service] = { address: { host: node, port }, reach };
  }
  return {
    node,
    roles,
    labels,
    made,
    address: isServer ? { host: node, port: PORT.postgres } : null,
    reach: isServer ? reachOf(record, PORT.postgres) : null,
    endpoints,
    state: await stateOf(cluster, record),
    place: { container: record.name, image, ports },
  };
}
