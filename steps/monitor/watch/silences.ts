/** Silences of Alertmanager: which alerts may be silenced at all, by which matchers, and how long. */
import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, StepContext } from "../../../engine/types.ts";
import type { MonitoringAccess } from "../../../providers/monitoring/client.ts";

/** Of the ids that Alertmanager gives. */
const UUID_LENGTH = 36;

/** Whoever must hear of these hears of them whatever is going on: data is lost meanwhile. */
const NEVER: readonly string[] = [
  "ChecksumFailures",
  "DiskFillsSoon",
  "DiskUsed",
  "TwoPrimaries",
  "Watchdog",
];
/** A leader may be missing for as long as the work makes it stall, and no longer. */
const STALL: Readonly<Record<string, number>> = { NoLeader: 15 * 60_000 };
/** These look back, and fire for as long after the work as they do: what the work did is told by nobody. */
const ECHO: Readonly<Record<string, number>> = {
  LeaderChanged: 16 * 60_000,
  PostgresRestarted: 16 * 60_000,
};
const AGAIN_MS = 1_000;
const LONGEST_MS = 7 * 24 * 3_600_000;

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export interface Silence {
  id: string;
  status: { state: "active" | "pending" | "expired" };
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
}

/** Whom it is about: without alerts all that may be silenced, without members each of the cluster and the cluster itself. */
export interface Wish {
  alerts?: readonly string[] | undefined;
  members?: readonly string[] | undefined;
}

export const creatorOf = (run: string): string => `pgdba, run ${run}`;

/** @throws PgdbaError invalid_param for what must not be silenced, or not for as long */
export function checked({ alerts = [] }: Wish, forMs: number): void {
  const grave = alerts.filter((name) => NEVER.includes(name));
  if (grave.length > 0)
    throw new PgdbaError("invalid_param", `${grave.join(", ")} can't be silenced`, {
      hint: `Data is lost while nobody hears of it. Never silenced: ${NEVER.join(", ")}.`,
    });
  if (!(forMs > 0 && forMs <= LONGEST_MS))
    throw new PgdbaError("invalid_param", "A silence lasts longer than nothing, and at most 7d", {
      hint: "What should never be told any more is removed from the rules, or its threshold changed.",
    });
  for (const name of alerts) {
    const most = STALL[name];
    if (most !== undefined && forMs > most)
      throw new PgdbaError(
        "invalid_param",
        `${name} can be silenced for ${most / 60_000}m at most`,
        { hint: "A cluster that has no leader for longer than that needs somebody." },
      );
  }
}

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
const oneOf = (names: readonly string[]): string => names.map(literally).join("|");

/** As Alertmanager takes them; `cluster` is always among them. */
export function matchersOf(cluster: string, { alerts = [], members = [] }: Wish): Matcher[] {
  const found: Matcher[] = [{ name: "cluster", value: cluster, isRegex: false, isEqual: true }];
  if (alerts.length > 0)
    found.push({ name: "alertname", value: oneOf(alerts), isRegex: true, isEqual: true });
  else
    found.push({
      name: "alertname",
      value: oneOf([...NEVER, ...Object.keys(STALL)]),
      isRegex: true,
      isEqual: false,
    });
  if (members.length > 0)
    found.push({ name: "instance", value: oneOf(members), isRegex: true, isEqual: true });
  return found;
}

/** What a wish becomes: alerts that echo have a silence of their own, which outlasts the work. */
export function partsOf(wish: Wish): (Wish & { echo: boolean })[] {
  const { alerts = [] } = wish;
  const echoes = alerts.filter((name) => name in ECHO);
  const others = alerts.filter((name) => !(name in ECHO));
  return [
    ...(alerts.length === 0 || others.length > 0 ? [{ ...wish, alerts: others, echo: false }] : []),
    ...(echoes.length > 0 ? [{ ...wish, alerts: echoes, echo: true }] : []),
  ];
}

/** How long the alerts of a silence echo once the work is over; 0 for those that don't. */
export function echoOf(matchers: readonly Matcher[]): number {
  const named = matchers.find(({ name, isEqual }) => name === "alertname" && isEqual !== false);
  const names = named?.value.split("|") ?? [];
  return names.length > 0 && names.every((name) => name in ECHO)
    ? Math.max(...names.map((name) => ECHO[name]!))
    : 0;
}

