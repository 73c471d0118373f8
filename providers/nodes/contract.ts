/**
 * The one contract of all places where nodes live: processes of this machine, containers, hosts reached by SSH, pods.
 *
 * A provider is a folder here whose `provider.ts` default-exports a `Provider`; `tests/providers/nodes/contract.ts` runs every verb of it
 * against the real thing. Differences between places live in their folders: whoever calls a verb asks `can`, never for a provider's name.
 *
 * node      one host, container or pod of a cluster, by a name that is unique in it
 * role      what a node runs: `postgres`, `etcd`, ... (who is primary is no role: that changes, and PostgreSQL knows it)
 * label     who made a thing: cluster, run and path of the step. Things are found and removed by label, never by name
 * place     what only this provider understands: an image, a host's address, a namespace; described by its JSON Schemas
 */
import type { AccessFor, JsonObject, JsonSchema, Progress } from "../../engine/types.ts";
import type { Armed, Deadline, Fault, Healed, Inverse, Lease, Peers } from "./contract/faults.ts";
import type { DiskPurpose, Facts } from "./contract/facts.ts";
import type { Difference, Prepared } from "./contract/renewal.ts";
import type { ExecOptions, ExecResult, Files, Jobs } from "./contract/work.ts";

export type * from "./contract/facts.ts";
export type * from "./contract/faults.ts";
export type * from "./contract/renewal.ts";
export type * from "./contract/work.ts";

/** The default export of `providers/nodes/<name>/provider.ts`. To import it must cost nothing: clients are imported by `open`. */
export interface Provider {
  /** The name of its folder. */
  readonly name: string;
  readonly summary: string;
  /** The schemas of `Spec.place` and `NodeSpec.place` here. */
  readonly place: { cluster: JsonSchema; node: JsonSchema };
  /** The roles that a cluster must have here beside `postgres`, and the reason: there is no etcd where Kubernetes keeps the state. */
  readonly roles: readonly { role: Role; least: number; why: string }[];
  /**
   * The way to one cluster's nodes, for as long as a run lasts. Nothing is made by it, and a place that does not answer is found out by
   * the first verb.
   * @throws PgdbaError invalid_config
   */
  open(at: Opening): Promise<Opened>;
}

export interface Opening {
  cluster: string;
  stateDir: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The cluster's part of the place, from the registry or from a spec. */
  place: JsonObject;
  /** The value of a secret by its name. It reaches the node in a file or on an input, never in argv. @throws PgdbaError missing_secret */
  secret(name: string): Promise<string>;
  /**
   * Told, before a node is started, at which address it will be reached. Without it a node never changes its address.
   */
  reached?(node: string, at: Address): Promise<void>;
}

export interface Opened {
  /** The verbs, on behalf of one step. */
  nodes(by: By): Nodes;
  /** Ends connections; nodes, jobs and healers go on. */
  close(): Promise<void>;
}

/** On whose behalf a verb acts. Run and path become labels of all that is made; `signal` ends what is waited for. */
export interface By extends Pick<AccessFor, "run" | "path" | "signal"> {
  progress?(progress: Progress): void;
  log?(message: string): void;
  /** True for a text that must not stand on a command line, for everybody on a machine can read those. */
  forbid?(text: string): boolean;
}

/**
 * All verbs. One that `can` denies throws `unsupported` with the same reason, before it does anything. A node that does not answer is
 * `unknown` to `list` and `state`, and `connection_failed` to the others. Verbs that change something are idempotent unless they say
 * otherwise: done again after a crash in the middle, they finish the work.
 */
export interface Nodes extends Files {
  readonly cluster: string;
  can(): Promise<Can>;

  /** The changes that `provision` would make; makes none. @throws PgdbaError step_refused when it would refuse */
  plan(spec: Spec): Promise<Change[]>;
  /**
   * Makes what is missing, starts what was made, and waits until it runs. A node that is there and not in `spec` is left as it is: to
   * remove takes `deprovision`. What lies on a node of this cluster is never overwritten; a standby whose data was taken away is made anew.
   * @throws PgdbaError step_refused: the spec is not that of the nodes that are there
   */
  provision(spec: Spec): Promise<Change[]>;
  /**
   * Stops and removes with their data what has the labels: all of the cluster, or what one run has made (`but` for these nodes), or some nodes. What
   * is not there any more counts as removed.
   * @throws PgdbaError step_refused: of `nodes`, when no other node would have the data
   */
  deprovision(
    which?: { run: string; but?: readonly string[] } | { nodes: readonly string[] },
  ): Promise<Change[]>;
  /** All nodes that have the cluster's label, those of a `provision` that did not finish included. */
  list(): Promise<NodeInfo[]>;

