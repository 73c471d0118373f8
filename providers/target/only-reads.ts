import { PgdbaError } from "../../engine/errors.ts";

/** The same access for a step that reads: a verb that is not listed as a read is refused, and nothing is sent. */
export function onlyReads<T extends object>(
  access: T,
  reads: readonly (keyof T)[],
  name: string,
): T {
  const verbs = Object.entries(access).map(([verb, does]) => {
    if (typeof does !== "function" || reads.includes(verb as keyof T)) return [verb, does];
    const refuse = async (): Promise<never> => {
      throw new PgdbaError("step_refused", `A step that reads may not use ${name}.${verb}`, {
        hint: "Nothing was sent. Declare `effect: change` in the step type when it changes something.",
        nothingDone: true,
      });
    };
    return [verb, refuse];
  });
  return Object.fromEntries(verbs) as T;
}
