import { PgdbaError } from "../errors.ts";
import { unknownOutput } from "../expr/unknown.ts";
import type { Json, JsonObject, StepNode } from "../types.ts";
import { outputOf } from "./output.ts";
import { type RunState, type Scope, variables } from "./state.ts";

/** Runbooks calling runbooks deeper than this are calling themselves. */
const MAX_DEPTH = 8;

type RunNodes = (state: RunState, nodes: readonly StepNode[], scope: Scope) => Promise<void>;

/** Runs another runbook inside this run: own params and steps, the same target, lock, journal and undo stack. @returns its output */
export async function call(
  state: RunState,
  scope: Scope,
  name: string,
  given: JsonObject,
  prefix: string,
  runNodes: RunNodes,
): Promise<Json> {
  const runbook = state.runbooks.get(name);
  if (!runbook) {
    throw new PgdbaError(
      "unknown_runbook",
      `${name} is not among the runbooks this run was checked with`,
      {
        hint: "Runbooks are called by their static names.",
      },
    );
  }
  if (scope.calls >= MAX_DEPTH) {
    throw new PgdbaError("limit_exceeded", `${name} is called more than ${MAX_DEPTH} deep`, {
      hint: "A runbook must not call itself.",
    });
  }
  const { validateParams } = await import("../check/params.ts");
  // A secret arrives here as its value, from the caller's own param; only values typed by people must be references.
  const open = Object.fromEntries(
    Object.entries(runbook.params).map(([key, spec]) => [
      key,
      spec.secret ? { ...spec, secret: false } : spec,
    ]),
  );
  const inner: Scope = {
    ...scope,
    runbook,
    params: validateParams(open, given),
    steps: {},
    extra: {},
    prefix,
    depth: scope.depth + 1,
    calls: scope.calls + 1,
  };
  await runNodes(state, runbook.steps, inner);
  return outputOf(
    runbook.output,
    { doc: runbook.doc, path: ["output"] },
    variables(state, inner),
    state.plan ? (key) => unknownOutput(`${name} ${key}`) as Json : undefined,
  );
}
