import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { sleep } from "../../engine/shared/sleep.ts";
import { patroniClient } from "../patroni/client.ts";
import { isLeader } from "../patroni/members.ts";
import { identityOf } from "../postgres/identity.ts";
import { openSession, type PgSession } from "../postgres/session.ts";
import { sqlstateOf } from "../postgres/errors.ts";
import type { Place, TargetSource } from "./source.ts";
import { descends, timelineOf } from "./timeline.ts";

/** How long one place is given to answer while others are asked too, and a pause between two rounds, ms. */
const PLACE_MS = 3_000;
const PAUSE_MS = 200;
const PATRONI_MS = 2_000;

/** The facts about the server from the sessions before. */
export interface Last {
  identity: string | null;
  /** True when it took writes. */
  primary: boolean;
  /** The timeline of the last primary; null where it could not be asked. */
  timeline: number | null;
}

export interface Found {
  session: PgSession;
  place: Place;
  identity: string | null;
  timeline: number | null;
}

/** The conditions of a search for a session. */
export interface Looking {
  source: TargetSource;
  last: Last;
  /** The place of the last session, which is asked first. */
  place: Place;
  name: string;
  /** How long a writable primary is waited for, ms; without it one round is made, and a standby is taken where there is no primary. */
  patienceMs?: number | undefined;
  signal: AbortSignal;
}

/**
 * Opens a session with the server of the moment: on a bare target the one that was named, of a cluster the writable primary. It must show
 * the system identifier of the last one, and a timeline that descends from it.
 * @throws PgdbaError connection_failed | missing_secret | identity_mismatch, or the signal's reason
 */
export async function openAtLeader(looking: Looking): Promise<Found> {
  const { patienceMs, signal } = looking;
  const ends = performance.now() + (patienceMs ?? 0);
  for (;;) {
    signal.throwIfAborted();
    const left = ends - performance.now();
    const { found, failures } = await lookOnce(looking, patienceMs !== undefined);
    if (found !== undefined) return found;
    const [first] = failures;
    if (first === undefined) throw new PgdbaError("internal", "no place was asked");
    if (patienceMs === undefined || failures.every((error) => !passes(error))) throw first;
    if (left <= PAUSE_MS) throw late(looking, failures);
    await sleep(PAUSE_MS, signal);
  }
}

/** Asks all places at once; where none of them answers, the other members that Patroni knows. */
async function lookOnce(
  looking: Looking,
  onlyPrimary: boolean,
): Promise<{ found?: Found; failures: PgdbaError[] }> {
  const { places, others } = await placesOf(looking);
  let { found, failures } = await lookAt(looking, places);
  if (found.length === 0 && others.length > 0) {
    const more = await lookAt(looking, others);
    [found, failures] = [more.found, [...failures, ...more.failures]];
  }
  const isCluster = looking.source.cluster !== null;
  const writable = found.filter(({ session }) => !session.info.standby);
  // Of two that both take writes, the one with the later timeline was promoted last.
  const best =
    writable.toSorted((a, b) => (b.timeline ?? 0) - (a.timeline ?? 0))[0] ??
    (isCluster && onlyPrimary && looking.last.primary ? undefined : found[0]);
  await Promise.all(found.filter((one) => one !== best).map(({ session }) => session.close()));
  if (best !== undefined) return { found: best, failures };
  const standbys = found.map(({ place }) => noPrimary(looking, place));
  return { failures: [...failures, ...standbys] };
}

async function lookAt(
  looking: Looking,
  places: readonly Place[],
): Promise<{ found: Found[]; failures: PgdbaError[] }> {
  const limit = places.length === 1 ? undefined : PLACE_MS;
  const tries = await Promise.allSettled(places.map((place) => look(looking, place, limit)));
  return {
    found: tries.flatMap((one) => (one.status === "fulfilled" ? [one.value] : [])),
    failures: tries.flatMap((one) =>
      one.status === "rejected" ? [toPgdbaError(one.reason, "connection_failed")] : [],
    ),
  };
}

