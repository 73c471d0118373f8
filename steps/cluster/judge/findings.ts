import type { Gathered } from "../gather/cluster.ts";
import { besideFindings } from "./beside-findings.ts";
import { type Finding, finding, type Judging, SEVERITIES, sizeText } from "./finding.ts";
import { faultFindings } from "./fault-findings.ts";
import { restoreFindings } from "./restore-findings.ts";
import type { MemberNow } from "./members.ts";

/** Patroni's own default of `maximum_lag_on_failover`. */
const MAX_LAG = 1024 ** 2;

/** Everything that is wrong with a cluster, the worst first. Pure. */
export function findingsOf(j: Judging): Finding[] {
  const all = [
    ...leadership(j),
    ...j.members.flatMap((member) => ofMember(j, member)),
    ...patroni(j),
    ...j.gathered.removed.map(removed),
    ...besideFindings(j),
    ...faultFindings(j),
    ...restoreFindings(j),
  ];
  return SEVERITIES.flatMap((severity) => all.filter((one) => one.severity === severity));
}

function removed(name: string): Finding {
  return finding({
    severity: "info",
    check: "removed-member",
    title: "Patroni still lists a member that was removed",
    object: name,
    message: `${name} is no node of the cluster any more`,
    text: "Nothing is to be done: Patroni forgets it when its key has run out, after its ttl.",
  });
}

const isDown = ({ sql, state }: MemberNow): boolean => !sql && state !== "creating replica";

function leadership({ gathered, holder, members }: Judging): Finding[] {
  const found: Finding[] = [];
  const wild = members.filter(({ role }) => role === "unfenced");
  for (const { name, timeline } of wild)
    found.push(
      finding({
        severity: "critical",
        check: "unfenced",
        title: "A server takes writes without the leader key",
        object: name,
        message: `${name} is out of recovery${timeline === null ? "" : ` on timeline ${timeline}`}, and the leader is ${holder.name ?? "nobody"}: what is written there is lost when it rejoins`,
        text: "Stop its PostgreSQL or cut it off from clients now; then let it rejoin, and look at what was written there before.",
      }),
    );
  if (holder.name === null && wild.length === 0)
    found.push(
      finding({
        severity: "critical",
        check: "no-leader",
        title: "The cluster has no leader",
        object: null,
        message: members.some(({ sql }) => sql)
          ? "Nobody holds the leader key, and no server takes writes"
          : "No server of the cluster answers",
        text: allStopped(gathered)
          ? "All of its nodes are stopped: pgdba cluster start starts them, the last primary first."
          : gathered.patroni?.value?.pause === true
            ? "Patroni is paused, so it elects none: resume it (pgdba cluster resume --yes), or start the leader that there was."
            : "Look at the logs of Patroni, and at the DCS; a standby takes over when it is sound and the DCS answers. pgdba failover status says why none does.",
      }),
    );
  const leader = members.find(({ name }) => name === holder.name);
  if (leader !== undefined && isDown(leader))
    found.push(
      finding({
        severity: "critical",
        check: "leader-down",
        title: "The leader does not answer",
        object: leader.name,
        message: `${leader.name} holds the leader key, and its PostgreSQL does not answer (${leader.state})${leader.why === null ? "" : `: ${leader.why}`}`,
        text: whenLeaderIsDown(gathered),
      }),
    );
  const standbys = members.filter(({ role }) => role !== "leader" && role !== "standby_leader");
  const able = standbys.filter((one) => one.sql && one.tags["nofailover"] !== true);
  if (leader !== undefined && standbys.length > 0 && able.every((one) => one.role === "unfenced"))
    found.push(
      finding({
        severity: "critical",
        check: "no-candidate",
        title: "No standby could take over",
        object: null,
        message: `Of ${standbys.map(({ name }) => name).join(", ")} none answers that may become the leader`,
        text: "Bring a standby back (pgdba replica rejoin NAME --yes), or add one (pgdba replica add): until then the loss of the leader is an outage.",
      }),
    );
  return found;
}

function whenLeaderIsDown({ patroni: told, dcs }: Gathered): string {
  if (told?.value?.pause === true)
    return "Patroni is paused, so nobody takes over: resume it (pgdba cluster resume --yes), or start the leader.";
  const left = dcs?.leader.value?.ttlSeconds ?? null;
  return `If it is dead, wait: a standby takes over by itself when the leader key runs out${left === null ? "" : `, in ${Math.ceil(left)} s`}. Where none does, pgdba failover status says why. If it is only out of reach from here, mend the way to it.`;
}

