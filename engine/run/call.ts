import { MAX_CALL_DEPTH } from "../check/call-graph.ts";
import { PgdbaError } from "../errors.ts";
import { unknownOutput } from "../expr/unknown.ts";
import type { Json, JsonObject, Runbook, Step } from "../types.ts";
import { assertNamed } from "./clusters.ts";
import { Kept } from "./kept.ts";
import { outputOf } from "./output.ts";
import { asBefore, outputAsBefore } from "./saw.ts";
import type { Watch } from "./sensitive.ts";
import { mayLack, type RunState, type Scope, variables } from "./state.ts";

/** The sensitive data that the calling step read, and the keys of its input that hold some. */
type ReadBefore = Watch & { keys: ReadonlySet<string | number> };

type RunSteps = (state: RunState, steps: readonly Step[], scope: Scope) => Promise<void>;

/** A call of a runbook by a step. */
interface Call {
  name: string;
  given: JsonObject;
  /** The prefix of the paths of its steps. */
  prefix: string;
  read: ReadBefore;
}

/** Runs another runbook inside this run: own params and steps, the same target, lock, journal and undo stack. @returns its output */
export async function call(
  state: RunState,
  scope: Scope,
  { name, given, prefix, read }: Call,
  runSteps: RunSteps,
): Promise<Json> {
  const runbook = state.runbooks.get(name);
  if (!runbook) {
    throw new PgdbaError(
      "unknown_runbook",
      `${name} is not among the runbooks this run was checked with`,
      {
        hint: "Only what a step names is checked and gated with the run: mark the text of the step type's `input` that holds the name with `format: runbook` and `x-lang: static`.",
      },
    );
  }
  const chain = [...scope.callers, name];
  if (scope.callers.includes(name)) {
    throw new PgdbaError("limit_exceeded", `${name} calls itself: ${chain.join(" → ")}`, {
      hint: "Repeat steps with `foreach`, `until` or `retry`.",
    });
  }
  if (scope.callers.length > MAX_CALL_DEPTH) {
    throw new PgdbaError("limit_exceeded", `${name} is called more than ${MAX_CALL_DEPTH} deep`, {
      hint: `Call it from nearer to the top: ${chain.join(" → ")}.`,
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
  const params = validateParams(open, given);
  assertNamed(state.judged.clusters, runbook, params);
  const inner: Scope = {
    ...scope,
    runbook,
    params,
    steps: {},
    extra: {},
    prefix,
    depth: scope.depth + 1,
    callers: chain,
    hidden: {
      all: scope.hidden.all,
      params: sensitiveAmong(given, read),
      secrets: secretParams(runbook),
      extra: new Set(),
    },
    kept: new Kept(scope.kept),
  };
  try {
    const at = prefix.slice(0, -1);
    await asBefore(state, inner, at, (within) => runSteps(state, runbook.steps, within));
    const watch: Watch = { read: false };
    try {
      return outputAsBefore(state, inner, { path: at, what: "output" }, () =>
        outputOf(
          runbook.output,
          { doc: runbook.doc, path: ["output"] },
          variables(state, inner, watch),
          mayLack(state) ? (key, why) => unknownOutput(`${name} ${key}`, why) as Json : undefined,
        ),
      );
    } finally {
      read.read ||= watch.read || watch.secret === true;
    }
  } finally {
    inner.kept.end();
  }
}

/** The parameters that a runbook says are secrets. */
export function secretParams({ params }: Pick<Runbook, "params">): Set<string> {
  return new Set(Object.keys(params).filter((name) => params[name]?.secret === true));
}

/** The parameters that hold sensitive data; all of them where that can't be told. */
function sensitiveAmong(given: JsonObject, { read, keys }: ReadBefore): Set<string> {
  if (!read) return new Set();
  const names = Object.keys(given);
  const known = names.filter((name) => keys.has(name));
  return new Set(known.length > 0 ? known : names);
}
