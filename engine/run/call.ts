import { PgdbaError } from "../errors.ts";
import { evaluate } from "../expr/cel.ts";
import { UnknownValue, unknownOutput } from "../expr/unknown.ts";
import type { Json, JsonObject, Runbook, StepNode, Variables } from "../types.ts";
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
    runbook,
    variables(state, inner),
    state.plan ? (key) => unknownOutput(`${name} ${key}`) as Json : undefined,
  );
}

/** The output of a runbook from its `output:` expressions; what can't be known yet is what `unknown` gives, or left out. */
export function outputOf(
  runbook: Runbook,
  vars: Variables,
  unknown?: (key: string) => Json | undefined,
): Json {
  const walk = (template: JsonObject): JsonObject => {
    const out: JsonObject = {};
    for (const [key, value] of Object.entries(template)) {
      try {
        if (typeof value === "string") out[key] = evaluate(value, vars);
        else if (value !== null && typeof value === "object" && !Array.isArray(value))
          out[key] = walk(value);
        else out[key] = value;
      } catch (thrown) {
        if (!unknown || !(thrown instanceof UnknownValue)) throw thrown;
        const stand = unknown(key);
        if (stand !== undefined) out[key] = stand;
      }
    }
    return out;
  };
  return walk(runbook.output);
}

/** What of the output can be told although the run failed; null when nothing can. */
export function partialOutput(runbook: Runbook, vars: Variables): Json {
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(runbook.output)) {
    try {
      Object.assign(out, outputOf({ ...runbook, output: { [key]: value } }, vars));
    } catch {
      // A field that needs a step that did not run has no value.
    }
  }
  return Object.keys(out).length === 0 ? null : out;
}
