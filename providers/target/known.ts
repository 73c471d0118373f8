import type { KnownAs, TargetFacts } from "../../engine/types.ts";
import { addressesOf } from "./address.ts";
import type { ClusterEntry } from "../registry/read.ts";
import { readRegistry } from "../registry/folder.ts";
import { membersOf, sourceOf } from "./cluster.ts";
import type { ConnectionSpec } from "../postgres/connect.ts";
import { openSession, type PgSession } from "../postgres/session.ts";
import { identityOf } from "../postgres/identity.ts";
import type { TargetOptions } from "./options.ts";
import type { Place, TargetSource } from "./source.ts";

/** How long another server is given to show that it is another, ms. */
const CONNECT_MS = 3_000;

/**
 * The clusters of the registry that this server is, but for `own`, by whose name it was reached: those that have its system identifier,
 * whatever their address says, for there are aliases, tunnels, poolers and standbys; and those that say no identifier and lead to the
 * same place. A restored copy has the identifier too: where pgdba made both, their marks tell them apart. Else, where several entries count, one is left out when it is shown to be another
 * server; whatever can't be shown counts. A server that does not tell who it is may be any of them.
 */
export async function knownServers(
  session: PgSession,
  identity: string | null,
  source: Pick<TargetSource, "cluster" | "spec" | "members">,
  options: TargetOptions,
): Promise<Pick<TargetFacts, "known" | "places">> {
  const { cluster: own, spec } = source;
  const { entries, unread } = await readRegistry(options.stateDir);
  const mine = entries.find((entry) => entry.name === own);
  const loose = mine !== undefined && mine.identity === null && mine.labels.length > 0;
  const others = entries.filter((entry) => entry !== mine && !isCopyOf(entry, mine));
  const twins = hasTwins(entries, mine);
  if (identity === null) {
    const { same, places } = await mayBe(session, { own, spec }, others, options);
    return { known: { as: same.map(asKnown), unread, loose, twins }, places };
  }
  const here = await placesOf(source);
  const counts = await Promise.all(
    others.map((entry) =>
      entry.identity === null ? isNear(entry, here) : entry.identity === identity,
    ),
  );
  const alike = others.filter((_, at) => counts[at]);
  const seen =
    alike.length < (own === null ? 2 : 1)
      ? alike.map(() => UNSEEN)
      : await Promise.all(alike.map((entry) => look(entry, session, options)));
  const same = alike.filter((_, at) => seen[at]?.is !== "another");
  // By an address that no entry knows, it may be any of them.
  const counted = same.length === 0 && own === null ? alike : same;
  // By its address it is found again when it is down; behind a pooler there are several servers at one.
  const places = own === null && !session.info.pooled ? await addressesOf(spec) : undefined;
  return { known: { as: counted.map(asKnown), unread, loose, twins }, places };
}

/** The clusters of the registry that a server may be which does not answer: those with the identifier that it should have, or its address. */
export async function knownByEntry(
  source: TargetSource,
  options: TargetOptions,
): Promise<Pick<TargetFacts, "known" | "places">> {
  const { cluster: own, expectedIdentity } = source;
  const { entries, unread } = await readRegistry(options.stateDir);
  const mine = entries.find((entry) => entry.name === own);
  const here = await placesOf(source);
  const same: ClusterEntry[] = [];
  for (const entry of entries) {
    if (entry.name === own || isCopyOf(entry, mine)) continue;
    const sameIdentity = expectedIdentity !== null && entry.identity === expectedIdentity;
    if (sameIdentity || (await isNear(entry, here))) same.push(entry);
  }
  return {
    known: { as: same.map(asKnown), unread, loose: false, twins: hasTwins(entries, mine) },
    ...(own === null ? { places: [...here, ...identitiesOf(same)] } : {}),
  };
}

/**
 * The entries that a server may be that does not tell who it is: those that have an identifier, and those that lead to the same place.
 * One that was reached by a name is not what it is shown not to be. `places`: what it has in common with others that may be it.
 */