function ofMember(j: Judging, member: MemberNow): Finding[] {
  const { name, state, role } = member;
  const found: Finding[] = [];
  const leader = j.members.find((one) => one.name === j.holder.name);
  const isStandby = !["leader", "standby_leader", "unfenced"].includes(role);
  const stopped = state === "stopped" && nodeOf(j.gathered, name) === "stopped";
  const add = (...args: Parameters<typeof finding>): void => void found.push(finding(...args));
  if (isStandby && isDown(member))
    add({
      severity: "warning",
      check: "member-down",
      title: "A member does not answer",
      object: name,
      message: `${name} is ${state}${member.why === null ? "" : `: ${member.why}`}`,
      text:
        stopped && leader === undefined
          ? "Start the nodes, the last primary first: pgdba cluster start."
          : stopped
            ? `Start it, so that it follows again: pgdba replica rejoin ${name} --yes.`
            : `Look at the logs of its Patroni and PostgreSQL.${remake(j.gathered, name)} Where it is only out of reach from here, say in the cluster's entry where it is reached.`,
    });
  if (isStandby && member.sql && member.streams_from === null && state !== "streaming")
    add({
      severity: "warning",
      check: "not-streaming",
      title: "A standby does not stream",
      object: name,
      message: `${name} receives no WAL from anybody (${state})`,
      text:
        leader === undefined || isDown(leader)
          ? "There is no leader that answers: it streams again when there is one."
          : `Look at its log: the usual reasons are WAL that is gone, a diverged timeline, or a password.${remake(j.gathered, name)}`,
    });
  if (isStandby && member.timeline !== null && leader?.timeline != null) {
    if (member.timeline !== leader.timeline)
      add({
        severity: "warning",
        check: "timeline",
        title: "A standby is on another timeline",
        object: name,
        message: `${name} is on timeline ${member.timeline}, the leader on ${leader.timeline}`,
        text: `When it does not follow by itself within a minute, it has diverged: pgdba replica rejoin ${name} --yes.`,
      });
  }
  const limit = maxLag(j.gathered);
  if (isStandby && member.receive_lag_bytes !== null && member.receive_lag_bytes > limit)
    add({
      severity: "warning",
      check: "lag",
      title: "A standby is behind",
      object: name,
      message: `${name} has not received the last ${sizeText(member.receive_lag_bytes)} of WAL; beyond ${sizeText(limit)} Patroni does not let it take over`,
      text: "Look at its network and disks; what it lacks is lost when the leader is.",
    });
  else if (isStandby && member.replay_lag_bytes !== null && member.replay_lag_bytes > limit)
    add({
      severity: "warning",
      check: "replay-lag",
      title: "A standby replays late",
      object: name,
      message: `${name} has received the WAL, and not replayed ${sizeText(member.replay_lag_bytes)} of it${member.replay_paused ? ": replay is paused there" : ""}`,
      text: member.replay_paused
        ? "Let it go on: select pg_wal_replay_resume()."
        : "A query there may hold it up (max_standby_streaming_delay), or its disk is slow. A takeover waits for it.",
    });
  else if (member.replay_paused)
    add({
      severity: "warning",
      check: "replay-paused",
      title: "Replay is paused",
      object: name,
      message: `${name} receives WAL and does not replay it`,
      text: "Let it go on: select pg_wal_replay_resume().",
    });
  if (member.pending_restart.length > 0)
    add({
      severity: "info",
      check: "pending-restart",
      title: "A restart is pending",
      object: name,
      message: `${name} has settings that wait for a restart: ${member.pending_restart.join(", ")}`,
      text: "Restart it when it suits: pgdba config restart --yes.",
    });
  if (member.watchdog_failed)
    add({
      severity: "warning",
      check: "watchdog",
      title: "The watchdog does not work",
      object: name,
      message: `${name} could not open its watchdog device: a leader that hangs is not stopped by it`,
      text: "Look at the permissions of the device; where it is required, this member can't become the leader.",
    });
  // That none of them answers is told once, and that of a node that is stopped none does goes without saying.
  if (member.api === false && j.gathered.patroni?.value && !stopped)
    add({
      severity: "warning",
      check: "api-down",
      title: "A member's Patroni does not answer",
      object: name,
      message: `${name}'s REST API can't be reached; what is shown of it is by SQL and by what others say`,
      text: "Look whether Patroni runs there: without it the member is neither watched nor moved.",
    });
  return found;
}

