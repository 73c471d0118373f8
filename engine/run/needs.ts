import { namedIn } from "../check/call-graph.ts";
import { declarationsOf } from "../declared.ts";
import { copyOf, PgdbaError } from "../errors.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { Json, Step, StepType } from "../types.ts";
import type { RunState } from "./state.ts";

/** A step was done, by this process or an earlier one, or was previewed. */
export function noteMoved(
  { moved }: Pick<RunState, "moved">,
  { type, input, path, done }: { type: StepType; input: Json; path: string; done: boolean },
): void {
  const { gives, takes } = declarationsOf(type, input);
  for (const word of [...takes, ...gives]) moved.set(word, { path, done });
}

/** In a plan nobody knows whether this step runs, or what it is given: it may give and take all that its steps would. */
export async function mayMove(
  state: RunState,
  steps: readonly Step[],
  path: string,
): Promise<void> {
  for (const step of steps) {
    if (step.kind === "block") {
      await mayMove(state, [...step.block, ...(step.rescue ?? []), ...(step.always ?? [])], path);
      continue;
    }
    const type = await state.registry.get(step.type);
    for (const { text } of namedIn(type, step.input))
      await mayMove(state, state.runbooks.get(text)?.steps ?? [], path);
    noteMoved(state, { type, input: step.input, path, done: false });
  }
}

/**
 * Before a step begins: the target has what the step needs of that which earlier steps have given or taken. The rest was judged before
 * the run began.
 * @throws PgdbaError the reason why the target can't be reached | capability_missing | identity_mismatch; UnknownValue in a plan
 */
export async function assertHasNeeds(
  { moved, target }: Pick<RunState, "moved" | "target">,
  { type, input, path }: { type: StepType; input: Json; path: string },
): Promise<void> {
  const asked = declarationsOf(type, input).needs.filter((word) => moved.has(word));
  if (asked.length === 0) return;
  for (const word of asked) {
    const by = moved.get(word)!;
    if (!by.done) throw new UnknownValue(`what ${by.path} does to the target`);
  }
  const { identity, capabilities, why } = await (target.refresh?.() ?? target.facts());
  const { expectedIdentity: expected, name } = target;
  if (identity !== null && expected !== null && identity !== expected) {
    throw new PgdbaError(
      "identity_mismatch",
      `${name} answers with system identifier ${identity}, but is registered as ${expected}`,
      { hint: "Another server answers under this name. Look at both before going on." },
    );
  }
  const missing = asked.filter((word) => !capabilities.includes(word));
  if (missing.length > 0) {
    if (why) throw copyOf(why);
    throw new PgdbaError(
      "capability_missing",
      `${path} needs ${missing.join(", ")}, which ${name} does not have now`,
      { hint: "An earlier step was to bring it about, or has taken it away: look at what it did." },
    );
  }
  // It stays so until another step moves it.
  for (const word of asked) moved.delete(word);
}
