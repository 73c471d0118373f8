import { leaderOf, memberOf, valueOf, type Facts, type MemberFacts } from "../facts/facts.ts";
import { check, type Check, type Rule } from "./check.ts";
import { list } from "./words.ts";

/** A rule about a candidate that is a member. */
function about(judge: (facts: Facts, member: MemberFacts) => Check[]): Rule {
  return (facts, { candidate }) => {
    const member = memberOf(facts, candidate);
    return member === undefined ? [] : judge(facts, member);
  };
}

export const isMember: Rule = (facts, { candidate }) => {
  const { ok, failed } = check("member", "refuse", candidate === "" ? null : candidate);
  if (candidate === "")
    return [
      failed(
        "There is no standby that could lead",
        "Add one (replica/add), or wait for one that is being made.",
      ),
    ];
  const there = facts.members.filter(({ role }) => role !== "gone").map(({ name }) => name);
  if (!there.includes(candidate))
    return [
      failed(
        memberOf(facts, candidate) === undefined
          ? `There is no member ${candidate}`
          : `${candidate} is no member of Patroni's now`,
        `The members are ${list(there)}.`,
      ),
    ];
  return facts.leaders.includes(candidate)
    ? [failed(`${candidate} leads already`, "There is nothing to move.")]
    : [ok(`${candidate} is a member that does not lead`)];
};

export const reachable = about((_facts, { name, patroni, server }) => {
  const { ok, failed } = check("reachable", "refuse", name);
  const why = [
    ...("unseen" in patroni ? [`its Patroni: ${patroni.unseen}`] : []),
    ...("unseen" in server ? [`its PostgreSQL: ${server.unseen}`] : []),
  ];
  if (why.length === 0) return [ok(`${name} answers, its Patroni and its PostgreSQL`)];
  return [failed(`${name} can't be asked: ${why.join("; ")}`, "Bring it back first.")];
});

export const running = about((_facts, { name, patroni, server }) => {
  const { ok, failed, unseen } = check("running", "refuse", name);
  if ("unseen" in patroni) return [unseen(`The state of ${name}`, patroni.unseen)];
  const { state } = patroni.value;
  // Patroni notices in its next loop that a server has started; that loop comes at once when the leader key is gone.
  if (state === "starting" && "value" in server)
    return [ok(`${name} has started, which its Patroni has still to notice`)];
  return patroni.value.running
    ? [ok(`${name} is ${state}`)]
    : [failed(`${name} is ${state}`, "Wait until it runs; Patroni's log there says what it does.")];
});

/** By both ends: the leader sends, and the candidate receives. */
export const streaming: Rule = (facts, { candidate, force }) => {
  const member = memberOf(facts, candidate);
  // Where nobody leads, nobody sends.
  if (member === undefined || force) return [];
  const { ok, failed, unseen } = check("streaming", "refuse", candidate);
  const server = valueOf(member.server);
  if (server === undefined) return [];
  const leader = leaderOf(facts);
  // That there is no single leader is told by a check of its own.
  if (leader === undefined) return [];
  // Of one that is silent it is told by a check of its own; that nobody receives from it goes without saying.
  if ("unseen" in leader.server)
    return [unseen(`Whether ${leader.name} sends to ${candidate}`, leader.server.unseen)];
  const sends = leader.server.value.standbys;
  if (server.receiver !== "streaming")
    return [
      failed(
        `${candidate} does not receive WAL${server.receiver === null ? "" : `: its receiver is ${server.receiver}`}`,
        "Look at its log: the leader must be reached from there, and have the WAL that it needs.",
      ),
    ];
  if ("unseen" in sends)
    return [unseen(`Whether ${leader.name} sends to ${candidate}`, sends.unseen)];
  const sender = sends.value.find(({ name }) => name === candidate);
  if (sender === undefined)
    return [
      failed(
        `${candidate} receives its WAL from another standby than the leader`,
        "Take the tag `replicatefrom` away, or choose the standby that it follows.",
      ),
    ];
  return sender.state === "streaming"
    ? [ok(`${leader.name} streams to ${candidate}`)]
    : [
        failed(
          `${leader.name} sends to ${candidate} in state ${sender.state}`,
          "Wait until it has caught up.",
        ),
      ];
};

