import {
  leaderOf,
  memberOf,
  valueOf,
  type Facts,
  type MemberFacts,
  type ServerFacts,
} from "../facts/facts.ts";
import { check, type Check, type Move, type Rule } from "./check.ts";
import { formatBytes } from "../../../engine/shared/units.ts";
import { count, list, seconds } from "./words.ts";

/** .ready files from which the archiver is behind: what check_postgres warns of. */
const MAX_READY = 10;

/** A rule about the server that hands over. */
function about(
  judge: (server: ServerFacts, leader: MemberFacts, facts: Facts, move: Move) => Check[],
): Rule {
  return (facts, move) => {
    const leader = leaderOf(facts);
    const server = leader && valueOf(leader.server);
    return server === undefined || leader === undefined ? [] : judge(server, leader, facts, move);
  };
}

/** Without its answer the rules below have nothing to go by. */
export const leaderAnswers: Rule = (facts, { force }) => {
  const leader = leaderOf(facts);
  if (leader === undefined || force) return [];
  const { ok, failed } = check("leader_answers", "refuse", leader.name);
  return "unseen" in leader.server
    ? [
        failed(
          `${leader.name} leads and can't be asked: ${leader.server.unseen}`,
          `If it is dead, wait: when its key runs out (${keyLeft(facts)}), Patroni elects another one by itself. If it lives, mend the way to it first.`,
        ),
      ]
    : [ok(`${leader.name} answers`)];
};

/** The time that the leader key is still held, where the store tells it. */
function keyLeft({ dcs, patroni: { ttl } }: Facts): string {
  const left = valueOf(dcs)?.ttlSeconds ?? null;
  return left === null ? `${ttl} s after it was last renewed` : `in ${Math.ceil(left)} s`;
}

/** A server that stops waits for its archiver. */
export const archiver = about(({ archiver: seen }, { name }) => {
  const { ok, failed, unseen } = check("archiver", "warn", name);
  if ("unseen" in seen) return [unseen("The archiver", seen.unseen)];
  if (seen.value === null) return [ok("Nothing is archived")];
  const { failing, lastFailed, ready } = seen.value;
  const hint =
    "Mend archive_command first: its stop waits for it, and the WAL that waits would be missing in the archive.";
  const numbers = { figure: ready, threshold: MAX_READY };
  if (failing)
    return [
      failed(`Archiving fails on ${name}, at ${lastFailed ?? "the first file"}`, hint, numbers),
    ];
  if (ready === null)
    return [unseen("The files that wait for the archiver", "the role is no pg_monitor", numbers)];
  return ready >= MAX_READY
    ? [
        failed(
          `${count(ready, "WAL file waits", "WAL files wait")} for the archiver on ${name}`,
          hint,
          numbers,
        ),
      ]
    : [ok(`${count(ready, "WAL file waits", "WAL files wait")} for the archiver`, numbers)];
});

/** A logical slot that the candidate does not have is gone after the move, and what its subscriber had not read with it. */
export const slots: Rule = (facts, { candidate }) => {
  const leader = leaderOf(facts);
  const member = memberOf(facts, candidate);
  const [here, there] = [leader && valueOf(leader.server), member && valueOf(member.server)];
  if (leader === undefined || here === undefined) return [];
  const unseenAt = (why: string) => [check("slots", "warn", leader.name).unseen("The slots", why)];
  if ("unseen" in here.slots) return unseenAt(here.slots.unseen);
  const had = there === undefined ? [] : (valueOf(there.slots) ?? []);
  return here.slots.value
    .filter(({ temporary }) => !temporary)
    .flatMap((slot) => {
      const state = check("slot_state", "warn", slot.name);
      const moves = check("logical_slot", "data_loss", slot.name);
      const numbers = { figure: slot.retained, threshold: null };
      const broken = slot.status === "lost" || slot.status === "unreserved";
      const own = broken
        ? state.failed(
            `Slot ${slot.name} is ${slot.status}`,
            "Drop it and build its consumer anew.",
            numbers,
          )
        : state.ok(`Slot ${slot.name} keeps ${formatBytes(slot.retained ?? 0)}`, numbers);
      if (!slot.logical || slot.status === "lost") return [own];
      const twin = had.find(({ name }) => name === slot.name);
      if (twin === undefined || twin.status === "lost")
        return [
          own,
          moves.failed(
            `${candidate} does not have the logical slot ${slot.name}: its subscriber loses what it has not read`,
            "Have it made on the standbys: `slots` in Patroni's configuration, or from 17 on `failover` in the slot with sync_replication_slots.",
          ),
        ];
      return [
        own,
        slot.failover === true && twin.synced === false
          ? moves.failed(
              `The logical slot ${slot.name} is on ${candidate} and not synchronised`,
              "Wait for the slot sync worker, or see its log.",
            )
          : moves.ok(`The logical slot ${slot.name} is on ${candidate}`),
      ];
    });
};

