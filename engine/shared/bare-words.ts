import type { ParamSpec } from "../types.ts";

/** The parameter that takes the nth bare word, from 1; the last one takes all that follow where it is a list. */
export function paramOfWord(
  params: Readonly<Record<string, ParamSpec>>,
  nth: number,
): string | undefined {
  let last: { name: string; spec: ParamSpec } | undefined;
  for (const [name, spec] of Object.entries(params)) {
    if (spec.positional === undefined) continue;
    if (spec.positional === nth) return name;
    if (spec.positional > (last?.spec.positional ?? 0)) last = { name, spec };
  }
  if (last === undefined || last.spec.positional! > nth) return undefined;
  return takesMany(last.name, params) ? last.name : undefined;
}

/** True for the parameter that several bare words may be given for: a list, and none comes after it. */
export function takesMany(name: string, params: Readonly<Record<string, ParamSpec>>): boolean {
  const { type, positional } = params[name]!;
  if (positional === undefined || ![type].flat().includes("array")) return false;
  return Object.values(params).every((other) => (other.positional ?? 0) <= positional);
}