/** Those of one cluster that are not over, oldest first. */
export async function silencesOf(
  monitoring: MonitoringAccess,
  cluster: string,
): Promise<Silence[]> {
  const all = (await monitoring.ask("alertmanager", "/api/v2/silences")) as unknown as Silence[];
  return all
    .filter(
      ({ status, matchers }) =>
        status.state !== "expired" &&
        matchers.every(
          ({ name, value, isRegex, isEqual = true }) =>
            name !== "cluster" || fits(cluster, value, isRegex) === isEqual,
        ),
    )
    .toSorted((a, b) => a.startsAt.localeCompare(b.startsAt));
}

function fits(text: string, value: string, isRegex: boolean): boolean {
  if (!isRegex) return text === value;
  try {
    return new RegExp(`^(?:${value})$`).test(text);
  } catch {
    // Go's expressions know more than ours: who may be meant is shown.
    return true;
  }
}

/** As a person writes them. */
export function inWords(matchers: readonly Matcher[]): string {
  return matchers
    .map(({ name, value, isRegex, isEqual = true }) => {
      const sign = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
      return `${name}${sign}${JSON.stringify(value)}`;
    })
    .join(" ");
}

/** Puts a silence in force, or changes the one with that id. Gives its id. */
export async function put(
  monitoring: MonitoringAccess,
  silence: Omit<Silence, "id" | "status"> & { id?: string },
): Promise<string> {
  const answer = await monitoring.tell(
    "alertmanager",
    "POST",
    "/api/v2/silences",
    silence as unknown as Json,
  );
  return (answer as { silenceID: string }).silenceID;
}

/** Ends one that is not over. */
export async function end(monitoring: MonitoringAccess, id: string): Promise<void> {
  await monitoring.tell("alertmanager", "DELETE", `/api/v2/silence/${encodeURIComponent(id)}`);
}

/** Null for one that it does not know. */
async function found(monitoring: MonitoringAccess, id: string): Promise<Silence | null> {
  try {
    const path = `/api/v2/silence/${encodeURIComponent(id)}`;
    return (await monitoring.ask("alertmanager", path)) as unknown as Silence;
  } catch (error) {
    const { data } = error as PgdbaError;
    if ((data as { status?: number } | undefined)?.status === 404) return null;
    throw error;
  }
}

/**
 * The one with this id, or, of the cluster and not over, the only one whose id begins so: a table breaks the line within an id. Null where there is none.
 * @throws PgdbaError invalid_param: several begin so
 */
export async function meant(
  monitoring: MonitoringAccess,
  cluster: string,
  id: string,
): Promise<Silence | null> {
  if (id.length >= UUID_LENGTH) return found(monitoring, id);
  const all = (await silencesOf(monitoring, cluster)).filter((one) => one.id.startsWith(id));
  if (all.length <= 1) return all[0] ?? null;
  throw new PgdbaError("invalid_param", `The ids of ${all.length} silences begin with ${id}`, {
    hint: "Give more of it: `pgdba monitor silence list` shows them.",
  });
}

/** An Alertmanager that has just been started again, as by the work itself, answers a moment later. */
export async function patiently(
  ctx: StepContext,
  forMs: number,
  act: () => Promise<void>,
): Promise<void> {
  const end = ctx.clock.monotonic() + forMs;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const isGone = error instanceof PgdbaError && error.code === "connection_failed";
      if (!isGone || ctx.clock.monotonic() >= end) throw error;
    }
    await ctx.clock.sleep(AGAIN_MS, ctx.signal);
  }
}

/** For work that must go on: what can't be done is a warning. */
export async function orWarn<T>(
  ctx: StepContext,
  optional: boolean,
  what: string,
  otherwise: T,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!optional || ctx.signal.aborted || !(error instanceof PgdbaError)) throw error;
    if (error.code === "invalid_param") throw error;
    ctx.warn(`${what}: ${error.message}`);
    return otherwise;
  }
}
