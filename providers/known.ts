import type { Known, KnownAs } from "../engine/types.ts";
import type { ClusterEntry } from "./cluster-file.ts";
import { readRegistry, sourceOf } from "./clusters.ts";
import { openSession, type PgSession } from "./postgres/session.ts";
import { identityOf } from "./postgres/identity.ts";
import type { TargetOptions } from "./targets.ts";

/** How long another server is given to show that it is another, ms. */
const CONNECT_MS = 3_000;

/**
 * The clusters of the registry that this server is, but for `own`, by whose name it was reached: those that have its system identifier,
 * whatever their address says, for there are aliases, tunnels, poolers and standbys. A restored copy has the identifier too. So where
 * several entries have it, one is left out when it is shown to be another server; whatever can't be shown counts.
 */
export async function knownServers(
  session: PgSession,
  identity: string | null,
  own: string | null,
  options: TargetOptions,
): Promise<Known> {
  const { entries, unread } = await readRegistry(options.stateDir);
  const mine = entries.find((entry) => entry.name === own);
  const loose = mine !== undefined && mine.identity === null && mine.labels.length > 0;
  // One that does not tell who it is may be any of them, unless it has a name.
  const alike = entries.filter(
    (entry) =>
      entry !== mine &&
      entry.identity !== null &&
      (identity === null ? own === null : entry.identity === identity),
  );
  const shown =
    identity === null || alike.length < (own === null ? 2 : 1)
      ? alike.map(() => false)
      : await Promise.all(alike.map((entry) => isAnother(entry, identity, session, options)));
  const same = alike.filter((_, at) => shown[at] === false);
  // By an address that no entry knows, it may be any of them.
  const counted = same.length === 0 && own === null ? alike : same;
  return { as: counted.map(asKnown), unread, loose };
}

function asKnown({ name, labels, ownership }: ClusterEntry): KnownAs {
  return { cluster: name, labels, ownership };
}

/** True only when both run at the same time, as primaries, with the one identifier: then one is a copy of the other. */
async function isAnother(
  entry: ClusterEntry,
  identity: string,
  ours: PgSession,
  options: TargetOptions,
): Promise<boolean> {
  if (ours.info.standby) return false;
  let theirs: PgSession;
  try {
    const { spec } = sourceOf(entry, options);
    theirs = await openSession({ ...spec, connect_timeout_ms: CONNECT_MS });
  } catch {
    return false;
  }
  try {
    const [before, there, after] = [
      await startOf(ours),
      await startOf(theirs),
      await startOf(ours),
    ];
    return (
      !theirs.info.standby &&
      (await identityOf(theirs)) === identity &&
      before === after &&
      before !== there
    );
  } catch {
    return false;
  } finally {
    await theirs.close();
  }
}

/** To the microsecond: no two servers share it. */
async function startOf(session: PgSession): Promise<string> {
  const { rows } = await session.query(
    "SELECT /* pgdba */ extract(epoch FROM pg_postmaster_start_time())::text AS start",
  );
  return String(rows[0]?.["start"]);
}
