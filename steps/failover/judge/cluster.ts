import { leaderOf, memberOf, valueOf, type MemberFacts } from "../facts/facts.ts";
import { check, type Check, type Rule } from "./check.ts";
import { list, seconds } from "./words.ts";

/** There is one leader to hand the role over; by force, there is none. */
export const leader: Rule = ({ leaders, dcs }, { force }) => {
  const { ok, failed } = check("leader", "refuse", null);
  const numbers = { figure: leaders.length, threshold: force ? 0 : 1 };
  if (!force) {
    if (leaders.length === 1) return [ok(`${leaders[0]} leads`, numbers)];
    return leaders.length === 0
      ? [
          failed(
            "No member leads, so there is nobody to hand the role over",
            "Wait until Patroni has elected one. Where it can't, look at failover/status, and then at failover/trigger --force.",
            numbers,
          ),
        ]
      : [
          failed(
            `${list(leaders)} lead at once`,
            "Stop all but the one whose data counts before anything else is done.",
            numbers,
          ),
        ];
  }
  const key = valueOf(dcs);
  const holder = key?.holder ?? leaders[0] ?? null;
  if (holder === null) return [ok("Nobody holds the leader key", numbers)];
  const left = key?.ttlSeconds ?? null;
  return [
    failed(
      `${holder} holds the leader key${left === null ? "" : `, for ${seconds(left)} more unless it renews it`}`,
      "While it is held, hand the role over without --force. If that member is dead, the key expires by itself and Patroni elects another one.",
      numbers,
    ),
  ];
};

/** Nobody else takes writes. */
export const secondPrimary: Rule = (facts, { force, candidate, dead, fences }) => {
  const own = force ? candidate : (leaderOf(facts)?.name ?? null);
  const unknown =
    force && facts.patroni.lastLeader === null
      ? [
          check("old_primary", "data_loss", null).unseen(
            "Who led before",
            "Patroni's history does not tell; make sure that no other server of the cluster takes writes",
            {},
            "data_loss",
          ),
        ]
      : [];
  const others = facts.members
    .filter(({ name }) => name !== own)
    .map((member) => {
      const { ok, failed, unseen } = check(
        force ? "old_primary" : "second_primary",
        force ? (fences ? "act" : "data_loss") : "refuse",
        member.name,
      );
      if (dead.includes(member.name)) return ok(`${member.name} is proven dead`);
      const writes = isWritable(member);
      if (writes === false) return ok(`${member.name} is a standby`);
      const [yes, maybe] = [`${member.name} takes writes without the leader key`, member.name];
      if (force && fences)
        return writes === true
          ? failed(yes, "Its node is stopped for good before another member leads.")
          : unseen(`Whether ${maybe} takes writes`, whyUnseen(member), {}, "act");
      if (force)
        return writes === true
          ? failed(
              yes,
              "Stop it first: whatever it acknowledges from now on is lost when another member leads.",
            )
          : unseen(
              `Whether ${maybe} still takes writes`,
              `${whyUnseen(member)}; make sure that it is dead, for what it acknowledges is lost`,
              {},
              "data_loss",
            );
      return writes === true
        ? failed(yes, `Fence it: stop ${member.name}, and find out what was written there.`)
        : unseen(`Whether ${maybe} takes writes`, whyUnseen(member));
    });
  return [...unknown, ...others];
};

/** True, false, or undefined where nobody could be asked. */
function isWritable({ server, patroni }: MemberFacts): boolean | undefined {
  const asked = valueOf(server);
  if (asked !== undefined) return !asked.standby;
  const told = valueOf(patroni);
  if (told === undefined) return undefined;
  return told.running ? told.primary : false;
}

function whyUnseen({ server, patroni }: MemberFacts): string {
  if ("unseen" in server) return server.unseen;
  return "unseen" in patroni ? patroni.unseen : "it does not tell";
}

/** Without a majority of the store nobody can become the leader. */
export const dcs: Rule = ({ dcs: seen }) => {
  const { ok, failed, unseen } = check("dcs", "refuse", null);
  if ("unseen" in seen) return [unseen("The health of the store", seen.unseen)];
  const { quorum, reachable, members, alarms } = seen.value;
  const numbers = { figure: reachable, threshold: Math.floor(members / 2) + 1 };
  if (!quorum)
    return [
      failed(
        `The store has no quorum: ${reachable} of ${members} answer`,
        "Bring its members back first; without it no member can be elected.",
        numbers,
      ),
    ];
  if (alarms.length > 0)
    return [
      failed(
        `The store has raised ${list(alarms)}`,
        "It takes no writes then: mend that first (of NOSPACE: compact, defragment, disarm).",
        { figure: alarms.length, threshold: 0 },
      ),
    ];
  if (reachable < members)
    return [
      failed(
        `Only ${reachable} of the store's ${members} members answer`,
        "One more that fails, and nobody can be elected.",
        { figure: reachable, threshold: members },
        "warn",
      ),
    ];
  return [ok(`All ${members} members of the store answer`, numbers)];
};

