import type { StepContext } from "../engine/types.ts";

/** Looks and checks before a step acts: when that fails there is nothing to take back, and its undo is not tried. */
export async function beforeActing<T>(ctx: StepContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    ctx.unchanged();
    throw thrown;
  }
}
