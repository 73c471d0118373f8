import { errorRecord } from "../envelope.ts";
import { toPgdbaError } from "../errors.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { BlockNode, StepNode } from "../types.ts";
import { type Acted, isFinal } from "./act.ts";
import type { RunState, Scope } from "./state.ts";

type RunNodes = (state: RunState, nodes: readonly StepNode[], scope: Scope) => Promise<void>;

/**
 * A block: its steps; on failure its `rescue`; and its `always`, at once when the run goes on, but only after the undo phase when
 * the failure ends the run (the order of design: rescue, undo, always).
 */
export async function runBlock(
  state: RunState,
  node: BlockNode,
  scope: Scope,
  path: string,
  attempt: number,
  deadline: AbortSignal | undefined,
  runNodes: RunNodes,
): Promise<Acted> {
  const inner: Scope = {
    ...scope,
    depth: scope.depth + 1,
    guarded: scope.guarded || node.rescue !== undefined,
    prefix: attempt === 1 ? scope.prefix : `${path}@${attempt}/`,
  };
  const done: Acted = { output: null, status: "ok", changed: false, effect: "read" };
  let failure: { thrown: unknown } | undefined;
  try {
    await runNodes(state, node.block, deadline ? { ...inner, deadline: either(scope.deadline, deadline) } : inner);
  } catch (thrown) {
    failure = { thrown };
  }
  if (failure && node.rescue && !(failure.thrown instanceof UnknownValue)) {
    const error = toPgdbaError(failure.thrown, "step_failed");
    if (!isFinal(error)) {
      const rescue = { ...inner, guarded: scope.guarded, extra: { ...scope.extra, error: errorRecord(error) } };
      try {
        await runNodes(state, node.rescue, rescue);
        failure = undefined;
        done.status = "recovered";
      } catch (thrown) {
        failure = { thrown };
      }
    }
  }
  if (!node.always) {
    if (failure) throw failure.thrown;
    return done;
  }
  if (failure && !scope.guarded && !scope.unwinding) {
    state.deferred.push({ node, scope: inner });
    throw failure.thrown;
  }
  try {
    await runNodes(state, node.always, { ...inner, guarded: scope.guarded });
  } catch (thrown) {
    failure ??= { thrown };
  }
  if (failure) throw failure.thrown;
  return done;
}

function either(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one ? AbortSignal.any([one, other]) : other;
}