/** Leader and candidate have seen the store lately. */
export const dcsSeen: Rule = (facts, { candidate }) => {
  const threshold = 2 * facts.patroni.loopWait;
  const both = [leaderOf(facts), memberOf(facts, candidate)].filter((one) => one !== undefined);
  return both.map((member): Check => {
    const { ok, failed, unseen } = check("dcs_seen", "refuse", member.name);
    const what = `When ${member.name} last saw the store`;
    if ("unseen" in member.patroni) return unseen(what, member.patroni.unseen, { threshold });
    const age = member.patroni.value.dcsAge;
    if (age === null) return unseen(what, "it does not tell", { threshold });
    const numbers = { figure: Math.round(age * 10) / 10, threshold };
    return age > threshold
      ? failed(
          `${member.name} has not seen the store for ${seconds(age)}, more than ${threshold} s`,
          "Look at its network and at Patroni's log there.",
          numbers,
        )
      : ok(`${member.name} saw the store ${seconds(age)} ago`, numbers);
  });
};

export const pause: Rule = ({ patroni }, { named, force }) => {
  const { ok, failed } = check("pause", named || force ? "warn" : "refuse", null);
  if (!patroni.pause) return [ok("Patroni is not paused")];
  return [
    named || force
      ? failed(
          "Patroni is paused: it does not fail over by itself if this goes wrong",
          "cluster/resume, unless somebody works on it.",
        )
      : failed(
          "Patroni is paused, and moves the role then only to a member that is named",
          "Name it (--target), or cluster/resume first.",
        ),
  ];
};

export const scheduled: Rule = ({ patroni }) => {
  const { ok, failed } = check("scheduled", "refuse", null);
  const { scheduled: one } = patroni;
  if (one === null) return [ok("No switchover is scheduled")];
  return [
    failed(
      `A switchover${one.to === null ? "" : ` to ${one.to}`} is scheduled for ${one.at}`,
      "Take it back, or let it happen.",
    ),
  ];
};

/** Members that are neither of the two. */
export const others: Rule = (facts, { candidate }) => {
  const own = leaderOf(facts)?.name;
  return facts.members
    .filter(({ name }) => name !== candidate && name !== own)
    .map((member) => {
      const { ok, failed, unseen } = check("other_members", "warn", member.name);
      if ("unseen" in member.patroni) return unseen(`${member.name}`, member.patroni.unseen);
      const { running, state } = member.patroni.value;
      return running
        ? ok(`${member.name} runs`)
        : failed(
            `${member.name} is ${state}`,
            "It may have to be made anew after the move; wait until it runs where it is being made now.",
          );
    });
};

/** All PgBouncers, or none: one that can't be asked would send its clients to the old primary. */
export const poolers: Rule = (facts, { candidate, force, run }) => {
  const own = leaderOf(facts)?.name ?? null;
  const known = memberOf(facts, candidate) !== undefined;
  return facts.poolers.map(({ name, follower }) => {
    const { ok, failed, unseen } = check("pgbouncer", force ? "warn" : "refuse", name);
    if ("unseen" in follower)
      return unseen(`PgBouncer ${name}`, follower.unseen, {}, force ? "warn" : "refuse");
    const state = follower.value;
    if (state === null)
      return failed(
        `PgBouncer ${name} has no follower: it is neither paused nor sent elsewhere`,
        "Its clients see errors during the move, and go on as its configuration says.",
        {},
        "warn",
      );
    if (state.paused !== null && state.paused !== run)
      return failed(
        `PgBouncer ${name} is paused by ${state.paused}`,
        "Let that run end, or pgbouncer/resume.",
      );
    if (state.members.length > 0 && known && !state.members.includes(candidate))
      return failed(
        `The follower of PgBouncer ${name} does not know ${candidate}`,
        "Its clients would find no primary after the move: name the member in its configuration.",
      );
    if (!force && own !== null && state.route !== own)
      return failed(
        `PgBouncer ${name} sends its clients to ${state.route ?? "nobody"}, and ${own} leads`,
        "Look at pgbouncer/status.",
      );
    return ok(`PgBouncer ${name} sends its clients to ${state.route ?? "nobody"}`);
  });
};
