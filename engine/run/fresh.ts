import { forgetSeen } from "../journal/seen.ts";
import { cut } from "../shared/cut.ts";
import type { Json, Step } from "../types.ts";
import { resultOf } from "./seen.ts";
import { isSensitive } from "./sensitive.ts";
import { isAtOrBelow, type RunState, type Scope } from "./state.ts";

/** A read that says `fresh: true`, and that a resumed run has from the journal. */
export interface Stale {
  step: Step;
  scope: Scope;
  path: string;
}

type RunStep = (state: RunState, step: Step, scope: Scope) => Promise<void>;

const MAX_NAMED = 5;
const MAX_VALUE = 100;

/** Notes that what a fresh read gave comes from an earlier process. */
export function noteStale(state: RunState, stale: Stale): void {
  const { step, scope, path } = stale;
  const restored = state.memo.has(path) || state.inner.has(path);
  if (step.fresh === true && restored && mayAsk(state, scope)) state.stale.push(stale);
}

/**
 * Asks all fresh reads again, in their order, before a resumed run does anything that is new. What they give now is what expressions see
 * from here on, and what differs is told.
 * @returns whether anything differs
 */
export async function askAgain(state: RunState, scope: Scope, run: RunStep): Promise<boolean> {
  if (!mayAsk(state, scope) || scope.asking) return false;
  if (state.stale.length > 0) {
    state.asking = askAll(state, run).finally(() => {
      state.asking = null;
    });
  }
  return (await state.asking) ?? false;
}

async function askAll(state: RunState, run: RunStep): Promise<boolean> {
  let differs = false;
  for (const { step, scope: own, path } of state.stale.splice(0)) {
    // Nothing sees any more what an item of a loop or a called runbook gave that has ended.
    if (own.kept.ended) continue;
    const before = own.steps[step.id];
    forgetBelow(state, path);
    await run(state, step, { ...own, asking: true });
    const after = own.steps[step.id];
    for (const view of state.views) if (view[step.id] === before) view[step.id] = after;
    const found = changes(outputOf(before), outputOf(after));
    if (found.length === 0) continue;
    differs = true;
    const said = isSensitive(before) || isSensitive(after) ? "" : `: ${listed(found)}`;
    state.warnings.push(
      `${path} was asked again before the run went on, and gives something else${said}`,
    );
  }
  return differs;
}

/** A run that is taken back acts by what it saw. */
function mayAsk({ over, plan }: RunState, scope: Scope): boolean {
  return !over && !plan && !scope.ended && !scope.unwinding;
}

function forgetBelow(state: RunState, path: string): void {
  const isBelow = (one: string) => isAtOrBelow(one, path);
  for (const known of [state.memo, state.saw, state.inner])
    for (const one of known.keys()) if (isBelow(one)) known.delete(one);
  state.summaries.remove((one) => isBelow(one.path));
  const { journal, id } = state;
  journal.note(() => forgetSeen(journal.db, id, path));
}

function outputOf(seen: unknown): Json {
  return resultOf(seen)?.output ?? null;
}

/** The differences between two values: `rows.0.lag was 1, is 5`. */
function changes(before: Json, after: Json, at = ""): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const both = [before, after];
  if (both.every((one) => one !== null && typeof one === "object") && sameKind(before, after)) {
    const keys = new Set(both.flatMap((one) => Object.keys(one as object)));
    return [...keys].flatMap((key) => {
      const [was, is] = both.map((one) => (one as Record<string, Json>)[key] ?? null);
      return changes(was!, is!, at === "" ? key : `${at}.${key}`);
    });
  }
  const [was, is] = both.map((one) => cut(JSON.stringify(one), MAX_VALUE));
  return [`${at === "" ? "it" : at} was ${was}, is ${is}`];
}

function sameKind(one: Json, other: Json): boolean {
  return Array.isArray(one) === Array.isArray(other);
}

function listed(found: string[]): string {
  const more = found.length - MAX_NAMED;
  return `${found.slice(0, MAX_NAMED).join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}
