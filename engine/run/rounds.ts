import { endRound } from "../journal/seen.ts";
import { Kept } from "./kept.ts";
import { forget } from "./inverse.ts";
import type { RunState, Scope } from "./state.ts";
import type { Step } from "../types.ts";

/**
 * The rounds of a runbook that `watches`: the tries of an `until` at its top, which go on until it is told to stop. What a round did
 * stays as it is once the round has ended, and nothing of it is kept in memory; of the journal, what changed something stays to be read.
 */
export class Rounds {
  readonly #state: RunState;
  /** Where all rounds after the first stand. */
  readonly #base: string;
  #begun = 0;
  #kept: Kept | undefined;
  #before = { undo: 0, begun: 0, points: 0 };

  constructor(state: RunState, path: string) {
    this.#state = state;
    this.#base = `${path}@2`;
  }

  /** Undefined for a step that makes none. */
  static of(state: RunState, step: Step, scope: Scope, path: string): Rounds | undefined {
    const atTop = scope.callers.length === 1 && scope.depth === 0 && scope.phase === "main";
    const watches = scope.runbook.watches === true && step.until !== undefined;
    return atTop && watches && !state.plan ? new Rounds(state, path) : undefined;
  }

  begin(scope: Scope): Scope {
    this.#begun += 1;
    const { undo, begun, kept } = this.#state;
    this.#before = { undo: undo.length, begun: begun.count, points: kept.length };
    this.#kept = new Kept(scope.kept);
    return { ...scope, kept: this.#kept };
  }

  async end(): Promise<void> {
    const state = this.#state;
    const { undo, begun, points } = this.#before;
    // A point of no return may have taken what was before.
    for (const entry of state.undo.splice(Math.min(undo, state.undo.length)))
      await forget(state, entry);
    state.kept.splice(points);
    state.begun.count = begun;
    this.#kept?.release();
    // A resumed run comes to the round that its earlier process was in only after the first.
    if (this.#begun < 2) return;
    const isOurs = (path: string) => path === this.#base || path.startsWith(`${this.#base}/`);
    for (const known of [
      state.memo,
      state.saw,
      state.inner,
      state.notes,
      state.visited,
      state.covered,
    ])
      for (const path of known.keys()) if (isOurs(path)) known.delete(path);
    const changed = state.summaries.listed.some(({ path, changed }) => changed && isOurs(path));
    state.summaries.remove(({ path }) => isOurs(path));
    const { journal, id, clock } = state;
    const past = changed ? `${this.#base}.${clock.now().toISOString()}` : null;
    journal.note(() => endRound(journal.db, id, { base: this.#base, past }));
  }
}

/** All rounds after the first have the same paths, so that the one under way is found again by a resumed run. */
export function tryNumber(rounds: Rounds | undefined, performed: number): number {
  return rounds ? Math.min(performed, 2) : performed;
}
