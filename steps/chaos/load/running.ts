import type { StepContext } from "../../../engine/types.ts";
import type { Load } from "./load.ts";

/** The load of a drill that runs in this process, or null. */
export function running(ctx: StepContext, drill: string): Promise<Load | null> {
  return ctx
    .resource<Load>(keyOf(drill), () => Promise.reject(new Error("none runs")))
    .catch(() => null);
}

/** Begins one, unless it runs. It ends with the run at the latest. */
export function begun(ctx: StepContext, drill: string, begin: () => Load): Promise<Load> {
  return ctx.resource(keyOf(drill), async () => {
    const value = begin();
    return { value, close: () => value.stop() };
  });
}

function keyOf(drill: string): string {
  return `chaos.load/${drill}`;
}
