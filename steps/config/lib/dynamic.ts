import type { StepContext } from "../../../engine/types.ts";
import type { PatroniSpec } from "../../../providers/patroni/client.ts";
import type { PgConnection } from "../../../providers/targets.ts";
import type { Place } from "./place.ts";
export async function openDynamic(ctx: StepContext, connection: PgConnection, spec: PatroniSpec): Promise<Place> {
  throw new Error(`${ctx} ${connection} ${spec}`);
}
