import type { StepContext } from "../../../engine/types.ts";
import { type PatroniClient } from "../../../providers/patroni/client.ts";

/** All that the restart of members needs. */
export interface World {
  ctx: StepContext;
  client: PatroniClient;
  timeoutMs: number;
  /** Whether a leader is back only when its standbys stream from it. */
  stream: boolean;
}
