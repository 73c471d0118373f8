/** The folder where figures of servers are kept for later comparison, and how much of the past is kept. For step types of every family. */

import { createHash } from "node:crypto";
import { join } from "node:path";

/**
 * The folder for the snapshots of a server. Members of one cluster share it, as they share the system identifier. An identity that is
 * not a number does not become part of the path as it is.
 */
export function folderOf(stateDir: string, identity: string | null, node: string): string {
  const known = identity !== null && /^\d{1,20}$/.test(identity);
  return join(stateDir, "snapshots", known ? identity : `node-${digest(identity ?? node)}`);
}

/**
 * The ones of `times` (ms, rising) to give up so that `most` stay: always the one whose neighbours are closest together for its age,
 * so that the past is kept the more coarsely the longer it is ago. The first and the last always stay.
 */
export function surplus(times: readonly number[], most: number): number[] {
  const left = times.map((time, at) => ({ time, at }));
  const gone: number[] = [];
  while (left.length > Math.max(2, most)) {
    const newest = left.at(-1)?.time ?? 0;
    let victim = 1;
    let least = Infinity;
    for (let n = 1; n < left.length - 1; n++) {
      const gap = (left[n + 1]?.time ?? 0) - (left[n - 1]?.time ?? 0);
      const density = gap / (newest - (left[n]?.time ?? 0) + 1);
      if (density < least) [victim, least] = [n, density];
    }
    gone.push(...left.splice(victim, 1).map(({ at }) => at));
  }
  return gone;
}

/** Twelve hexadecimal digits that stand for `text` in the name of a file. */
export function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}
