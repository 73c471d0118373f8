import type { Writer } from "./writer.ts";

/** The name of the run's probe among its resources. */
export const PROBE = "failover.probe";

export interface Probe {
  writer: Writer;
  through: string | null;
}
