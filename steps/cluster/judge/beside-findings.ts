import type { Beside } from "./beside.ts";
import { type Finding, finding, type Judging, sizeText } from "./finding.ts";

/** Of the free space of a disk, and of the days that a certificate is still good. */
const DISK_WARNING = 0.1;
const DISK_CRITICAL = 0.05;
const CERTIFICATE_WARNING_DAYS = 30;
const CERTIFICATE_CRITICAL_DAYS = 7;
/** What a slot that nobody reads may keep before it is worth a word, and how long a client may wait for a server. */
const SLOT_BYTES = 1024 ** 3;
const WAIT_S = 5;
/** What is wrong beside the members: the store, slots, PgBouncers, disks, certificates, the archive. */
export function besideFindings(j: Judging): Finding[] {
  return [
    ...dcs(j),
    ...slots(j.beside),
    ...poolers(j),
    ...schedulers(j),
    ...monitors(j),
    ...room(j.beside),
    ...certificates(j.beside),
    ...archiving(j.beside),
  ];
}

function dcs({ gathered: { dcs: seen, nodes }, holder }: Judging): Finding[] {
  if (seen === null) return [];
  const { health } = seen;
  const add = (one: Omit<Parameters<typeof finding>[0], "object">): Finding =>
    finding({ ...one, object: null });
  if (health.value === null)
    return [
      add({
        severity: "critical",
        check: "dcs-down",
        title: "The DCS does not answer",
        message: `${health.why}${holder.by === "member" ? `; ${holder.name}, which leads, says that it still holds the leader key` : ""}`,
        text: "Look whether it runs, and whether its machines are overloaded: when Patroni can't reach it either, the leader gives up within its ttl.",
      }),
    ];
  const { quorum, members, alarms } = health.value;
  const lost = members.filter(({ reachable }) => !reachable);
  const names = lost.map(({ name, why }) => (why === null ? name : `${name} (${why})`)).join(", ");
  return [
    ...(quorum
      ? []
      : [
          add({
            severity: "critical",
            check: "dcs-quorum",
            title: "The DCS has no quorum",
            message: `${members.length - lost.length} of ${members.length} of its members answer${lost.length === 0 ? "" : `; not ${names}`}`,
            text: `${bringBack(nodes)}: a majority is needed. Nobody can become the leader, and the one that there is gives up in the end.`,
          }),
        ]),
    ...(quorum && lost.length > 0
      ? [
          add({
            severity: "warning",
            check: "dcs-member",
            title: "A member of the DCS does not answer",
            message: `${names} can't be reached; the others have the quorum`,
            text: `${bringBack(nodes)}: the loss of another one may be the end of the quorum.`,
          }),
        ]
      : []),
    ...alarms.map((alarm) =>
      add({
        severity: "critical",
        check: "dcs-alarm",
        title: "The DCS raises an alarm",
        message: `It says ${alarm}`,
        text: "Make room and defragment it; with NOSPACE it takes no writes.",
      }),
    ),
  ];
}

/** What is down is started by one word where somebody has power over the nodes. */
function bringBack(nodes: Judging["gathered"]["nodes"]): string {
  return nodes?.value == null
    ? "Look at it there, and bring it back"
    : "Bring it back (pgdba cluster start starts all that is down, and leaves alone what runs)";
}

function slots({ slots: all }: Beside): Finding[] {
  return all.flatMap(({ member, name, active, wal_status, retained_bytes }) => {
    const of = `${name} of ${member}`;
    if (wal_status === "lost")
      return [
        finding({
          severity: "critical",
          check: "slot-lost",
          title: "A slot has lost its WAL",
          object: name,
          message: `${of} needs WAL that is removed`,
          text: "Drop it, and make its reader anew.",
        }),
      ];
    if (wal_status === "unreserved")
      return [
        finding({
          severity: "warning",
          check: "slot-unreserved",
          title: "A slot is about to lose its WAL",
          object: name,
          message: `${of} is beyond max_slot_wal_keep_size`,
          text: "Let its reader catch up now, or drop it.",
        }),
      ];
    if (!active && (retained_bytes ?? 0) > SLOT_BYTES)
      return [
        finding({
          severity: "warning",
          check: "slot-idle",
          title: "A slot keeps WAL for nobody",
          object: name,
          message: `${of} is read by nobody and keeps ${sizeText(retained_bytes!)}`,
          text: "Bring its reader back, or drop it before the disk is full.",
        }),
      ];
    return [];
  });
}

/** The nodes that watch the cluster. */
function monitors({ gathered: { nodes } }: Judging): Finding[] {
  return (nodes?.value ?? []).flatMap(({ node, roles, state }) =>
    !roles.includes("monitoring") || state.running === "running"
      ? []
      : [
          finding({
            severity: "warning",
            check: "monitor-down",
            title: "Nobody is told when something goes wrong",
            object: node,
            message: `${node}, which watches the cluster, does not run: it is ${state.running}`,
            text: `${bringBack(nodes)}.`,
          }),
        ],
  );
}

/** The nodes that keep the schedules of backups. */
function schedulers({ gathered: { nodes } }: Judging): Finding[] {
  return (nodes?.value ?? []).flatMap(({ node, roles, state }) =>
    !roles.includes("backup") || state.running === "running"
      ? []
      : [
          finding({
            severity: "warning",
            check: "scheduler-down",
            title: "Backups that are scheduled are not taken",
            object: node,
            message: `${node}, which takes them, does not run: it is ${state.running}`,
            text: `${bringBack(nodes)}, and see what was missed: pgdba backup schedule list.`,
          }),
        ],
  );
}