  /**
   * Has ready what the nodes of the spec are made from, such as images: what is not there is fetched or built. `anew`: also what is there, with the
   * newest packages; what can't be fetched stays as it is then. Nodes that run are not touched.
   */
  prepare(spec: Spec, options?: { anew?: boolean }): Promise<Prepared[]>;
  /**
   * What `renew` would change of each node that is there and in the spec; changes, builds and fetches nothing.
   * @throws PgdbaError step_refused: the spec is not that of the nodes that are there
   */
  compare(spec: Spec): Promise<Difference[]>;
  /**
   * Makes the container (unit, pod) of a node anew by the spec: another image, another limit. Its data, its name and its addresses stay, and so
   * does what the spec does not say of the node's place; what runs on it is stopped for it, fast, and takes connections again when this returns. One that does not run is not
   * started.
   */
  renew(node: string, spec: Spec): Promise<Change>;

  /**
   * Gives the node a new certificate, which its services take without a restart, and tells until when it is good. A node that is down has
   * it when it starts.
   */
  certify(node: string, tls: TlsWish): Promise<{ notAfter: string }>;

  state(node: string): Promise<NodeState>;
  /** Tells of each node whose state has changed, as the place tells it; late or not at all is possible, so look at `state` as well. */
  watch(onEvent: (event: NodeEvent) => void, signal: AbortSignal): Promise<void>;
  /**
   * Whether nothing of the node runs, and nothing will before `start` is said to it: told by whoever has power over it. A time that ran
   * out and a node that does not answer prove nothing.
   */
  death(node: string): Promise<Death>;
  /** Sees that the node is dead and stays so until `start`: what still runs is killed, and nobody starts it again. Done again it only looks. */
  fence(node: string): Promise<Death>;
  /** Starts what the node runs, and waits until it takes connections (a standby: until it is consistent). */
  start(node: string, options?: { role?: Role; timeoutMs?: number }): Promise<void>;
  /** `fast` ends sessions and writes a checkpoint; `immediate` does not, so that the next start is a recovery. */
  stop(node: string, how: StopMode, options?: { role?: Role; timeoutMs?: number }): Promise<void>;
  /** Without a word of goodbye; whoever watches over the node may start it again. Says nothing of what is done next. */
  kill(node: string, what: KillTarget, options?: { role?: Role }): Promise<void>;
  /** All processes of the node stand still and hold what they hold. Whoever freezes has armed the thaw before. */
  freeze(node: string): Promise<void>;
  thaw(node: string): Promise<void>;
  logs(node: string, options?: LogOptions): Promise<LogPart>;
  facts(node: string): Promise<Facts>;

