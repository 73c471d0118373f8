import type { Route } from "./route.ts";

/** A member as it was last seen. */
export interface Seen {
  name: string;
  host: string;
  port: number;
  /**
   * `primary` leads and takes writes, `promoting` holds the leader key and does not yet; `other` says that it is neither; `silent` says nothing;
   * `unasked` was not asked yet.
   */
  state: "primary" | "promoting" | "other" | "silent" | "unasked";
  timeline: number | null;
  why: string | null;
  /** When the request began that this answers, monotonic. */
  askedAt: number;
}

export type Verdict =
  /** Nothing is known yet. */
  | { kind: "wait" }
  | { kind: "route"; route: Route }
  /** The member that clients are sent to says nothing, and may still be the primary. */
  | { kind: "keep"; why: string }
  /** `lost`: whatever is still open there leads nowhere. */
  | { kind: "none"; lost: boolean; why: string };

/**
 * Where clients belong. Of several that claim to lead, the one on the newest timeline: the others have not noticed yet that they don't.
 * `goodAt` is when the member of the route last led.
 */
export function choose(
  members: readonly Seen[],
  current: { route: Route | undefined; goodAt: number },
  { now, ttlMs }: { now: number; ttlMs: number },
): Verdict {
  if (members.some(({ state }) => state === "unasked")) return { kind: "wait" };
  const { route, goodAt } = current;
  const isOld = now - goodAt >= ttlMs;
  const claims = members.filter(({ state }) => state === "primary");
  const newest = claims.toSorted(
    (a, b) =>
      (b.timeline ?? -1) - (a.timeline ?? -1) ||
      Number(b.name === route?.member) - Number(a.name === route?.member) ||
      b.askedAt - a.askedAt,
  )[0];
  if (newest !== undefined) {
    const { name: member, host, port, timeline } = newest;
    // Timelines only grow while a cluster lives: one that claims an older one stood still meanwhile. A restored cluster may begin anew.
    const isBehind =
      member !== route?.member && (timeline ?? -1) < (route?.timeline ?? -1) && !isOld;
    if (!isBehind) return { kind: "route", route: { member, host, port, timeline } };
  }
  if (route === undefined) return { kind: "none", lost: false, why: "no member leads" };
  if (isOld) return { kind: "none", lost: true, why: `no member has led for ${seconds(ttlMs)}` };
  const next = members.find(({ name, state }) => state === "promoting" && name !== route.member);
  if (next !== undefined)
    return { kind: "none", lost: false, why: `${next.name} is being promoted` };
  const here = members.find(({ name }) => name === route.member);
  const why = `${route.member} ${here?.why ?? "is no member any more"}`;
  return here?.state === "silent" ? { kind: "keep", why } : { kind: "none", lost: false, why };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}