function poolers({ beside, holder, gathered }: Judging): Finding[] {
  const found: Finding[] = [];
  const add = (...args: Parameters<typeof finding>): void => void found.push(finding(...args));
  if (gathered.pgbouncerWhy !== null)
    add({
      severity: "critical",
      check: "pgbouncer-down",
      title: "PgBouncer can't be asked",
      object: null,
      message: gathered.pgbouncerWhy,
      text: "Look at it there, and at its account in the cluster's entry.",
    });
  for (const {
    name,
    why,
    route,
    paused,
    held_ms,
    waiting,
    max_wait_s,
    follower_why,
    follower,
    held,
  } of beside.pgbouncers) {
    if (why !== null)
      add({
        severity: "critical",
        check: "pgbouncer-down",
        title: "A PgBouncer does not answer",
        object: name,
        message: `${name}: ${why}`,
        text: `${bringBack(gathered.nodes)}: clients that come through it are cut off.`,
      });
    if (follower_why !== null)
      add({
        severity: "warning",
        check: "follower-down",
        title: "The follower of a PgBouncer does not answer",
        object: name,
        message: `${name}: ${follower_why}`,
        text: `${bringBack(gathered.nodes)}: without it the route does not follow the leader.`,
      });
    if (route !== null && route !== holder.name)
      add({
        severity: "critical",
        check: "route",
        title: "A PgBouncer sends clients to another than the leader",
        object: name,
        message: `${name} sends them to ${route}, and the leader is ${holder.name ?? "nobody"}`,
        text: "Its follower moves the route when the leader answers as such; look at its log when it does not.",
      });
    if (follower && route === null && holder.name !== null)
      add({
        severity: "critical",
        check: "route",
        title: "A PgBouncer lets clients nowhere",
        object: name,
        message: `${name} hands out no connection${held === null ? "" : `: ${held}`}`,
        text: "Its follower sends them on when the leader answers it; look at its log when it does not.",
      });
    if (paused !== null)
      add({
        severity: held_ms === null ? "critical" : "warning",
        check: "pgbouncer-paused",
        title: "A PgBouncer holds clients back",
        object: name,
        message: `${name} is paused by ${paused}`,
        text:
          held_ms === null
            ? follower
              ? "Nothing ends this pause by itself. When nobody needs it any more, let clients go: pgdba pgbouncer resume."
              : "Nothing ends this pause by itself. When nobody needs it any more: RESUME at its console."
            : `It lets them go by itself in ${Math.ceil(held_ms / 1000)} s; sooner by ${resume(paused)}.`,
      });
    else if (waiting > 0 && max_wait_s >= WAIT_S)
      add({
        severity: "warning",
        check: "clients-wait",
        title: "Clients wait for a server",
        object: name,
        message: `${waiting} clients of ${name} wait, the first for ${Math.round(max_wait_s)} s`,
        text: "Look for long transactions, or make the pool larger.",
      });
  }
  return found;
}

/** `operator` is whom a pause by hand is in the name of. */
function resume(holder: string): string {
  const named = /^[\w.:-]+$/.test(holder) ? holder : `'${holder}'`;
  return `pgdba pgbouncer resume${holder === "operator" ? "" : ` --holder ${named}, when that one works no more`}`;
}

function room({ disks }: Beside): Finding[] {
  return disks.flatMap(({ node, of, path, total_bytes, free_bytes }) => {
    const free = total_bytes > 0 ? free_bytes / total_bytes : 1;
    if (free >= DISK_WARNING) return [];
    return [
      finding({
        severity: free < DISK_CRITICAL ? "critical" : "warning",
        check: "disk",
        title: "A disk is nearly full",
        object: node,
        message: `${node} has ${sizeText(free_bytes)} of ${sizeText(total_bytes)} left for ${of} (${path})`,
        text: "Make room or make it larger: a PostgreSQL that can't write WAL stops.",
      }),
    ];
  });
}

function certificates({ certificates: all }: Beside): Finding[] {
  return all.flatMap(({ member, of, not_after, days_left }) =>
    days_left > CERTIFICATE_WARNING_DAYS
      ? []
      : [
          finding({
            severity: days_left <= CERTIFICATE_CRITICAL_DAYS ? "critical" : "warning",
            check: "certificate",
            title: days_left < 0 ? "A certificate has expired" : "A certificate expires soon",
            object: member,
            message: `That of ${of} of ${member} is good until ${not_after}`,
            text: "`pgdba cluster certificates --yes` renews those that pgdba has made; put a new one in the place of any other, and reload.",
          }),
        ],
  );
}

function archiving({ archive }: Beside): Finding[] {
  if (archive === null) return [];
  if (archive.kept === false)
    return [
      finding({
        severity: "warning",
        check: "archive-discards",
        title: "Backups are not set up",
        object: archive.member,
        message: `${archive.why}: no WAL is kept, so nothing can be restored to a point in time`,
        text: "Set up a repository of backups: pgdba backup setup.",
      }),
    ];
  if (archive.failing)
    return [
      finding({
        severity: "warning",
        check: "archive-failing",
        title: "Archiving fails",
        object: archive.member,
        message: `The last attempt failed, at ${archive.last_failed_at}; WAL piles up until one succeeds`,
        text: "Look at the server's log for what the command said.",
      }),
    ];
  return [];
}
