/** Where the values of each source come from. A value that is unknown is left out: it is never 0. */
import { PgdbaError } from "../../../engine/errors.ts";
import { parseDuration } from "../../../engine/shared/units.ts";
import type { StepContext } from "../../../engine/types.ts";
import armed from "../../chaos/armed.ts";
import { certificatesOf } from "../../cluster/gather/certificates.ts";
import type { Facts } from "../../../providers/nodes/contract.ts";
import { gather } from "../../cluster/gather/cluster.ts";
import { type Answer, answerOf } from "../../cluster/gather/server.ts";
import { holderOf, membersNow } from "../../cluster/judge/members.ts";
import type { Cache } from "../serve/cache.ts";
import type { Alive, Checked } from "../serve/probes.ts";
import { backupSamples } from "./backups.ts";
import { checkSamples, sequenceSamples } from "./checks.ts";
import type { Listed, Sample } from "./exposition.ts";
import { Source, type Values } from "./source.ts";
import waits from "./waits.sql" with { type: "text" };

/** A source that has not answered by then counts as failed, ms. Its work ends by its own limits. */
const DEADLINE_MS = 15_000;
const DEADLINES_MS: Record<string, number> = { alive: 3_000, checks: 120_000, backups: 120_000 };
const CONNECT_MS = 3_000;
/** To look into one node; less than the deadline of all. */
const DISK_MS = 10_000;
const STATEMENT_MS = 5_000;

export interface Asked {
  alive: Cache<Alive>;
  ready: Cache<Checked>;
  /** The group of each check. */
  groups: Readonly<Record<string, string>>;
  /** The fullest sequences, however full they are. */
  sequences(): Promise<Pick<Checked, "findings">>;
}

/** The sources that the target has. */
export async function sourcesOf(
  ctx: StepContext,
  { sources }: Listed,
  asked: Asked,
): Promise<Source[]> {
  const { capabilities } = await ctx.target.facts();
  const has = (word: string): boolean => capabilities.includes(word);
  const isCluster = ctx.target.cluster !== null;
  const now = (work: (ctx: StepContext) => Promise<Sample[]>) => async () => ({
    samples: await work(ctx),
  });
  const read: Record<string, false | (() => Promise<Values>)> = {
    alive: () => aliveNow(asked.alive),
    locks: now(locksNow),
    checks: () => checksNow(asked),
    members: isCluster && has("member") && now(membersSeen),
    disk: has("nodes") && (() => disksNow(ctx)),
    backups: has("repository") && now(backupSamples),
    faults: has("nodes") && now(faultsNow),
    certificates: isCluster && has("member") && now(certificatesNow),
  };
  return Object.entries(sources).flatMap(([name, { refresh, max_age }]) => {
    const work = read[name];
    if (!work) return [];
    const times = {
      refreshMs: parseDuration(refresh),
      maxAgeMs: parseDuration(max_age),
      deadlineMs: DEADLINES_MS[name] ?? DEADLINE_MS,
    };
    return [new Source(name, ctx.clock, times, work)];
  });
}

async function aliveNow(alive: Cache<Alive>): Promise<Values> {
  const entry = await alive.get();
  if ("error" in entry) throw entry.error;
  const samples = [
    { name: "pgdba_up", value: 1 },
    { name: "pgdba_server_full", value: Number(entry.value.full) },
  ];
  return { samples, ageMs: entry.ageMs };
}

/** By a session of its own: it must not wait for a health check, nor that for it. */
async function locksNow(ctx: StepContext): Promise<Sample[]> {
  const session = await (await ctx.use("postgres")).open(undefined, { timeoutMs: CONNECT_MS });
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(STATEMENT_MS)]);
  try {
    const { rows } = await session.ask(waits, [], { timeoutMs: STATEMENT_MS, signal });
    const row = rows[0]!;
    if (row["sees_all"] !== true)
      throw new PgdbaError(
        "insufficient_privilege",
        `${session.info.user} does not see what the sessions of others wait for`,
        { hint: `GRANT pg_monitor TO ${session.info.user};` },
      );
    const value = (key: string): number => Number(row[key]);
    return [
      { name: "pgdba_lock_wait_seconds_max", value: value("lock_wait") },
      { name: "pgdba_lock_waiters", value: value("lock_waiters") },
      { name: "pgdba_transaction_seconds_max", value: value("transaction") },
      { name: "pgdba_idle_in_transaction_seconds_max", value: value("idle") },
      { name: "pgdba_prepared_transaction_seconds_max", value: value("prepared") },
    ];
  } finally {
    await session.close();
  }
}