export const identity = about((facts, member) => {
  const { ok, failed, unseen } = check("identity", "refuse", member.name);
  // Where nobody leads, any other member tells of which cluster this one should be.
  const others = facts.members.filter((one) => one !== member && identityOf(one) !== null);
  const leader = leaderOf(facts) ?? others[0];
  if (leader === undefined) return [];
  const [here, there] = [identityOf(member), identityOf(leader)];
  if (here === null || there === null)
    return [
      unseen(
        "The system identifier",
        `${here === null ? member.name : leader.name} does not tell it`,
        {},
        "refuse",
      ),
    ];
  return here === there
    ? [ok("Both have the same system identifier", { figure: here, threshold: there })]
    : [
        failed(
          `${member.name} is of another cluster: its system identifier is ${here}, that of ${leader.name} is ${there}`,
          "Make it anew as a standby of this cluster (replica/reinit).",
          { figure: here, threshold: there },
        ),
      ];
});

function identityOf({ server, patroni }: MemberFacts): string | null {
  return valueOf(server)?.identity ?? valueOf(patroni)?.identity ?? null;
}

export const version = about((facts, member) => {
  const { ok, failed, unseen } = check("version", "refuse", member.name);
  const [here, there] = [member, leaderOf(facts)].map((one) => {
    const number = one && valueOf(one.server)?.version;
    return number === undefined ? undefined : Math.floor(number / 10_000);
  });
  if (here === undefined || there === undefined)
    return [unseen("The version of both servers", "one of them did not answer")];
  const numbers = { figure: here, threshold: there };
  return here === there
    ? [ok(`Both run PostgreSQL ${here}`, numbers)]
    : [
        failed(
          `${member.name} runs PostgreSQL ${here}, the leader ${there}`,
          "Only members of one version follow each other.",
          numbers,
        ),
      ];
});

export function timelineOf({ server, patroni }: MemberFacts): number | null {
  return valueOf(server)?.timeline ?? valueOf(patroni)?.timeline ?? null;
}

/** All that it has on its timeline is also on the next one, as after a failover a standby has for a moment. */
function hasNotParted(facts: Facts, { lsns }: MemberFacts, timeline: number): boolean {
  const end = facts.patroni.ends[timeline];
  const last = valueOf(lsns)?.[1].received;
  return end !== undefined && last !== undefined && last <= end;
}

/** Patroni itself does not look unless `check_timeline` is set. */
export const timeline: Rule = (facts, { candidate, force }) => {
  const member = memberOf(facts, candidate);
  if (member === undefined) return [];
  const { ok, failed, unseen } = check("timeline", "data_loss", candidate);
  const here = timelineOf(member);
  const leader = leaderOf(facts);
  const all = facts.members.map(timelineOf).filter((one) => one !== null);
  const newest = all.length === 0 ? null : Math.max(...all);
  const there = force || leader === undefined ? newest : timelineOf(leader);
  if (here === null || there === null)
    return [
      unseen(
        `The timeline of ${here === null ? candidate : "the leader"}`,
        "it does not tell",
        {},
        "data_loss",
      ),
    ];
  const numbers = { figure: here, threshold: there };
  if (here === there) return [ok(`${candidate} is on timeline ${here}`, numbers)];
  const said = `${candidate} is on timeline ${here}, and ${force ? "the newest is" : "the leader on"} ${there}`;
  return [
    !force && hasNotParted(facts, member, here)
      ? failed(
          `${said}, which it has not followed yet`,
          `It has nothing that the leader lacks: wait some seconds until it follows by itself. Where it does not, pgdba replica rejoin ${candidate} --yes.`,
          numbers,
        )
      : failed(
          said,
          `What was written since the timelines parted would be lost: bring it back as a standby (pgdba replica rejoin ${candidate} --yes), or choose another one.`,
          numbers,
        ),
  ];
};

