import {
  lagOf,
  leaderOf,
  memberOf,
  valueOf,
  type Facts,
  type MemberFacts,
} from "../facts/facts.ts";
import { bytes, check, type Rule } from "./check.ts";
import { formatBytes } from "../../../engine/shared/units.ts";

/** Measured live, twice: what Patroni's `/cluster` says is up to a loop old. */
export const lag: Rule = (facts, { candidate, maxLag, force }) => {
  const member = memberOf(facts, candidate);
  if (member === undefined || force) return [];
  const receive = check("receive_lag", "data_loss", candidate);
  const replay = check("replay_lag", "data_loss", candidate);
  const trend = check("lag_trend", "warn", candidate);
  const leader = leaderOf(facts);
  const found = lagOf(leader, member);
  if (found === undefined) {
    const why = whyUnseen(leader, member);
    const numbers = { threshold: maxLag };
    return [
      receive.unseen(`What ${candidate} has still to receive`, why, numbers, "data_loss"),
      replay.unseen(`What ${candidate} has still to replay`, why, numbers, "data_loss"),
    ];
  }
  const wait =
    "Wait until it has caught up; its network, its disk or a conflict with a long query holds it up. Or raise --max-lag.";
  const [received, replayed] = [bytes(found.receive, maxLag), bytes(found.replay, maxLag)];
  return [
    found.receive > maxLag
      ? receive.failed(
          `${candidate} has still to receive ${formatBytes(found.receive)}, more than ${formatBytes(maxLag)}`,
          wait,
          received,
        )
      : receive.ok(`${candidate} has still to receive ${formatBytes(found.receive)}`, received),
    found.replay > maxLag
      ? replay.failed(
          `${candidate} has still to replay ${formatBytes(found.replay)}, more than ${formatBytes(maxLag)}`,
          wait,
          replayed,
        )
      : replay.ok(`${candidate} has still to replay ${formatBytes(found.replay)}`, replayed),
    found.replay > maxLag / 2 && found.trend > 0
      ? trend.failed(
          `${candidate} falls behind: ${formatBytes(found.trend)} more within the check`,
          wait,
          { figure: found.trend, threshold: 0 },
        )
      : trend.ok(`${candidate} does not fall behind`, { figure: found.trend, threshold: 0 }),
  ];
};

function whyUnseen(leader: MemberFacts | undefined, member: MemberFacts): string {
  if (leader === undefined) return "there is no leader to compare it with";
  if ("unseen" in leader.lsns) return leader.lsns.unseen;
  return "unseen" in member.lsns ? member.lsns.unseen : "it does not tell";
}

/** The end of the last leader's WAL as far as anybody knows it, and who says so. */
export function lastKnown(facts: Facts): { lsn: bigint; by: string } | null {
  const optime = valueOf(facts.dcs)?.optime ?? null;
  const seen = facts.members.flatMap(({ name, lsns }) => {
    const told = valueOf(lsns);
    return told === undefined ? [] : [{ lsn: told[1].received, by: name }];
  });
  const all = [...(optime === null ? [] : [{ lsn: optime, by: "the store" }]), ...seen];
  return all.reduce<{ lsn: bigint; by: string } | null>(
    (most, one) => (most === null || one.lsn > most.lsn ? one : most),
    null,
  );
}

/** The bytes that are known to be missing on a member; null where that can't be told. */
export function atRisk(facts: Facts, member: MemberFacts): number | null {
  const own = valueOf(member.lsns);
  const last = lastKnown(facts);
  if (own === undefined || last === null) return null;
  return Math.max(0, Number(last.lsn - own[1].received));
}

/** By force: what the candidate lacks of all that is known to have been written. */
export const loss: Rule = (facts, { candidate, force }) => {
  const member = memberOf(facts, candidate);
  if (member === undefined || !force) return [];
  const known = check("bytes_at_risk", "data_loss", candidate);
  const unknown = check("unknown_loss", "data_loss", candidate);
  const risk = atRisk(facts, member);
  if (risk === null)
    return [
      known.unseen(
        `What ${candidate} lacks`,
        "unseen" in member.lsns ? member.lsns.unseen : "nobody tells",
        {},
        "data_loss",
      ),
    ];
  const silent = facts.members.filter(({ lsns }) => "unseen" in lsns).map(({ name }) => name);
  const whose =
    silent.length > 0 ? `${silent.join(", ")} can't be asked` : "Nobody knows who led before";
  const synchronous =
    facts.patroni.synchronous !== "off" && ["sync_standby", "quorum_standby"].includes(member.role);
  const numbers = { figure: risk, threshold: 0 };
  const told = valueOf(facts.dcs)?.optime != null;
  return [
    risk > 0
      ? known.failed(
          `${candidate} lacks at least ${formatBytes(risk)} of what ${lastKnown(facts)!.by} has`,
          "Choose the member that has received most, or bring the old primary back.",
          numbers,
        )
      : known.ok(`${candidate} has all that is known to have been written`, numbers),
    synchronous
      ? unknown.ok(`${candidate} was synchronous: it has all that was acknowledged`)
      : silent.length === 0 && facts.patroni.lastLeader !== null
        ? unknown.ok("All members were asked how far they have written")
        : unknown.failed(
            told
              ? `${whose}: what was written there after the store was last told (up to ${facts.patroni.loopWait} s) may be lost`
              : `${whose}: what was written there and received by nobody is lost`,
            "Bring it back where that is possible.",
          ),
  ];
};
