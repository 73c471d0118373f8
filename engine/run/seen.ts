import { unknownOutput } from "../expr/unknown.ts";
import type { BlockStep, Json, Step, StepResult, StepStatus } from "../types.ts";

/** The statuses of a step that a plan does not run: nobody knows how it would end. */
export const UNKNOWN: readonly StepStatus[] = ["undetermined", "previewed", "not_previewable"];

const results = new WeakMap<object, StepResult>();

/**
 * A result as expressions see it. Of a step that a plan did not run, nothing can be read: neither its output nor whether it changed.
 * `output` is what can be told nevertheless: a loop's list has as many items as it will have.
 */
export function asSeen(result: StepResult, path: string, output?: Json): object {
  if (!UNKNOWN.includes(result.status)) return result;
  return unknownResult(result, unknownOutput(path), output);
}

/**
 * The known results in `steps` once the steps at `paths` were taken back: without those steps, and without the blocks,
 * loops and calls that they stand in.
 */
export function withoutUndone(
  steps: Record<string, unknown>,
  list: readonly Step[],
  paths: Iterable<string>,
): Record<string, unknown> {
  const gone = new Set(Array.from(paths, (path) => path.split("/", 1)[0]!));
  if (gone.size === 0) return steps;
  const seen = { ...steps };
  const visit = (step: Step): boolean => {
    const below = step.kind === "block" ? inside(step).map(visit) : [];
    const undone = gone.has(step.id) || below.includes(true);
    const result = resultOf(seen[step.id]);
    if (undone && result)
      seen[step.id] = unknownResult(result, unknownOutput(step.id, "the step was taken back"));
    return undone;
  };
  list.forEach(visit);
  return seen;
}

function unknownResult(result: StepResult, unknown: object, output?: Json): object {
  const { started_at } = result;
  const seen = {
    started_at,
    status: unknown,
    changed: unknown,
    attempts: unknown,
    duration_ms: unknown,
    output: output ?? unknown,
    error: unknown,
  };
  results.set(seen, result);
  return seen;
}

/** The result that expressions see as `seen`. */
export function resultOf(seen: unknown): StepResult | undefined {
  return results.get(seen as object) ?? (seen as StepResult | undefined);
}

/** All steps of a block, one level deep. */
export function inside({ block, rescue = [], always = [] }: BlockStep): Step[] {
  return [...block, ...rescue, ...always];
}

/** Gives each step of `block` that never began a result of its own, so that later expressions may ask for its status. */
export function fillRest(
  steps: Record<string, unknown>,
  block: BlockStep,
  about: { path: string; at: string; status: "skipped" | "undetermined" },
): void {
  for (const step of inside(block)) {
    const result: StepResult = {
      status: about.status,
      changed: false,
      attempts: 0,
      started_at: about.at,
      duration_ms: 0,
      output: null,
      error: null,
    };
    steps[step.id] ??= asSeen(result, about.path);
    // The steps of a loop are seen by its own items only.
    if (step.kind === "block" && step.foreach === undefined) fillRest(steps, step, about);
  }
}
