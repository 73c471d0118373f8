import { PgdbaError } from "../errors.ts";
import { evaluate } from "../expr/cel.ts";
import { UnknownValue, unknownOutput } from "../expr/unknown.ts";
import type { Json, Step, StepResult, StepStatus } from "../types.ts";
import { itemName } from "./item-name.ts";
import { listAsBefore } from "./list.ts";
import { Kept } from "./kept.ts";
import { knownIn } from "./known.ts";
import { mayMove } from "./needs.ts";
import { recordFailure } from "./saw.ts";
import { UNKNOWN } from "./seen.ts";
import { type Hidden, isSensitive, type Watch } from "./sensitive.ts";
import { begunBefore, isGathering, type RunState, type Scope, variables } from "./state.ts";
import { stepError, withheld } from "./step-error.ts";

/** As the structure of a step has it. */
const MOST_PARALLEL = 64;

type RunOne = (
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
  item?: string,
) => Promise<StepResult>;

/**
 * Runs a step once per item, at most `parallel` at a time, in the order of the list. The output is always a list, with null for an
 * item that was skipped. The first failure stops the starting of further items; those under way are waited for.
 */
export async function runLoop(
  state: RunState,
  step: Step,
  scope: Scope,
  path: string,
  runOne: RunOne,
): Promise<{ status: StepStatus; output: Json; changed: boolean; sensitive: boolean }> {
  let items: Json[];
  const watch: Watch = { read: false };
  const isHidden = () => step.sensitive ?? (scope.hidden.all || watch.read);
  try {
    items = listAsBefore(state, step, scope, { path, watch, isHidden });
  } catch (thrown) {
    if (thrown instanceof UnknownValue && state.plan) {
      await mayMove(state, [step], path);
      const output = unknownOutput(path) as Json;
      return { status: "undetermined", output, changed: false, sensitive: isHidden() };
    }
    const error = stepError(isHidden() ? withheld(thrown, "foreach") : thrown, scope, step, path);
    recordFailure(state, scope, { path, what: "end" }, error);
    throw error;
  }
  const parallel = parallelOf(state, step, scope);
  const name = step.as ?? "item";
  const hidden: Hidden = watch.read
    ? { ...scope.hidden, extra: new Set([...scope.hidden.extra, name]) }
    : scope.hidden;
  let sensitive = isHidden();
  const outputs: Json[] = Array.from({ length: items.length }, () => null);
  let changed = false;
  let status: StepStatus = "skipped";
  let next = 0;
  let failure: { thrown: unknown } | undefined;
  // A resumed run also goes through the items that an earlier process had begun beside the failed one.
  const mayBegin = (index: number) =>
    !failure || isGathering(state, scope) || begunBefore(state, step, `${path}/${index}`, "");
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      if (!mayBegin(index)) continue;
      // Steps of a block are seen by later steps of the same item only.
      const steps = { ...scope.steps };
      state.views.add(steps);
      try {
        const inner: Scope = {
          ...scope,
          steps,
          extra: { ...scope.extra, [name]: items[index], index },
          prefix: `${path}/${index}/`,
          depth: scope.depth + 1,
          hidden,
          kept: new Kept(scope.kept),
          lanes: parallel > 1 ? [...scope.lanes, `${path}/${index}`] : scope.lanes,
        };
        const shown = isHidden() ? undefined : itemName(items[index]);
        const at = `${path}/${index}`;
        const result = await runOne(state, step, inner, at, shown).finally(() => inner.kept.end());
        if (!UNKNOWN.includes(result.status)) scope.kept.put(at, knownIn(state, result.output));
        sensitive ||= isSensitive(inner.steps[step.id]);
        const unknown = UNKNOWN.includes(result.status);
        outputs[index] = unknown ? (unknownOutput(`${path}/${index}`) as Json) : result.output;
        changed ||= result.changed;
        if (unknown) status = result.status;
        else if (result.status !== "skipped" && !UNKNOWN.includes(status)) status = "ok";
      } catch (thrown) {
        // A final error says more about the run than the failure of another item.
        if (!failure || stepError(thrown, scope, step, step.id).final) failure = { thrown };
      } finally {
        state.views.delete(steps);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  if (failure) throw failure.thrown;
  return { status, output: outputs, changed, sensitive };
}

/** How many items at a time. @throws PgdbaError invalid_param for a parameter that is not 1 to 64 */
function parallelOf(state: RunState, step: Step, scope: Scope): number {
  if (typeof step.parallel !== "string") return step.parallel ?? 1;
  const value = evaluate(step.parallel, variables(state, scope));
  if (Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MOST_PARALLEL)
    return Number(value);
  throw new PgdbaError(
    "invalid_param",
    `${step.parallel} is no number from 1 to ${MOST_PARALLEL}`,
    {
      hint: `${step.id} does so many items at a time; give \`minimum: 1\` and \`maximum: ${MOST_PARALLEL}\` to the parameter.`,
    },
  );
}
