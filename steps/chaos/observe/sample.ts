/**
 * The nodes of a cluster over time. Ten times a second each of them is one letter:
 *
 * W  writable: a write was acknowledged there, under the mode of the workload
 * U  unfenced: out of recovery, and no write was acknowledged
 * S  a standby: it answers, and is in recovery
 * D  down: it refuses connections, or ended them
 * N  no answer
 */
export type Letter = "W" | "U" | "S" | "D" | "N";

/** Times are microseconds since the load began. */
export type Line =
  | { at: number; nodes: string }
  | { at: number; event: "role"; node: string; primary: boolean; timeline: number | null }
  | { at: number; event: "leader"; holder: string | null }
  /** Standbys that stream from a node that is out of recovery, and how many of them are synchronous. */
  | { at: number; event: "standbys"; node: string; streaming: number; sync: number };

export interface Samples {
  format: 1;
  members: string[];
  every_ms: number;
  lines: Line[];
  /** What came later was not kept. */
  cut?: boolean;
}
