/** PostgreSQL's defaults, in force where nothing is recommended. */
const RESERVED = 3;
const WAL_SENDERS = 10;
const WORKER_PROCESSES = 8;
const AUTOVACUUM_WORKERS = 3;
const AUTOVACUUM_SLOTS = 16;

/** MAX_BACKENDS (postmaster.h). */
const MOST_PROCESSES = 262_143;

/**
 * Why a server of that version does not start with so few, or so many, connections; what to give instead. The values stay as they
 * are. Source: PostmasterMain (postmaster.c) and InitializeMaxBackends (postinit.c). Pure.
 */
export function refusedConnections(
  version: number,
  value: (name: string) => string | number | undefined,
): string[] {
  const number = (name: string, fallback: number): number => Number(value(name) ?? fallback);
  const connections = number("max_connections", 100);
  const senders = number("max_wal_senders", WAL_SENDERS);
  const said: string[] = [];

  // 10 counts each for itself, 11 both, later ones no longer take senders from the connections.
  const taken =
    version === 10 ? Math.max(RESERVED, senders) : version === 11 ? RESERVED + senders : RESERVED;
  if (connections <= taken) {
    const why =
      taken === RESERVED
        ? `superuser_reserved_connections is ${RESERVED}`
        : version === 10
          ? `max_wal_senders is ${senders}`
          : `superuser_reserved_connections is ${RESERVED} and max_wal_senders ${senders}`;
    said.push(
      `A server of ${version} does not start with max_connections = ${connections}: ${why}, and max_connections must be more than ${taken}. Give ${taken + 1} connections or more, or lower ${taken === RESERVED ? "that" : "these"} as well.`,
    );
  }

  const workers =
    (version >= 18 ? AUTOVACUUM_SLOTS + 1 : number("autovacuum_max_workers", AUTOVACUUM_WORKERS)) +
    1 +
    number("max_worker_processes", WORKER_PROCESSES) +
    (version >= 12 ? senders : 0);
  if (connections + workers > MOST_PROCESSES) {
    said.push(
      `A server does not start with max_connections = ${connections}: with ${workers} workers and WAL senders that is more than the ${MOST_PROCESSES} processes it may have. Give ${MOST_PROCESSES - workers} connections or fewer.`,
    );
  }
  return said;
}