async function look(looking: Looking, place: Place, limit: number | undefined): Promise<Found> {
  const { source, last, name } = looking;
  const session = await openSession({
    ...source.spec,
    ...place,
    application_name: name,
    ...(limit === undefined ? {} : { connect_timeout_ms: limit }),
  });
  try {
    const identity = await identityOf(session);
    if (last.identity !== null && identity !== null && identity !== last.identity)
      throw anotherServer(source.name, last.identity, identity);
    const timeline = session.info.standby ? null : await timelineOf(session);
    if (last.timeline !== null && timeline !== null) {
      const why = await descends(session, last.timeline, timeline);
      if (why !== null) throw anotherHistory(source.name, place, why);
    }
    return { session, place, identity, timeline };
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** The last place first, then what the registry and Patroni say; each once. `others`: members that do not lead. */
async function placesOf({
  source,
  place,
  signal,
}: Looking): Promise<{ places: Place[]; others: Place[] }> {
  const { spec, members = [] } = source;
  const said = [place, { host: spec.host, port: spec.port }, ...members];
  const known = source.cluster === null ? [] : await membersByPatroni(source, signal);
  const [leading, rest] = [known.filter(isLeader), known.filter((one) => !isLeader(one))];
  const places = once([...said, ...leading]);
  const others = once([...places, ...rest]).slice(places.length);
  return { places, others };
}

function once(places: readonly Place[]): Place[] {
  const seen = new Map(places.map(({ host, port }) => [`${host} ${port}`, { host, port }]));
  return [...seen.values()];
}

async function membersByPatroni(
  { patroni, members: known = [] }: TargetSource,
  signal: AbortSignal,
): Promise<(Place & { role: string })[]> {
  if (patroni === undefined) return [];
  try {
    const client = await patroniClient(patroni);
    const late = AbortSignal.any([signal, AbortSignal.timeout(PATRONI_MS)]);
    const members = await client.members(late);
    // Where the registry knows the member, it knows where it is reached from here.
    return members.map((member) => {
      const { host, port } = known.find(({ name }) => name === member.name) ?? member;
      return { host, port, role: member.role };
    });
  } catch {
    // The other places are asked without it.
    return [];
  }
}

/** True for an error of a server that is starting, stopping or being promoted. */
function passes(error: PgdbaError): boolean {
  if (error.code !== "connection_failed" && error.code !== "timeout") return false;
  const state = sqlstateOf(error) ?? "";
  return !state.startsWith("28") && !state.startsWith("3D");
}

function noPrimary({ source }: Looking, { host, port }: Place): PgdbaError {
  return new PgdbaError(
    "connection_failed",
    `${source.name} has no primary that takes writes: ${host}:${port} is a standby`,
    { hint: "Wait for the cluster to elect a primary, or promote one.", retryable: true },
  );
}

function late({ source, patienceMs = 0 }: Looking, failures: PgdbaError[]): PgdbaError {
  const said = [...new Set(failures.map(({ message }) => message))].join("; ");
  return new PgdbaError(
    "connection_failed",
    `${source.name} did not come back within ${Math.round(patienceMs / 1000)} s: ${said}`,
    {
      hint: "Look at its servers, then run again or resume.",
      retryable: true,
      cause: failures[0],
      data: failures[0]?.data,
    },
  );
}

function anotherServer(name: string, before: string, now: string): PgdbaError {
  return new PgdbaError(
    "identity_mismatch",
    `${name} has system identifier ${before}, and the server that answers has ${now}`,
    { hint: "Another server has taken this name. Look at both, then run again or resume." },
  );
}

function anotherHistory(name: string, { host, port }: Place, why: string): PgdbaError {
  return new PgdbaError("identity_mismatch", `${host}:${port} is not what ${name} was: ${why}`, {
    hint: "Its data do not go on from where the run left them. Look at the cluster, then run again or resume.",
  });
}