export const prepared = about(({ prepared: seen }, { name }) => {
  const { ok, failed, unseen } = check("prepared", "warn", name);
  if ("unseen" in seen) return [unseen("Prepared transactions", seen.unseen)];
  const n = seen.value.length;
  const numbers = { figure: n, threshold: 0 };
  return n === 0
    ? [ok("No transaction is prepared", numbers)]
    : [
        failed(
          `${count(n, "transaction is", "transactions are")} prepared: ${list(seen.value.slice(0, 5).map((one) => one.gid))}`,
          "They go with the role and keep their locks. Let their transaction manager finish them first.",
          numbers,
        ),
      ];
});

/** They end with the old primary's connections, and keep PgBouncer from being paused. */
export const transactions = about(
  ({ transactions: seen }, { name }, _facts, { longTransaction, cancels }) => {
    const { ok, failed, unseen } = check("transactions", cancels ? "act" : "warn", name);
    if ("unseen" in seen) return [unseen("Open transactions", seen.unseen)];
    const long = seen.value.filter((one) => one.seconds > longTransaction);
    const numbers = { figure: Math.round(seen.value[0]?.seconds ?? 0), threshold: longTransaction };
    if (long.length === 0)
      return [ok(`No transaction is open for more than ${longTransaction} s`, numbers)];
    const said = long
      .slice(0, 5)
      .map((one) => `pid ${one.pid} of ${one.user} (${one.state}, ${seconds(one.seconds)})`);
    return [
      failed(
        `${count(long.length, "transaction is", "transactions are")} open for more than ${longTransaction} s: ${said.join(", ")}`,
        cancels
          ? "They are cancelled before the move (--cancel-transactions)."
          : "The move ends them, and PgBouncer can't be paused meanwhile. Wait, or let them be cancelled: --cancel-transactions.",
        numbers,
      ),
    ];
  },
);

export const baseBackups = about(({ baseBackups: seen }, { name }) => {
  const { ok, failed, unseen } = check("base_backups", "warn", name);
  if ("unseen" in seen) return [unseen("Base backups that run", seen.unseen)];
  const n = seen.value.length;
  return n === 0
    ? [ok("No base backup runs", { figure: 0, threshold: 0 })]
    : [
        failed(
          `${count(n, "base backup runs", "base backups run")} from ${name}, and would end with it`,
          "Wait for its end: a backup or a new standby is being made.",
          { figure: n, threshold: 0 },
        ),
      ];
});

/** What a checkpoint has still to write delays the stop of the old primary, so it is done before. */
export const checkpoint = about(({ sinceCheckpoint: seen }, { name }) => {
  const { failed, unseen } = check("checkpoint", "act", name);
  if ("unseen" in seen) return [unseen("The WAL since the last checkpoint", seen.unseen)];
  return [
    failed(
      `${formatBytes(seen.value)} of WAL since the last checkpoint of ${name}`,
      "A CHECKPOINT is made before anybody waits.",
      { figure: seen.value, threshold: 0 },
    ),
  ];
});

/** So that the old primary can come back if it has written more than the new one has. */
export const rewind = about(({ settings }, { name }) => {
  const { ok, failed } = check("rewind", "warn", name);
  const hints = settings["data_checksums"] === "on" || settings["wal_log_hints"] === "on";
  const pages = settings["full_page_writes"] === "on";
  if (hints && pages) return [ok(`${name} can be rewound`)];
  return [
    failed(
      `${name} can't be rewound: ${hints ? "full_page_writes is off" : "it has neither data checksums nor wal_log_hints"}`,
      "If it parts from the new primary, it has to be made anew (replica/reinit).",
    ),
  ];
});