  /**
   * Runs a program on the node and waits for it. `argv` reaches it as it is, through no shell. What reads only, or may be done twice,
   * goes by this; what changes something is a job. A program that fails is no error: look at `exit_code`.
   * @throws PgdbaError command_failed (it did not start) | connection_failed | timeout; the signal's reason when aborted
   */
  exec(node: string, argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  readonly jobs: Jobs;

  /** No packet passes between the node and these peers, also of connections that are open. The way to pgdba itself stays open. */
  partition(
    node: string,
    what: { from: Peers; ports?: readonly number[]; direction: "in" | "out" | "both" },
    until: Deadline,
  ): Promise<Fault>;
  /** Leaves `leaveBytes` free where the data (or what is named) lies, by a file beside it. */
  fillDisk(
    node: string,
    what: { of: DiskPurpose; leaveBytes: number },
    until: Deadline,
  ): Promise<Fault>;
  slowNetwork(
    node: string,
    what: { to: Peers; delayMs: number; jitterMs?: number; lossPercent?: number },
    until: Deadline,
  ): Promise<Fault>;
  slowDisk(
    node: string,
    what: { of: DiskPurpose; bytesPerSecond: number },
    until: Deadline,
  ): Promise<Fault>;

  /**
   * Has `inverse` done at the deadline, whatever becomes of pgdba and of the line to the node. It is in force when this returns. The same
   * id again moves the deadline.
   */
  arm(inverse: Inverse, until: Deadline): Promise<Armed>;
  /** All that is armed on the cluster, found by label, without any journal. */
  armed(): Promise<Armed[]>;
  /** Forgets it without doing it: its inverse was done otherwise, and that was verified. */
  disarm(id: string): Promise<void>;
  /** Does the inverse of all that is armed (of one, of one run) now, verifies it, and forgets it. */
  heal(which?: { id: string } | { run: string }): Promise<Healed[]>;

  /**
   * The right to change the cluster's nodes, or to be the only one who does `what` (letters, digits and `-`); it needs no server. `holder`
   * is told to whoever asks meanwhile.
   */
  lease(holder: string, what?: string): Promise<Lease | { heldBy: string }>;
  /** Who has that lease at this moment; null when nobody has. Whoever removes the whole cluster on purpose has that of `REMOVAL`. */
  leased(what?: string): Promise<string | null>;
}

/** The lease that tells others, such as whoever waits for a death, that nodes end on purpose: they are removed, or stopped. */
export const REMOVAL = "removal";

// ---------------------------------------------------------------- what a place can

export const VERBS = [
  "provision",
  "deprovision",
  "renew",
  "certify",
  "watch",
  "death",
  "fence",
  "start",
  "stop",
  "kill_process",
  "kill_patroni",
  "kill_node",
  "kill_power",
  "freeze",
  "logs",
  "facts",
  "exec",
  "jobs",
  "put",
  "get",
  "partition",
  "fill_disk",
  "slow_network",
  "slow_disk",
  "arm",
  "lease",
  /** Nodes with the role `backup` run `pgdba run backup/scheduler`, by the program `bin/pgdba` in the home of their account. */
  "schedule",
  /** Nodes with the role `monitoring` run what files in the folder `monitor` of their home say. */
  "monitor",
] as const;
export type Verb = (typeof VERBS)[number];

/** `why` is a sentence for people: what is missing, and where it could be had. Expressions see `target.can.<verb>`. */
export type Can = Record<Verb, { can: true } | { can: false; why: string }>;

// ---------------------------------------------------------------- the whole

export type Role = "postgres" | "etcd" | "pgbouncer" | "proxy" | "backup" | "monitoring";

/** The wanted state of a cluster. It is plain data, and holds names of secrets, never a secret. */
export interface Spec {
  /** PostgreSQL's major version. */
  version: number;
  /** Settings of postgresql.conf, for nodes that are made now. Later changes are made where settings are changed. */
  settings?: Record<string, string | number | boolean>;
  superuser: Account;
  replication: Account;
  /** More accounts that the place needs, by what they are for: `rewind`, `patroni`, `etcd`, ... */
  accounts?: Record<string, Account>;
  /** In order: where no node has data yet, the first with the role `postgres` is made as the primary. */
  nodes: NodeSpec[];
  /** How Patroni runs the servers; without it each runs alone. */
  patroni?: PatroniWish;
  /** All connections over a network by TLS; without it none has to be. */
  tls?: TlsWish;
  /** A database that is made with the cluster; its owner's password is that of the account `owner`. */
  database?: { name: string; owner: string };
  place?: JsonObject;
}

/** For the making of a cluster; what stands in Patroni's dynamic configuration is changed there later. Times in seconds. */
export interface PatroniWish {
  scope: string;
  ttl: number;
  loop_wait: number;
  retry_timeout: number;
  synchronous_mode: "off" | "on" | "strict";
}

/** Each node has a certificate that the cluster's own authority has signed. */
export interface TlsWish {
  /** The name of the secret that is the authority's private key and certificate. */
  authority: string;
  /** Names and addresses by which clients reach the cluster, beside those that the place gives its nodes. */
  names?: readonly string[];
}

export interface Account {
  user: string;
  /** The name of the secret. */
  password: string;
}

export interface NodeSpec {
  /** Lowercase letters, digits and `-`: it becomes a part of host names, slots and folders. */
  name: string;
  roles: Role[];
  place?: JsonObject;
}

export interface Change {
  node: string;
  act: "make" | "start" | "keep" | "remove";
  /** In a few words: `primary`, `standby of pg1`, `runs already`. */
  what: string;
}

export interface NodeInfo {
  node: string;
  roles: Role[];
  labels: { run: string; path: string };
  /** False for one whose `provision` did not finish. */
  made: boolean;
  /** The address at which other nodes reach its PostgreSQL, and pgdba does; null for a node without one. */
  address: Address | null;
  reach: Address | null;
  /** The other services of the node: where other nodes reach each, and where pgdba does. */
  endpoints: Partial<Record<Service, { address: Address; reach: Address }>>;
  state: NodeState;
  place: JsonObject;
}

/** `patroni`: its REST API. `etcd`: for clients. `follower`: whoever owns route and pause of the PgBouncer beside it. */
export type Service = "patroni" | "etcd" | "pgbouncer" | "follower" | "prometheus" | "alertmanager";

export interface NodeEvent {
  node: string;
  /** As far as the event tells it. */
  running: Running;
  at: string;
}

/** `how` and `why` are sentences for people and for the journal. */
export type Death = { proven: true; how: string } | { proven: false; why: string };

export interface Address {
  host: string;
  port: number;
}

// ---------------------------------------------------------------- life

export type StopMode = "fast" | "immediate";
/**
 * `process`: the first process of the service, such as PostgreSQL. `patroni`: the Patroni that watches over it. `node`: all processes of the
 * node. `power`: as if the plug were pulled: nothing is flushed.
 */
export type KillTarget = "process" | "patroni" | "node" | "power";

/**
 * `absent`: there is no such node. `starting`: it runs and takes no connections yet. `failed`: it should run and does not.
 * `unknown`: it could not be asked; `why` says it.
 */
export type Running =
  | "absent"
  | "stopped"
  | "starting"
  | "running"
  | "frozen"
  | "failed"
  | "unknown";

export interface NodeState {
  running: Running;
  why?: string;
  services: { role: Role; running: Running; pid?: number; since?: string }[];
}

export interface LogOptions {
  role?: Role;
  /** `next` of an earlier part; without it the last `maxBytes`. */
  since?: string;
  /** 256 KiB without it. */
  maxBytes?: number;
}

export interface LogPart {
  text: string;
  /** The place to go on: given as `since`, nothing is read twice. */
  next: string;
  /** True when lines between `since` and this part are gone: the log was rotated or cut. */
  gap: boolean;
  /** True when there is more by now. */
  more: boolean;
}
