import type { StepContext } from "../../../engine/types.ts";
import type { Observer } from "./observer.ts";

/** The observer of a drill that runs in this process, or null. */
export function observing(ctx: StepContext, drill: string): Promise<Observer | null> {
  return ctx
    .resource<Observer>(keyOf(drill), () => Promise.reject(new Error("none runs")))
    .catch(() => null);
}

/** Begins one, unless it runs. It ends with the run at the latest. */
export function observe(ctx: StepContext, drill: string, begin: () => Observer): Promise<Observer> {
  return ctx.resource(keyOf(drill), async () => {
    const value = begin();
    return { value, close: async () => void (await value.stop()) };
  });
}

function keyOf(drill: string): string {
  return `chaos.observe/${drill}`;
}
