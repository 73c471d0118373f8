import { PgdbaError } from "../../engine/errors.ts";
import type { StepContext } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { certificatesOf } from "./gather/certificates.ts";
import { type Gathered, gather } from "./gather/cluster.ts";
import { besideOf } from "./judge/beside.ts";
import { draw } from "./judge/draw.ts";
import type { Finding } from "./judge/finding.ts";
import { findingsOf } from "./judge/findings.ts";
import { holderOf, type MemberNow, membersNow } from "./judge/members.ts";
import { TOPOLOGY } from "./judge/output.ts";
import { sourcesOf } from "./judge/sources.ts";

export default defineStep({
  type: "cluster.topology",
  summary:
    "See how a cluster is: its members, who leads, who lags, its DCS and PgBouncers, and what is wrong",
  docs: `Asks Patroni's REST API, the PostgreSQL of each member, the DCS, the PgBouncers and the provider of the nodes at once, and changes nothing.
Lag is the difference of positions that were read by SQL now. What does not answer within a few seconds is told as such, and the rest is shown:
without Patroni's API roles are told by SQL and the DCS, and where no server answers either, states by the provider. \`sources\` says who answered.

A server out of recovery that does not hold the leader key has the role \`unfenced\`.`,
  example: `- cluster.topology: {}
`,
  effect: "read",
  idempotent: true,
  uses: ["postgres", "member", "patroni", "dcs", "pgbouncer", "nodes"],
  input: { type: "object", additionalProperties: false, properties: {} },
  output: TOPOLOGY,
  async run(ctx) {
    assertCluster(ctx);
    const gathered = await gather(ctx);
    if (gathered.members.length === 0) throw nobody(ctx, gathered);
    const holder = holderOf(gathered);
    const members = membersNow(gathered, holder);
    const certificates = await certificatesOf(gathered);
    const beside = besideOf(gathered, holder, certificates.seen, ctx.clock.now());
    const findings = findingsOf({ gathered, holder, members, beside });
    const leader = members.find(({ name }) => name === holder.name);
    const patroni = patroniNow(gathered);
    const dcs = dcsNow(gathered);
    return {
      cluster: gathered.cluster,
      summary: summaryOf(members, findings),
      topology: draw({
        head: headOf(gathered, { leader, patroni, dcs }),
        holder,
        members,
        pgbouncers: beside.pgbouncers,
        findings,
      }),
      leader: holder.name,
      leader_by: holder.by,
      timeline: leader?.timeline ?? null,
      members,
      findings,
      patroni,
      dcs,
      ...beside,
      guard: guardNow(gathered),
      sources: sourcesOf(gathered, certificates.asked),
    };
  },
});

/** A guard holds a lease at the place of the nodes, wherever it runs. */
function guardNow({ guard }: Gathered): { running: boolean | null; why: string } {
  if (guard === null)
    return { running: null, why: "Nobody has power over its nodes here, so that no guard can run" };
  if (guard.why !== null) return { running: null, why: guard.why };
  const holder = guard.value;
  return holder === null
    ? { running: false, why: "`pgdba failover guard` is off; Patroni's ttl holds" }
    : { running: true, why: `${holder} guards it` };
}

/** @throws PgdbaError capability_missing for a server that is no cluster's */
function assertCluster({ target }: StepContext): void {
  if (target.cluster !== null) return;
  const named = target.use !== undefined;
  throw new PgdbaError(
    named ? "capability_missing" : "no_target",
    named
      ? `${target.name} is one server, and this looks at a cluster`
      : "No cluster is named, and there is not exactly one that is registered",
    {
      hint: named
        ? "Name its cluster with --cluster. One that Patroni runs is registered by `pgdba cluster connect --name NAME --patroni-url http://HOST:8008`; a server alone is examined by `pgdba health check`."
        : "Name one with --cluster NAME; `pgdba cluster list` shows those that are registered.",
    },
  );
}

