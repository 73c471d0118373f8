import { renderInput } from "../expr/render.ts";
import { isUnknown } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import type { Json, Step, Variables } from "../types.ts";
import { holds } from "./condition.ts";
import { listOf } from "./list.ts";
import { withMore } from "./sensitive.ts";
import { type RunState, type Scope, type UndoEntry, variables } from "./state.ts";

/** Compares the input that a resumed run would give a step with the one of the earlier process: its undo must not aim at something else. */
export function compare(state: RunState, row: StepRow, entry: UndoEntry): void {
  const { digests, step, type, path } = entry;
  const differs = (before: string | null, now: string | null) =>
    before !== null && now !== null && before !== now;
  entry.otherInput = differs(row.input_digest, digests.input);
  const inverse = step.undo === undefined && type.undo !== undefined;
  if (inverse ? entry.otherInput : differs(row.undo_digest, digests.undo)) entry.stuck ??= OTHER;
  if (entry.otherInput && row.status === "ok") state.warnings.push(`${path} is done, but ${OTHER}`);
}

const OTHER = "was given another input than a resumed run would give it now";

/** All that the steps of an undo would be given as things are, as far as that can be told before. */
export function undoSeen(state: RunState, scope: Scope, undo: readonly Step[]): Json {
  const look = (steps: readonly Step[], extra: Variables): Json =>
    steps.map((step) => {
      const vars = withMore(variables(state, scope), extra);
      const told = (work: () => Json): Json => {
        try {
          return work();
        } catch {
          return null;
        }
      };
      const one = (more: Variables): Json => {
        const all = withMore(vars, more);
        return [
          told(() => step.when === undefined || holds(step.when, all)),
          step.kind === "block"
            ? look([...step.block, ...(step.rescue ?? []), ...(step.always ?? [])], {
                ...extra,
                ...more,
              })
            : told(() => renderInput(step.input, {}, all)),
        ];
      };
      if (step.foreach === undefined) return one({});
      const items = told(() => listOf(step, vars));
      if (!Array.isArray(items)) return null;
      const name = step.as ?? "item";
      return items.map((item, index) => (isUnknown(item) ? null : one({ [name]: item, index })));
    });
  return look(undo, {});
}