/** How a standby is had back that does not mend itself; by Patroni, and where somebody has power over the nodes. */
function remake({ nodes, patroni: by }: Gathered, name: string): string {
  return [
    ...(nodes?.value == null
      ? []
      : [` Where it does not come up by itself: pgdba replica rejoin ${name} --yes.`]),
    ...(by === null
      ? []
      : [
          ` Where its data are broken: pgdba replica reinit ${name} --yes makes it anew from a copy.`,
        ]),
  ].join("");
}

function allStopped({ nodes }: Gathered): boolean {
  const all = nodes?.value ?? [];
  return all.length > 0 && all.every(({ state }) => state.running === "stopped");
}

function nodeOf({ nodes }: Gathered, name: string): string | undefined {
  return nodes?.value?.find(({ node }) => node === name)?.state.running;
}

/** A node of which the place says so acknowledges no commit. */
const DOWN: ReadonlySet<string> = new Set(["stopped", "failed", "frozen"]);

/** Beyond this Patroni lets nobody take over. */
function maxLag({ config }: Gathered): number {
  const set = Number(config?.value?.["maximum_lag_on_failover"] ?? MAX_LAG);
  return Number.isFinite(set) ? set : MAX_LAG;
}

function patroni({ gathered, members, holder }: Judging): Finding[] {
  const found: Finding[] = [];
  const add = (...args: Parameters<typeof finding>): void => void found.push(finding(...args));
  const { patroni: told, config } = gathered;
  if (told?.why != null)
    add({
      severity: "critical",
      check: "patroni-down",
      title: "Patroni does not answer",
      object: null,
      message: `No REST API of the cluster answers, so roles are told by SQL${gathered.dcs?.leader.code === null ? " and by the DCS" : ""}: ${told.why}`,
      text: "Look whether Patroni runs; without it nobody takes over when the leader is lost.",
    });
  if (told?.value?.pause === true)
    add({
      severity: "warning",
      check: "paused",
      title: "Patroni is paused",
      object: null,
      message: "Nothing is failed over or restarted by itself while it is",
      text: "Resume it when the work is done: pgdba cluster resume --yes.",
    });
  const failsafe = gathered.members.filter(({ api }) => api?.status.value?.failsafe_mode_is_active);
  if (failsafe.length > 0)
    add({
      severity: "critical",
      check: "failsafe",
      title: "The cluster lives on without its DCS",
      object: null,
      message: `${failsafe.map(({ name }) => name).join(", ")} is in failsafe mode: the DCS does not answer, and the leader goes on as long as all members do`,
      text: "Bring the DCS back: the loss of one member ends all writes until then.",
    });
  const mode = config?.value?.["synchronous_mode"];
  const isSync = mode === true || mode === "on" || mode === "quorum";
  const standbys = members.filter(({ name }) => name !== holder.name);
  const synced = standbys.filter(
    ({ role }) => role === "sync_standby" || role === "quorum_standby",
  );
  const down = synced.filter(({ name, sql }) => !sql && DOWN.has(nodeOf(gathered, name) ?? ""));
  if (isSync && down.length > 0 && down.length === synced.length)
    add({
      severity: "critical",
      check: "sync-standby-down",
      title: "Commits wait for a standby that is down",
      object: down[0]!.name,
      message: `${down.map(({ name }) => `${name} is ${nodeOf(gathered, name) ?? "down"}`).join(", ")}, and nobody else is synchronous`,
      text: "Bring it back. Patroni names another one, where there is one that streams, when it has been silent for its ttl.",
    });
  if (isSync && holder.name !== null && synced.length === 0) {
    const strict = config?.value?.["synchronous_mode_strict"] === true;
    add({
      severity: strict ? "critical" : "warning",
      check: "no-sync-standby",
      title: "There is no synchronous standby",
      object: null,
      message: strict
        ? "Synchronous mode is strict, so all commits wait until there is one"
        : "Commits are on the leader alone until there is one",
      text: "Bring a standby back (pgdba replica rejoin NAME --yes), or add one (pgdba replica add).",
    });
  }
  return found;
}
