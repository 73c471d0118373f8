import type { StepContext } from "../../../engine/types.ts";
import { patroniOf } from "../../patroni-access.ts";
import { openAlterSystem } from "./alter-system.ts";
import type { Place } from "./place.ts";
import { openDynamic } from "./dynamic.ts";

/**
 * The place that the target keeps its settings in.
 * @param names what is to be written, so that one error names all rights that the role lacks
 * @throws PgdbaError no_target | insufficient_privilege | step_refused (Patroni runs it, and we don't know where)
 */
export async function openPlace(ctx: StepContext, names: readonly string[] = []): Promise<Place> {
  const patroni = await patroniOf(ctx);
  return patroni === null ? openAlterSystem(ctx, names) : openDynamic(ctx, patroni);
}
