import { existsSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Change, NodeState, Spec } from "../contract.ts";
import { controlOf } from "./control.ts";
import { accountsOf } from "../passwords.ts";
import { baseOf, type Home, type NodeRecord, placeOf, readRecords } from "./home.ts";
import { stateOf } from "./life.ts";
import { assertNames, assertPlaces, assertUsers, refused } from "../spec.ts";
import provider from "./provider.ts";

/** A node as it is found. */
export interface Found {
  record: NodeRecord;
  state: NodeState;
  /** False where a data directory was, and is no more. */
  data: boolean;
  standby: boolean;
  timeline: number;
}

export interface Decision {
  changes: Change[];
  /** The node that the others are made from: it is there, or the first to be made. */
  lead: string;
}

export async function findNodes(home: Home): Promise<Found[]> {
  const base = baseOf(home);
  if (base === undefined) return [];
  return Promise.all(
    (await readRecords(home)).map(async (record) => {
      const at = placeOf(base, record.node);
      return {
        record,
        state: await stateOf(record, at),
        data: existsSync(join(at.data, "PG_VERSION")),
        standby: await isStandby(at.data),
        timeline: await timelineOf(at.data),
      };
    }),
  );
}

/** The latest that it began itself: the control file learns of it only with the next checkpoint. */
async function timelineOf(dataDir: string): Promise<number> {
  const names = await readdir(join(dataDir, "pg_wal")).catch(() => []);
  const histories = names.map((name) => /^([0-9A-F]{8})\.history$/.exec(name)?.[1] ?? "0");
  const begun = histories.map((id) => Number.parseInt(id, 16));
  return Math.max((await controlOf(dataDir))?.timeline ?? 0, ...begun);
}

export function isStandby(dataDir: string): Promise<boolean> {
  return lstat(join(dataDir, "standby.signal")).then(
    () => true,
    () => false,
  );
}

/** The work that is needed to reach `spec`. Pure. @throws PgdbaError step_refused */
export function decide(spec: Spec, found: readonly Found[]): Decision {
  checkSpec(spec);
  const known = found.filter(({ record }) => record.made);
  for (const { record } of known) assertSame(spec, record);
  const made = known.filter(({ data }) => data);
  if (made.length === 0 && known.length > 0) {
    throw refused(
      "The nodes have no data any more",
      "Restore it on one of them, or remove the cluster: it would be another one.",
    );
  }
  const byName = new Map(made.map((one) => [one.record.node, one]));
  const missing = spec.nodes.filter(({ name }) => !byName.has(name));
  const lead = made.length === 0 ? spec.nodes[0]!.name : leadOf(made, missing.length > 0);
  const start: Change[] = [];
  const make: Change[] = [];
  for (const { name } of spec.nodes) {
    const one = byName.get(name);
    if (one !== undefined) start.push(changeOf(one, lead));
    else if (name === lead) make.push({ node: name, act: "make", what: "primary" });
    else make.push({ node: name, act: "make", what: `standby of ${lead}` });
  }
  if (make.length > 0) assertLeadRuns(lead, byName.get(lead), start);
  const rest = found
    .filter(({ record }) => !spec.nodes.some(({ name }) => name === record.node))
    .map(({ record }): Change => ({ node: record.node, act: "keep", what: "not in the spec" }));
  // The others are made from it, and follow it.
  const first = ({ node }: Change): number => (node === lead ? 0 : 1);
  return {
    changes: [...start.toSorted((a, b) => first(a) - first(b)), ...make, ...rest],
    lead,
  };
}

function changeOf({ record, state, standby }: Found, lead: string): Change {
  const { node } = record;
  const role = node === lead ? "primary" : standby ? "standby" : "was a primary";
  if (state.running === "running") return { node, act: "keep", what: `${role}, runs already` };
  if (state.running === "starting") return { node, act: "start", what: `${role}, is starting` };
  if (state.running === "frozen") return { node, act: "keep", what: `${role}, is frozen` };
  // Two primaries are worse than one node less: to rejoin it is another matter.
  if (node !== lead && !standby)
    return { node, act: "keep", what: `stopped; it was a primary and has to be rejoined` };
  return { node, act: "start", what: role };
}

/** The one that is no standby. @throws PgdbaError step_refused when that is not one */
function leadOf(made: readonly Found[], needed: boolean): string {
  const primaries = made.filter(({ standby }) => !standby);
  const running = primaries.filter(({ state }) => state.running === "running");
  const latest = Math.max(...primaries.map(({ timeline }) => timeline));
  const candidates =
    running.length > 0 ? running : primaries.filter(({ timeline }) => timeline === latest);
  if (candidates.length === 1) return candidates[0]!.record.node;
  // Nothing has to be made from it.
  if (candidates.length === 0 && !needed) return "";
  const names = candidates.map(({ record }) => record.node).join(", ");
  throw candidates.length === 0
    ? refused(
        "No node of the cluster is a primary",
        "Promote one, then a standby can be made from it.",
      )
    : refused(
        `More than one node is a primary: ${names}`,
        "Decide which one is right, and stop and rejoin the others.",
      );
}

function assertLeadRuns(lead: string, one: Found | undefined, start: readonly Change[]): void {
  if (one === undefined || one.state.running === "running") return;
  if (start.some(({ node, act }) => node === lead && act === "start")) return;
  throw refused(
    `${lead}, the primary, is ${one.state.running}: no standby can be made from it`,
    "Start or thaw it first.",
  );
}

function assertSame(spec: Spec, record: NodeRecord): void {
  const { node, version, bin, port, superuser, replication } = record;
  const segment = record.wal_segment_size ?? 16;
  const wanted = spec.nodes.find(({ name }) => name === node)?.place?.["port"];
  for (const [what, is, says] of [
    ["PostgreSQL", version, spec.version],
    ["its programs in", bin ?? "pgdba's own", spec.place?.["bin"] ?? "pgdba's own"],
    ["WAL files of MB", segment, spec.place?.["wal_segment_size"] ?? segment],
    ["port", port, wanted ?? port],
    ["the superuser", superuser.user, spec.superuser.user],
    ["the replication account", replication.user, spec.replication.user],
  ] as const) {
    if (is === says) continue;
    throw refused(
      `${node} has ${what} ${is}, and the spec says ${says}`,
      "A node is not made anew for a changed spec; correct the spec, or remove the node first.",
    );
  }
}

function checkSpec(spec: Spec): void {
  assertNames(spec);
  for (const { name, roles } of spec.nodes) {
    if (roles.length !== 1 || roles[0] !== "postgres")
      throw refused(
        `${name} is to run ${roles.join(", ") || "nothing"}; a process of this machine runs postgres alone`,
        "Give it `roles: [postgres]`, or choose another provider.",
      );
  }
  if (spec.tls !== undefined)
    throw refused(
      "Processes of this machine speak to one another by its loopback, and not by TLS",
      "Leave `tls` out, or choose another provider.",
    );
  assertUsers(accountsOf(spec).map(({ user }) => user));
  assertPlaces(provider, spec);
}
