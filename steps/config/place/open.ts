import type { StepContext } from "../../../engine/types.ts";
import type { PgConnection } from "../../../providers/target/resolve.ts";
import { openAlterSystem } from "./alter-system.ts";
import type { Place } from "./place.ts";
import { openDynamic } from "./dynamic.ts";

/**
 * The place that the target keeps its settings in.
 * @param names what is to be written, so that one error names all rights that the role lacks
 * @throws PgdbaError no_target | insufficient_privilege | step_refused (Patroni runs it, and we don't know where)
 */
export function openPlace(ctx: StepContext, names: readonly string[] = []): Promise<Place> {
  const connection = ctx.target.connection as PgConnection | null;
  return connection?.patroni
    ? openDynamic(ctx, connection, connection.patroni)
    : openAlterSystem(ctx, names);
}
