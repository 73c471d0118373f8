import { FIRST_OWN_OID } from "../collect/counters.ts";
import { list, COUNT, object, TEXT } from "../collect/schema.ts";
import type { Counters } from "../collect/shape.ts";
import { size } from "../collect/units.ts";

export const GROWTH = list(object({ name: TEXT, bytes: COUNT, grown_bytes: COUNT, grown: TEXT }));

/** Sizes by name; `oids` tells what only has another name from what is new. A size that may not be seen is null. */
interface Sized {
  bytes: Record<string, number | null>;
  oids: Record<string, number>;
  /** An object with a higher oid did not exist yet. */
  newest: number | null;
}

export function databasesOf({ databases, database_oids, newest_oid }: Counters): Sized {
  const bytes = Object.entries(databases).map(([name, figures]) => [name, figures.bytes] as const);
  return { bytes: Object.fromEntries(bytes), oids: database_oids, newest: newest_oid };
}

/** When every table was listed, one that was not is new, even if its oid is from before: its transaction had not ended yet. */
export function relationsOf(counters: Counters): Sized {
  const { relations, relation_oids, relations_complete, newest_oid } = counters;
  const newest = relations_complete ? FIRST_OWN_OID - 1 : newest_oid;
  return { bytes: relations, oids: relation_oids, newest };
}

/** The objects that grew or shrank, the largest change first. */
export function growth(before: Sized, now: Sized, most: number) {
  return changes(before, now)
    .filter(({ grown }) => grown !== 0)
    .toSorted((a, b) => Math.abs(b.grown) - Math.abs(a.grown))
    .slice(0, most)
    .map(({ name, bytes, grown }) => ({ name, bytes, grown_bytes: grown, grown: size(grown) }));
}

/** By how much all have grown whose size both sides know or one can't have; null when there are none. */
export function totalGrowth(before: Sized, now: Sized): number | null {
  const grown = changes(before, now).map((change) => change.grown);
  const there = new Set(Object.values(now.oids));
  for (const [name, bytes] of Object.entries(before.bytes)) {
    const gone = !Object.hasOwn(now.bytes, name) && !there.has(before.oids[name] ?? -1);
    if (gone && bytes !== null) grown.push(-bytes);
  }
  return grown.length === 0 ? null : grown.reduce((sum, each) => sum + each, 0);
}

function changes(before: Sized, now: Sized): { name: string; bytes: number; grown: number }[] {
  const former = formerSizes(before, now);
  return Object.entries(now.bytes).flatMap(([name, bytes]) => {
    const old = former(name);
    return bytes === null || old === null ? [] : [{ name, bytes, grown: bytes - old }];
  });
}

/** Gives the former size of the object that bears a name now: 0 for a new one, null when it was left out of the earlier list or not seen. */
function formerSizes(before: Sized, now: Sized): (name: string) => number | null {
  const named = new Map(Object.entries(before.oids).map(([name, oid]) => [oid, name]));
  const there = new Set(Object.values(now.oids));
  return (name) => {
    const oid = now.oids[name];
    const renamed = oid === undefined ? undefined : named.get(oid);
    if (renamed !== undefined) return before.bytes[renamed] ?? null;
    // Dropped and made anew, as a nightly job does; unless the old one is there still, under another name.
    if (Object.hasOwn(before.bytes, name) && !there.has(before.oids[name] ?? -1))
      return before.bytes[name] ?? null;
    return oid !== undefined && before.newest !== null && oid > before.newest ? 0 : null;
  };
}