async function checksNow({ ready, groups, sequences }: Asked): Promise<Values> {
  const entry = await ready.get();
  if ("error" in entry) throw entry.error;
  const had = performance.now();
  const samples = [...checkSamples(entry.value, groups), ...sequenceSamples(await sequences())];
  return { samples, ageMs: entry.ageMs + performance.now() - had };
}

/** Without the store, the PgBouncers and the place of the nodes, which others tell of. */
async function membersSeen(ctx: StepContext): Promise<Sample[]> {
  const gathered = await gather(without(ctx, BESIDE));
  const holder = holderOf(gathered);
  const members = membersNow(gathered, holder);
  const registered = (await ctx.use("member")).registered().length;
  const writable = gathered.members.filter(({ server }) => server.value?.standby === false);
  return [
    { name: "pgdba_cluster_members_expected", value: registered || members.length },
    { name: "pgdba_cluster_members_writable", value: writable.length },
    {
      name: "pgdba_cluster_members_unreachable",
      value: members.filter(({ sql, api }) => !sql && api !== true).length,
    },
    ...members.flatMap(({ name: instance, sql, timeline, replay_lag_bytes: lag }): Sample[] => {
      const labels = { instance };
      return [
        {
          name: "pgdba_cluster_leader",
          labels,
          value: Number(instance === holder.name),
        },
        { name: "pgdba_member_up", labels, value: Number(sql) },
        ...(timeline === null ? [] : [{ name: "pgdba_member_timeline", labels, value: timeline }]),
        ...(lag === null || instance === holder.name
          ? []
          : [{ name: "pgdba_member_lag_bytes", labels, value: lag }]),
      ];
    }),
  ];
}

const BESIDE: readonly string[] = ["nodes", "dcs", "pgbouncer"];

/** The context of a step that has no access to these. */
function without(ctx: StepContext, words: readonly string[]): StepContext {
  return {
    ...ctx,
    use: async (what) => {
      if (!words.includes(what)) return ctx.use(what);
      throw new PgdbaError("capability_missing", `${what} is not asked here`);
    },
  };
}

/** One node that does not answer must neither hide the disks of the others, nor go unsaid. */
async function disksNow(ctx: StepContext): Promise<Values> {
  const nodes = await ctx.use("nodes");
  const servers = (await nodes.list()).filter(
    ({ roles, state }) => roles.includes("postgres") && state.running === "running",
  );
  const perNode = await Promise.all(
    servers.map(async ({ node }) => ({
      node,
      facts: await answerOf(nodes.facts(node), DISK_MS, ctx.signal),
    })),
  );
  return disksSeen(perNode);
}

export function disksSeen(
  perNode: readonly { node: string; facts: Answer<Pick<Facts, "disks">> }[],
): Values {
  const silent = perNode.filter(({ facts }) => facts.value === null);
  return {
    samples: perNode.flatMap(({ node, facts }) => disksOf(node, facts.value?.disks ?? [])),
    lacking:
      silent.length === 0
        ? null
        : new PgdbaError(
            silent[0]!.facts.code ?? "step_failed",
            `The disks of ${silent.map(({ node }) => node).join(", ")} could not be seen: ${silent[0]!.facts.why}`,
            { hint: "Look at the node: one that runs tells of its disks at once." },
          ),
  };
}

export function disksOf(
  instance: string,
  disks: readonly { of: string; path: string; totalBytes: number; freeBytes: number }[],
): Sample[] {
  const data = disks.find(({ of }) => of === "data");
  const wal = disks.find(({ of }) => of === "wal");
  const one =
    data !== undefined &&
    (wal === undefined || wal.path.startsWith(`${data.path.replace(/\/$/, "")}/`));
  const held = one
    ? [{ ...data, holds: "data+wal" }]
    : [data && { ...data, holds: "data" }, wal && { ...wal, holds: "wal" }];
  return held.flatMap((disk) => {
    if (disk === undefined) return [];
    const labels = { instance, mountpoint: disk.path, holds: disk.holds };
    return [
      { name: "pgdba_disk_size_bytes", labels, value: disk.totalBytes },
      { name: "pgdba_disk_avail_bytes", labels, value: disk.freeBytes },
    ];
  });
}

async function faultsNow(ctx: StepContext): Promise<Sample[]> {
  const { lasting } = (await armed.run(ctx, {})) as { lasting: number };
  return [{ name: "pgdba_faults_in_force", value: lasting }];
}

async function certificatesNow(ctx: StepContext): Promise<Sample[]> {
  const { seen } = await certificatesOf(await gather(ctx));
  return seen.map(({ member: instance, of, certificate }) => ({
    name: "pgdba_certificate_expiry_timestamp_seconds",
    labels: { instance, service: of === "PostgreSQL" ? "postgres" : of.toLowerCase() },
    value: Date.parse(certificate.notAfter) / 1000,
  }));
}
