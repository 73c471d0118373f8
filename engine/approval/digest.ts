import { sha256 } from "../journal/audit.ts";
import { canonical } from "../journal/canonical.ts";
import type { Json } from "../types.ts";

/** All that an approval covers, by its name in words: a runbook, a parameter, the target, what a step would do. */
export type Parts = Record<string, Json>;

/** The digests of the parts, by the same names. */
export type PartDigests = Record<string, string>;

export function partDigests(parts: Parts): PartDigests {
  return Object.fromEntries(
    Object.entries(parts).map(([name, part]) => [name, sha256(canonical(part))]),
  );
}

/** One digest over all parts of the request `id`: the same parts of another request have another one. */
export function digestOfParts(id: string, parts: PartDigests): string {
  return sha256(canonical({ id, parts }));
}

/** The names of the parts that differ between what was approved and what is there now. */
export function differences(approved: PartDigests, now: PartDigests): string[] {
  const names = new Set([...Object.keys(approved), ...Object.keys(now)]);
  return [...names].filter((name) => approved[name] !== now[name]).toSorted();
}