function nobody(ctx: StepContext, { patroni, nodes }: Gathered): PgdbaError {
  const why = patroni?.why ?? nodes?.why;
  return new PgdbaError(
    why == null ? "capability_missing" : "connection_failed",
    `No member of ${ctx.target.name} is known${why == null ? ": its entry names neither nodes nor Patroni" : `: ${why}`}`,
    {
      hint: `Look at its entry (pgdba cluster show ${ctx.target.name}); name its servers under \`nodes\`, or Patroni's REST API under \`patroni\`. A server alone is examined by \`pgdba health check\`.`,
    },
  );
}

function summaryOf(members: readonly MemberNow[], findings: readonly Finding[]) {
  const count = (severity: string): number =>
    findings.filter((one) => one.severity === severity).length;
  const up = members.filter(({ sql }) => sql).length;
  return {
    worst: findings[0]?.severity ?? "ok",
    critical: count("critical"),
    warning: count("warning"),
    info: count("info"),
    members: members.length,
    up,
  };
}

function patroniNow({ patroni, config, members }: Gathered) {
  if (patroni === null) return null;
  const settings = config?.value ?? {};
  const number = (key: string): number | null => {
    const value = Number(settings[key] ?? NaN);
    return Number.isFinite(value) ? value : null;
  };
  const mode = settings["synchronous_mode"];
  const statuses = members.flatMap(({ api }) => api?.status.value ?? []);
  const scheduled = patroni.value?.scheduled_switchover ?? null;
  return {
    version: statuses.find((one) => one.patroni.version !== null)?.patroni.version ?? null,
    scope: statuses.find((one) => one.patroni.scope !== null)?.patroni.scope ?? null,
    paused: patroni.value?.pause ?? null,
    ttl: number("ttl"),
    loop_wait: number("loop_wait"),
    retry_timeout: number("retry_timeout"),
    maximum_lag_on_failover: number("maximum_lag_on_failover"),
    synchronous_mode:
      config?.value == null ? null : mode === true ? "on" : mode ? String(mode) : "off",
    synchronous_mode_strict: settings["synchronous_mode_strict"] === true,
    failsafe_mode: settings["failsafe_mode"] === true,
    failsafe_active: statuses.some((one) => one.failsafe_mode_is_active),
    scheduled_switchover: scheduled === null ? null : { ...scheduled },
  };
}

function dcsNow({ dcs }: Gathered) {
  if (dcs?.health.value == null) return null;
  const { quorum, members, alarms } = dcs.health.value;
  const key = dcs.leader.value;
  return {
    quorum,
    members: members.map(({ dbBytes, ...one }) => ({ ...one, db_bytes: dbBytes })),
    alarms,
    leader_key: key === null ? null : { holder: key.holder, ttl_seconds: key.ttlSeconds },
  };
}

function headOf(
  g: Gathered,
  {
    leader,
    patroni,
    dcs,
  }: {
    leader: MemberNow | undefined;
    patroni: ReturnType<typeof patroniNow>;
    dcs: ReturnType<typeof dcsNow>;
  },
): string[] {
  const version =
    leader?.version ?? g.members.find(({ server }) => server.value)?.server.value?.version;
  const answering = dcs?.members.filter(({ reachable }) => reachable).length;
  return [
    g.cluster,
    ...(version == null ? [] : [`PostgreSQL ${version.split(" ")[0]}`]),
    ...(leader?.timeline == null ? [] : [`timeline ${leader.timeline}`]),
    ...(patroni === null ? [] : [`Patroni ${patroni.version ?? "does not answer"}`]),
    ...(patroni?.paused ? ["paused"] : []),
    ...(patroni?.synchronous_mode == null || patroni.synchronous_mode === "off"
      ? []
      : [`synchronous ${patroni.synchronous_mode_strict ? "strict" : patroni.synchronous_mode}`]),
    ...(dcs === null
      ? []
      : [`DCS ${answering} of ${dcs.members.length}${dcs.quorum ? "" : ", no quorum"}`]),
  ];
}
