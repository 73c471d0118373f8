import type { Letter, Line, Samples } from "../observe/sample.ts";
import { Turns } from "./turns.ts";

/** A node in one state for some time, ms since the load began. */
export interface Stretch {
  from: number;
  to: number;
  is: Letter;
}

export interface Nodes {
  samples: number;
  /** The most nodes that were writable in one sample, or by turns. */
  most_writable: number;
  /** The samples with more than one, or with one that took writes before and after another did, the first of them. */
  together: { at_ms: number; nodes: string[] }[];
  together_ms: number;
  strips: { node: string; unfenced_ms: number; stretches: Stretch[] }[];
}

const MOST = 20;
/** A probe that is only late makes a node no unfenced one. */
const LATE_MS = 300;

/** The nodes over time, by what the observer saw. */
export function nodes({ members, every_ms, lines }: Samples): Nodes {
  const seen = lines.filter((line) => "nodes" in line);
  const turns = new Turns();
  const strips = members.map((node) => ({ node, unfenced_ms: 0, stretches: [] as Stretch[] }));
  const together: Nodes["together"] = [];
  let [most, count] = [0, 0];
  let from = ms(seen[0]?.at ?? 0) - every_ms;
  for (const line of lines) {
    if ("event" in line) {
      turns.event(line);
      continue;
    }
    const { at, nodes: letters } = line;
    const to = ms(at);
    const byTurns = turns.sample(
      at,
      members.map((node, n) => [node, letters[n] as Letter]),
    );
    const inOne = members.filter((_, n) => letters[n] === "W");
    const writable = inOne.length > 1 ? inOne : byTurns.length > 1 ? byTurns : inOne;
    most = Math.max(most, writable.length);
    if (writable.length > 1) {
      count += 1;
      if (together.length < MOST) together.push({ at_ms: to, nodes: writable });
    }
    for (const [n, strip] of strips.entries()) {
      const is = letters[n] as Letter;
      const last = strip.stretches.at(-1);
      if (last?.is === is) last.to = to;
      else strip.stretches.push({ from, to, is });
    }
    from = to;
  }
  for (const strip of strips)
    for (const one of strip.stretches)
      if (one.is === "U" && one.to - one.from >= LATE_MS) strip.unfenced_ms += one.to - one.from;
  return {
    samples: seen.length,
    most_writable: most,
    together,
    together_ms: count * every_ms,
    strips,
  };
}

/** From the fault on, ms; null for what did not happen, or nobody saw. */
export interface Recovery {
  /** The leader key is nobody's any more, or another one's. */
  detect_ms: number | null;
  /** From then, until another one holds it (or the same one again). */
  elect_ms: number | null;
  /** From then, until a server is out of recovery, on a later timeline than before. */
  promote_ms: number | null;
  leader_before: string | null;
  leader_after: string | null;
  timeline_before: number | null;
  timeline_after: number | null;
}

export function recovery({ lines }: Samples, fault: number | undefined): Recovery {
  const keys = lines.filter((line) => "event" in line && line.event === "leader");
  const roles = lines.filter((line) => "event" in line && line.event === "role");
  const primaries = roles.filter((role) => role.primary);
  const until = (at: number) => at <= (fault ?? Infinity);
  const before = keys.findLast(({ at }) => until(at))?.holder ?? null;
  const was = primaries.findLast(({ at }) => until(at));
  const now = primaries.at(-1);
  const gone = keys.find(({ at, holder }) => !until(at) && holder !== before);
  const elected = gone && keys.find(({ at, holder }) => at >= gone.at && holder !== null);
  const promoted = primaries.find(
    ({ at, timeline }) => !until(at) && (timeline ?? 0) > (was?.timeline ?? 0),
  );
  const last = Math.max(fault ?? 0, elected?.at ?? gone?.at ?? 0);
  return {
    detect_ms: gone === undefined ? null : ms(gone.at - fault!),
    elect_ms: elected === undefined ? null : ms(elected.at - gone!.at),
    promote_ms: promoted === undefined ? null : Math.max(0, ms(promoted.at - last)),
    leader_before: before ?? was?.node ?? null,
    leader_after: keys.at(-1)?.holder ?? now?.node ?? null,
    timeline_before: was?.timeline ?? null,
    timeline_after: now?.timeline ?? null,
  };
}

export interface Redundancy {
  /** Standbys that streamed when the fault came, and how many of them were synchronous. */
  streaming: number;
  sync: number;
  /** The least that there were after it. */
  least_streaming: number;
  /** From the fault until as many streamed again, to the end; 0 when there were never fewer, null when there still are. */
  restored_ms: number | null;
}

/** Null where no standby has streamed before the fault, or nobody saw. */
export function redundancy({ lines }: Samples, fault: number | undefined): Redundancy | null {
  const all = lines.filter((line) => "event" in line && line.event === "standbys");
  const before = all.findLast(({ at }) => at <= (fault ?? Infinity));
  if (before === undefined || before.streaming === 0) return null;
  const { streaming, sync } = before;
  if (fault === undefined) return { streaming, sync, least_streaming: streaming, restored_ms: 0 };
  const after = sinceFault(lines, fault);
  const whole = (one: { streaming: number; sync: number }) =>
    one.streaming >= streaming && one.sync >= sync;
  const last = after.findLastIndex((one) => !whole(one));
  const least = Math.min(streaming, ...after.map((one) => one.streaming));
  if (last === -1) return { streaming, sync, least_streaming: least, restored_ms: 0 };
  const restored = after[last + 1];
  return {
    streaming,
    sync,
    least_streaming: least,
    restored_ms: restored === undefined ? null : ms(restored.at - fault),
  };
}

/** So many samples in a row without a node out of recovery are more than an answer that came late. */
const DARK = 5;

/** While no node is out of recovery nobody has standbys, whatever the last one said. */
function sinceFault(lines: readonly Line[], fault: number) {
  const found: { at: number; streaming: number; sync: number }[] = [];
  let told: { streaming: number; sync: number } | undefined;
  let dark = 0;
  for (const line of lines) {
    if ("event" in line) {
      if (line.event !== "standbys") continue;
      told = { streaming: line.streaming, sync: line.sync };
      dark = 0;
    } else if (/[WU]/.test(line.nodes)) {
      const was = dark;
      dark = 0;
      if (was < DARK) continue;
    } else if (++dark !== DARK) continue;
    if (line.at > fault && told !== undefined)
      found.push({ at: line.at, ...(dark === 0 ? told : { streaming: 0, sync: 0 }) });
  }
  return found;
}

function ms(us: number): number {
  return Math.round(us / 1000);
}
