import { renderInput } from "../expr/render.ts";
import { isUnknown } from "../expr/unknown.ts";
import type { StepRow } from "../journal/journal.ts";
import type { Json, StepNode, Variables } from "../types.ts";
import { holds } from "./condition.ts";
import { listOf } from "./list.ts";
import { withMore } from "./sensitive.ts";
import { type RunState, type Scope, type UndoEntry, variables } from "./state.ts";

/** What a resumed run would give a step is compared with what the earlier process gave it: its undo must not aim at something else. */
export function compare(state: RunState, row: StepRow, entry: UndoEntry): void {
  const { digests, node, type, path } = entry;
  const differs = (before: string | null, now: string | null) =>
    before !== null && now !== null && before !== now;
  entry.otherInput = differs(row.input_digest, digests.input);
  const inverse = node.undo === undefined && type.undo !== undefined;
  if (inverse ? entry.otherInput : differs(row.undo_digest, digests.undo)) entry.stuck ??= OTHER;
  if (entry.otherInput && row.status === "ok") state.warnings.push(`${path} is done, but ${OTHER}`);
}

const OTHER = "was given another input than a resumed run would give it now";

/** All that the steps of an undo would be given as things are, as far as that can be told before. */
export function undoSeen(state: RunState, scope: Scope, undo: readonly StepNode[]): Json {
  const look = (nodes: readonly StepNode[], extra: Variables): Json =>
    nodes.map((node) => {
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
          told(() => node.when === undefined || holds(node.when, all)),
          node.node === "block"
            ? look([...node.block, ...(node.rescue ?? []), ...(node.always ?? [])], {
                ...extra,
                ...more,
              })
            : told(() => renderInput(node.input, {}, all)),
        ];
      };
      if (node.foreach === undefined) return one({});
      const items = told(() => listOf(node, vars));
      if (!Array.isArray(items)) return null;
      const name = node.as ?? "item";
      return items.map((item, index) => (isUnknown(item) ? null : one({ [name]: item, index })));
    });
  return look(undo, {});
}
