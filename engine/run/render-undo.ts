import { renderInput } from "../expr/render.ts";
import type { Json, Step } from "../types.ts";
import { undoSeen } from "./same-input.ts";
import type { Watch } from "./sensitive.ts";
import { type RunState, type UndoEntry, variables } from "./state.ts";

/** Renders the inputs of a step's undo before it acts, so that they don't depend on what it does. */
export async function renderUndo(
  state: RunState,
  { step, scope, rendered }: UndoEntry,
): Promise<Json | undefined> {
  if (!step.undo) return undefined;
  const render = async (one: Step): Promise<void> => {
    // A step that uses a loop variable or the error of a rescue is rendered when it begins, from the steps as they stand then.
    if (one.foreach !== undefined) return;
    if (one.kind === "block") {
      for (const inner of [...one.block, ...(one.always ?? [])]) await render(inner);
    } else {
      const { input: schema } = await state.registry.get(one.type);
      const watch: Watch = { read: false };
      const input = renderInput(one.input, schema, variables(state, scope, watch));
      rendered.set(one, { input, sensitive: watch.read });
    }
  };
  for (const one of step.undo) await render(one);
  return undoSeen(state, scope, step.undo);
}
