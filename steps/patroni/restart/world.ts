import type { StepContext } from "../../../engine/types.ts";
import { type PatroniClient } from "../../../providers/patroni/client.ts";
import type { PgConnection } from "../../../providers/target/resolve.ts";

/** All that the restart of members needs. */
export interface World {
  ctx: StepContext;
  connection: PgConnection;
  client: PatroniClient;
  timeoutMs: number;
}
