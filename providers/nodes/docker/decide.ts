import type { Change, NodeSpec, Role, Running, Spec } from "../contract.ts";
import { assertNames, assertPlaces, assertUsers, refused } from "../spec.ts";
import { assertSizes } from "./disks.ts";
import provider from "./provider.ts";
import { type FixedSpec, type NodeRecord } from "./record.ts";
import { ROLES } from "./roles.ts";

/** A node as it is found. */
export interface Found {
  record: NodeRecord;
  running: Running;
  /** For PostgreSQL: as its Patroni says; null where it says nothing. */
  isLeader: boolean | null;
}

/** The order in which nodes are made: each needs those before it. */
const ORDER: readonly Role[] = ["etcd", "postgres", "pgbouncer", "backup", "monitoring"];

export interface Todo extends Change {
  spec: NodeSpec;
  role: Role;
}

/** The work that is needed to reach `spec`, in order. Pure. @throws PgdbaError step_refused */
export function decide(spec: Spec, found: readonly Found[]): { todo: Todo[]; rest: Change[] } {
  checkSpec(spec);
  const made = found.filter(({ record }) => record.made);
  for (const { record } of made) assertSame(spec, record);
  assertStoreStays(spec, made);
  const byName = new Map(found.map((one) => [one.record.node, one]));
  const lead = leadOf(spec, made);
  const todo = ORDER.flatMap((role) =>
    spec.nodes
      .filter(({ roles }) => roles.includes(role))
      .toSorted((a, b) => Number(b.name === lead) - Number(a.name === lead))
      .map((node) => {
        const is = whatOf(node.name, role, lead);
        return { spec: node, role, node: node.name, ...actOf(byName.get(node.name), is) };
      }),
  );
  const rest = found
    .filter(({ record }) => !spec.nodes.some(({ name }) => name === record.node))
    .map(({ record }): Change => ({ node: record.node, act: "keep", what: "not in the spec" }));
  return { todo, rest };
}

/** Who leads, or will: Patroni's word, or the first to be made. Undefined where nobody knows it. */
function leadOf(spec: Spec, made: readonly Found[]): string | undefined {
  const servers = made.filter(({ record }) => record.role === "postgres");
  if (servers.length === 0) return spec.nodes.find(({ roles }) => roles.includes("postgres"))?.name;
  return servers.find(({ isLeader }) => isLeader)?.record.node;
}

function whatOf(node: string, role: Role, lead: string | undefined): string {
  if (role !== "postgres") return role;
  if (node === lead) return "primary";
  return lead === undefined ? "member" : `standby of ${lead}`;
}

function actOf(found: Found | undefined, is: string): Pick<Change, "act" | "what"> {
  if (found === undefined || !found.record.made) return { act: "make", what: is };
  const { running } = found;
  if (running === "running") return { act: "keep", what: `${is}, runs already` };
  if (running === "frozen") return { act: "keep", what: `${is}, is frozen` };
  return { act: "start", what: running === "starting" ? `${is}, is starting` : is };
}

export function fixedSpecOf(spec: Spec): FixedSpec {
  return {
    version: spec.version,
    superuser: spec.superuser.user,
    replication: spec.replication.user,
    patroni: true,
    ...(spec.tls ? { tls: true } : {}),
  };
}

function assertSame(spec: Spec, { node, role, roles, spec: is, ports }: NodeRecord): void {
  const wanted = spec.nodes.find(({ name }) => name === node);
  const says = fixedSpecOf(spec);
  const port = wanted?.place?.["port"];
  const first = ports[String(ROLES[role]?.ports[0])];
  for (const [what, one, other] of [
    ["PostgreSQL", is.version, says.version],
    ["the superuser", is.superuser, says.superuser],
    ["the replication account", is.replication, says.replication],
    ["TLS", is.tls ?? false, says.tls ?? false],
    ["the roles", roles.join(", "), wanted?.roles.join(", ") ?? roles.join(", ")],
    ["port", first, port ?? first],
  ] as const) {
    if (one === other) continue;
    throw refused(
      `${node} has ${what} ${one}, and the spec says ${other}`,
      "A node is not made anew for a changed spec; correct the spec, or remove the node first.",
    );
  }
}

/** The members of an etcd are fixed when it is made: another one would begin a store of its own. */
function assertStoreStays(spec: Spec, made: readonly Found[]): void {
  const etcd = made.filter(({ record }) => record.role === "etcd").map(({ record }) => record.node);
  const servers = made.filter(({ record }) => record.role === "postgres");
  const wanted = spec.nodes.filter(({ roles }) => roles.includes("etcd")).map(({ name }) => name);
  const added = wanted.filter((name) => !etcd.includes(name));
  if (servers.length === 0 || added.length === 0) return;
  throw refused(
    `${added.join(", ")} can't join the etcd of this cluster: its members are ${etcd.join(", ") || "gone"}`,
    "Name the members that it was made with.",
  );
}

function checkSpec(spec: Spec): void {
  assertNames(spec);
  for (const { name, roles } of spec.nodes) {
    if (roles.length !== 1 || !(roles[0]! in ROLES))
      throw refused(
        `${name} is to run ${roles.join(", ") || "nothing"}; a container runs one of ${Object.keys(ROLES).join(", ")}`,
        "Give it one role of these.",
      );
  }
  if (!spec.nodes.some(({ roles }) => roles.includes("postgres")))
    throw refused("The spec has no node with PostgreSQL", "Name at least one.");
  for (const { role, least, why } of provider.roles) {
    if (spec.nodes.filter(({ roles }) => roles.includes(role)).length >= least) continue;
    throw refused(`The spec has too few nodes with ${role}: ${why}`, `Name at least ${least}.`);
  }
  if (spec.patroni === undefined)
    throw refused(
      "The spec does not say how Patroni runs the servers",
      "Give `patroni` with its scope and times.",
    );
  const { rewind, pgbouncer, owner } = spec.accounts ?? {};
  const users = [spec.superuser, spec.replication, rewind, pgbouncer, owner].flatMap((account) =>
    account === undefined ? [] : [account.user],
  );
  assertUsers(users);
  assertPlaces(provider, spec);
  assertSizes(spec);
}
