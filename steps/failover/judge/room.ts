import { leaderOf, memberOf, valueOf, type MemberFacts } from "../facts/facts.ts";
import { check, type Rule } from "./check.ts";
import { bytes } from "./check.ts";
import { formatBytes } from "../../../engine/shared/units.ts";
import { list } from "./words.ts";

/** A standby must have at least as much of these as its primary, or it does not start (or stops replaying). */
const MUST_HAVE = [
  "max_connections",
  "max_worker_processes",
  "max_wal_senders",
  "max_prepared_transactions",
  "max_locks_per_transaction",
];

/** After the move the candidate is everybody's primary. */
export const settings: Rule = (facts, { candidate }) => {
  const member = memberOf(facts, candidate);
  const own = member && valueOf(member.server);
  if (own === undefined) return [];
  return facts.members
    .filter(({ name }) => name !== candidate)
    .map((other) => {
      const { ok, failed, unseen } = check("hot_standby_settings", "warn", other.name);
      if ("unseen" in other.server)
        return unseen(`Whether ${other.name} could follow ${candidate}`, other.server.unseen);
      const their = other.server.value.settings;
      const value = (of: Record<string, string>, name: string) => Number(of[name] ?? Number.NaN);
      const short = MUST_HAVE.filter((name) => value(their, name) < value(own.settings, name));
      const leads = facts.leaders.includes(other.name);
      const less = leads
        ? MUST_HAVE.filter((name) => value(own.settings, name) < value(their, name))
        : [];
      if (short.length === 0 && less.length === 0)
        return ok(`${other.name} can follow ${candidate}`);
      const said = (names: string[]) =>
        list(
          names.map((name) => `${name} (${their[name]}, ${own.settings[name]} on ${candidate})`),
        );
      return short.length > 0
        ? failed(
            `${other.name} could not follow ${candidate}: it has less of ${said(short)}`,
            "Restart the members that wait for it (config/restart), so that all have the same.",
            {
              figure: short.length,
              threshold: 0,
            },
          )
        : failed(
            `${candidate} has less than the leader of ${said(less)}`,
            "Raise it there and restart it (config/restart).",
            {
              figure: less.length,
              threshold: 0,
            },
          );
    });
};

/** The clients of the leader fit in. */
export const connections: Rule = (facts, { candidate }) => {
  const [leader, member] = [leaderOf(facts), memberOf(facts, candidate)];
  const [here, there] = [leader && valueOf(leader.server), member && valueOf(member.server)];
  if (here === undefined || there === undefined) return [];
  const { ok, failed, unseen } = check("connections", "warn", candidate);
  const threshold = Number(there.settings["max_connections"]);
  if ("unseen" in here.connections)
    return [unseen("The connections of the leader", here.connections.unseen, { threshold })];
  const numbers = { figure: here.connections.value, threshold };
  return here.connections.value >= threshold
    ? [
        failed(
          `${here.connections.value} clients are connected to the leader, and ${candidate} takes ${threshold}`,
          "Raise max_connections there.",
          numbers,
        ),
      ]
    : [
        ok(
          `${here.connections.value} clients are connected, and ${candidate} takes ${threshold}`,
          numbers,
        ),
      ];
};

/** Both must be able to write what the settings allow for. */
export const disk: Rule = (facts, { candidate }) => {
  const [leader, member] = [leaderOf(facts), memberOf(facts, candidate)];
  const both = [leader, member].filter((one) => one !== undefined);
  return both.flatMap((one) => judgeDisk(one));
};

function judgeDisk({ name, disk: seen, server }: MemberFacts) {
  const { ok, failed, unseen } = check("free_disk", "refuse", name);
  const size = valueOf(server)?.settings["max_wal_size"];
  // pg_settings gives it in MB.
  const threshold = size === undefined ? null : Number(size) * 1024 * 1024;
  if ("unseen" in seen) return [unseen(`The free disk of ${name}`, seen.unseen, { threshold })];
  if (threshold === null)
    return [unseen(`The disk that ${name} needs`, "its server was not asked")];
  if (seen.value.length === 0)
    return [unseen(`The free disk of ${name}`, "its node tells of none", { threshold })];
  return seen.value.map(({ of, path, freeBytes }) => {
    const numbers = bytes(freeBytes, threshold);
    return freeBytes < threshold
      ? failed(
          `${name} has ${formatBytes(freeBytes)} free for ${of} (${path}), less than max_wal_size (${formatBytes(threshold)})`,
          "Make room there first: a full disk stops the server.",
          numbers,
        )
      : ok(`${name} has ${formatBytes(freeBytes)} free for ${of}`, numbers);
  });
}