async function mayBe(
  session: PgSession,
  { own, spec }: { own: string | null; spec: ConnectionSpec },
  others: readonly ClusterEntry[],
  options: TargetOptions,
): Promise<{ same: ClusterEntry[]; places: string[] }> {
  const here = await addressesOf(spec);
  const looked = await Promise.all(
    others.map(async (entry) => {
      const near = await isNear(entry, here);
      if (!near && entry.identity === null) return null;
      return { entry, near, seen: own === null ? UNSEEN : await look(entry, session, options) };
    }),
  );
  const same = looked.filter((one) => one !== null && one.seen.is !== "another") as NonNullable<
    (typeof looked)[number]
  >[];
  const known = same
    .filter(({ near, seen }) => near || seen.is === "same")
    .map(({ entry, seen }) => seen.identity ?? entry.identity);
  const places = [...here, ...known.filter((one) => one !== null)];
  return { same: same.map(({ entry }) => entry), places: [...new Set(places)] };
}

/**
 * Two clusters that pgdba made itself, by its marks: their servers are found by their nodes, and neither can be the other, though one was restored from
 * the other's backup and has its identifier.
 */
function isCopyOf(one: ClusterEntry, other: ClusterEntry | undefined): boolean {
  const marks = [one, other].map((entry) =>
    entry?.ownership === "managed" && entry.data.provider !== undefined
      ? entry.data.cluster_id
      : undefined,
  );
  return marks.every((mark) => mark !== undefined) && marks[0] !== marks[1];
}

const hasTwins = (entries: readonly ClusterEntry[], mine: ClusterEntry | undefined): boolean =>
  mine !== undefined &&
  mine.identity !== null &&
  entries.some((entry) => entry.identity === mine.identity && isCopyOf(entry, mine));

/** True when an entry leads to one of these places, or names it as a node's: whoever names a standby means the cluster too. */
async function isNear(entry: ClusterEntry, places: readonly string[]): Promise<boolean> {
  const { spec } = entry;
  const there = await placesOf({ spec: spec ?? undefined, members: membersOf(entry) });
  return there.some((one) => places.includes(one));
}

/** The places of the server that is connected to, and of all its members. */
async function placesOf(source: {
  spec?: Place | undefined;
  members?: readonly Place[] | undefined;
}): Promise<string[]> {
  const { spec, members = [] } = source;
  const found = await Promise.all([...(spec ? [spec] : []), ...members].map(addressesOf));
  return [...new Set(found.flat())];
}

function identitiesOf(entries: readonly ClusterEntry[]): string[] {
  return entries.flatMap(({ identity }) => (identity === null ? [] : [identity]));
}

function asKnown({ name, labels, ownership }: ClusterEntry): KnownAs {
  return { cluster: name, labels, ownership };
}

interface Seen {
  is: "same" | "another" | "unknown";
  /** Its own identity. */
  identity: string | null;
}

const UNSEEN: Seen = { is: "unknown", identity: null };

/**
 * Connects to an entry. It is another server only when both run at the same time, as primaries, and the entry leads to what it says:
 * with the one identifier, one is then a copy of the other.
 */
async function look(entry: ClusterEntry, ours: PgSession, options: TargetOptions): Promise<Seen> {
  let theirs: PgSession;
  try {
    const { spec } = sourceOf(entry, options);
    theirs = await openSession({ ...spec, connect_timeout_ms: CONNECT_MS });
  } catch {
    return UNSEEN;
  }
  try {
    const [before, there, after] = [
      await startOf(ours),
      await startOf(theirs),
      await startOf(ours),
    ];
    const identity = await identityOf(theirs);
    if (before !== after) return UNSEEN;
    if (before === there) return { is: "same", identity };
    const isPrimary = !ours.info.standby && !theirs.info.standby;
    const isItself = entry.identity === null || entry.identity === identity;
    return isPrimary && isItself ? { is: "another", identity } : UNSEEN;
  } catch {
    return UNSEEN;
  } finally {
    await theirs.close();
  }
}

/** To the microsecond: no two servers share it. */
async function startOf(session: PgSession): Promise<string> {
  const { rows } = await session.ask(
    "SELECT /* pgdba */ extract(epoch FROM pg_postmaster_start_time())::text AS start",
  );
  return String(rows[0]?.["start"]);
}
