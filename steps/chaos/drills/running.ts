import type { StepContext } from "../../../engine/types.ts";
import type { Load } from "../load/load.ts";
import type { Observer } from "../observe/observer.ts";

/** What goes on in this process beside the steps of a drill; it ends with the run at the latest. */
function beside<T extends { stop(): Promise<unknown> }>(type: string) {
  const keyOf = (drill: string): string => `${type}/${drill}`;
  return {
    /** Null where none runs here. */
    of(ctx: StepContext, drill: string): Promise<T | null> {
      return ctx
        .resource<T>(keyOf(drill), () => Promise.reject(new Error("none runs")))
        .catch(() => null);
    },
    /** Begins one, unless it runs. */
    begun(ctx: StepContext, drill: string, begin: () => T): Promise<T> {
      return ctx.resource(keyOf(drill), async () => {
        const value = begin();
        return { value, close: async () => void (await value.stop()) };
      });
    },
  };
}

export const loads = beside<Load>("chaos.load");
export const observers = beside<Observer>("chaos.observe");