export const tags = about((facts, { name, patroni }) => {
  const told = valueOf(patroni);
  if (told === undefined) return [];
  const may = check("nofailover", "refuse", name);
  const priority = check("failover_priority", "refuse", name);
  const sync = check("nosync", "data_loss", name);
  const hint = "Take the tag away in its patroni.yml, or choose another one.";
  return [
    told.nofailover
      ? may.failed(`${name} has the tag nofailover`, hint)
      : may.ok(`${name} may lead`),
    told.priority !== null && told.priority <= 0
      ? priority.failed(`${name} has the tag failover_priority 0`, hint, {
          figure: told.priority,
          threshold: 1,
        })
      : priority.ok(`${name} has no failover_priority of 0`, {
          figure: told.priority,
          threshold: 1,
        }),
    ...(facts.patroni.synchronous === "off"
      ? []
      : [
          told.nosync
            ? sync.failed(`${name} has the tag nosync, so that it confirms no transaction`, hint)
            : sync.ok(`${name} may be synchronous`),
        ]),
  ];
});

export const watchdog = about((_facts, { name, patroni }) => {
  const told = valueOf(patroni);
  if (told === undefined) return [];
  const { ok, failed } = check("watchdog", "refuse", name);
  return told.watchdogFailed
    ? [
        failed(
          `${name} can't use its watchdog, and must not lead without it`,
          "Look at the device and at Patroni's log there.",
        ),
      ]
    : [ok(`The watchdog keeps ${name} from nothing`)];
});

const SYNCHRONOUS: readonly string[] = ["sync_standby", "quorum_standby"];

/** In synchronous mode only a member of /sync has all that was acknowledged. */
export const synchronous = about((facts, { name, role }) => {
  const mode = facts.patroni.synchronous;
  if (mode === "off") return [];
  const confirming = facts.members.filter((one) => SYNCHRONOUS.includes(one.role));
  const { ok, failed } = check("synchronous", "data_loss", name);
  const after = check("synchronous_after", "warn", null);
  const left = facts.members.filter(
    (one) => one.name !== name && valueOf(one.patroni)?.running,
  ).length;
  return [
    SYNCHRONOUS.includes(role)
      ? ok(`${name} is synchronous`)
      : failed(
          `${name} is not among the synchronous standbys (${list(confirming.map((one) => one.name)) || "none"})`,
          "Choose one of those, or wait until Patroni has made it one.",
        ),
    left > 0
      ? after.ok("A standby is left that can be synchronous afterwards", {
          figure: left,
          threshold: 1,
        })
      : after.failed(
          mode === "strict"
            ? "Nobody is left that could confirm afterwards: writes stand still until a standby is back"
            : "Nobody is left that could confirm afterwards",
          "Bring another member back first.",
          { figure: left, threshold: 1 },
        ),
  ];
});

export const replayPaused = about((_facts, { name, server }) => {
  const told = valueOf(server);
  if (told === undefined) return [];
  const { ok, failed } = check("replay_paused", "refuse", name);
  return told.replayPaused
    ? [
        failed(
          `Replay is paused on ${name}`,
          `select pg_wal_replay_resume(); on ${name}, when nobody needs the pause any more.`,
        ),
      ]
    : [ok(`${name} replays`)];
});

export const restart = about((facts, member) => {
  const own = leaderOf(facts);
  return [member, ...(own ? [own] : [])].flatMap(({ name, patroni }) => {
    const told = valueOf(patroni);
    if (told === undefined) return [];
    const pending = check("pending_restart", "warn", name);
    const planned = check("scheduled_restart", "refuse", name);
    return [
      ...(name !== member.name
        ? []
        : [
            told.pendingRestart
              ? pending.failed(
                  `${name} waits for a restart: it would lead with old settings`,
                  "Restart it first (config/restart).",
                )
              : pending.ok(`${name} waits for no restart`),
          ]),
      told.scheduledRestart
        ? planned.failed(`A restart of ${name} is scheduled`, "Take it back, or let it happen.")
        : planned.ok(`No restart of ${name} is scheduled`),
    ];
  });
});
