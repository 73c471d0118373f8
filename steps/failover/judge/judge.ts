import { lagOf, leaderOf, valueOf, type Facts, type MemberFacts } from "../facts/facts.ts";
import * as candidate from "./candidate.ts";
import type { Check, Move, Rule } from "./check.ts";
import * as cluster from "./cluster.ts";
import { atRisk, lag, loss } from "./lag.ts";
import * as leader from "./leader.ts";
import { connections, disk, settings } from "./room.ts";

/** In the order in which they are told. */
const OF_CLUSTER: readonly Rule[] = [
  cluster.leader,
  leader.leaderAnswers,
  cluster.secondPrimary,
  cluster.dcs,
  cluster.pause,
  cluster.scheduled,
  cluster.poolers,
];
const OF_CANDIDATE: readonly Rule[] = [
  candidate.reachable,
  candidate.running,
  candidate.streaming,
  candidate.identity,
  candidate.version,
  candidate.timeline,
  lag,
  loss,
  candidate.synchronous,
  candidate.tags,
  candidate.watchdog,
  candidate.replayPaused,
  candidate.restart,
  cluster.dcsSeen,
  leader.slots,
  disk,
  settings,
  connections,
];
const OF_LEADER: readonly Rule[] = [
  leader.archiver,
  leader.prepared,
  leader.transactions,
  leader.baseBackups,
  leader.rewind,
  leader.checkpoint,
  cluster.others,
];

/** All checks of a move, all of them run. Of a candidate that is no member there is nothing more to check. */
export function judge(facts: Facts, move: Move): Check[] {
  return [...OF_CLUSTER, ...OF_LEADER]
    .flatMap((rule) => rule(facts, move))
    .concat(judgeOne(facts, move));
}

function judgeOne(facts: Facts, move: Move): Check[] {
  const is = candidate.isMember(facts, move);
  return is.some(({ status }) => status === "failed")
    ? is
    : [...is, ...OF_CANDIDATE.flatMap((rule) => rule(facts, move))];
}

/** What is not seen because a member can't be asked, or none leads: why is said once, by the check of that, which refuses. */
export function explained(checks: readonly Check[]): Check[] {
  const unmet = checks.filter(({ status }) => status !== "ok");
  const leaderless = unmet.some(({ id }) => id === "leader" || id === "leader_answers");
  const silent = unmet.filter(({ id }) => id === "reachable").map(({ about }) => about);
  return checks.filter(
    ({ status, about }) => status === "unseen" && (leaderless || silent.includes(about)),
  );
}

/** The checks that are not met and keep the role where it is. */
export function refusals(checks: readonly Check[], acceptsLoss: boolean): Check[] {
  const said = explained(checks);
  return checks.filter(
    (one) =>
      one.status !== "ok" &&
      !said.includes(one) &&
      (one.level === "refuse" || (one.level === "data_loss" && !acceptsLoss)),
  );
}

export interface Candidate {
  member: string;
  able: boolean;
  why: string[];
  receive_lag: number | null;
  replay_lag: number | null;
  /** By force: the bytes that it is known to lack. */
  at_risk: number | null;
  timeline: number | null;
}

/** Each member that does not lead, the best first: whether it could take over now, and why not. */
export function candidates(
  facts: Facts,
  move: Omit<Move, "candidate">,
  acceptsLoss: boolean,
): Candidate[] {
  const own = leaderOf(facts);
  return facts.members
    .filter(({ name }) => move.force || !facts.leaders.includes(name))
    .filter(({ name }) => !move.dead.includes(name))
    .map((member): Candidate => {
      const one = { ...move, candidate: member.name };
      const leads = [...cluster.leader(facts, one), ...leader.leaderAnswers(facts, one)];
      const why = refusals([...leads, ...judgeOne(facts, one)], acceptsLoss).map(
        ({ message }) => message,
      );
      const found = lagOf(own, member);
      return {
        member: member.name,
        able: why.length === 0,
        why,
        receive_lag: found?.receive ?? null,
        replay_lag: found?.replay ?? null,
        at_risk: atRisk(facts, member),
        timeline: candidate.timelineOf(member),
      };
    })
    .toSorted((a, b) => compare(facts, move.force, a, b));
}

/**
 * Of those that are able: the one that was synchronous, then the one with less to replay. By force the newest timeline and the most
 * received come first, for Patroni does not look at them then.
 */
function compare(facts: Facts, force: boolean, a: Candidate, b: Candidate): number {
  const rank = (one: Candidate): number[] => {
    const member = facts.members.find(({ name }) => name === one.member)!;
    const wal = [-(one.timeline ?? 0), one.at_risk ?? Number.MAX_SAFE_INTEGER];
    const fit = [one.able ? 0 : 1];
    const ease = [
      member.role === "sync_standby" || member.role === "quorum_standby" ? 0 : 1,
      -(priorityOf(member) ?? 1),
      one.replay_lag ?? Number.MAX_SAFE_INTEGER,
    ];
    return force ? [...fit, ...wal, ...ease] : [...fit, ...ease];
  };
  const [left, right] = [rank(a), rank(b)];
  const at = left.findIndex((value, index) => value !== right[index]);
  return at === -1 ? (a.member < b.member ? -1 : 1) : left[at]! - right[at]!;
}

function priorityOf({ patroni }: MemberFacts): number | null {
  return valueOf(patroni)?.priority ?? null;
}
