import type { Judged } from "../judge/judge.ts";
import type { Nodes, Recovery, Redundancy } from "../judge/nodes.ts";
import type { Hypothesis, Verdict } from "../judge/verdict.ts";
import type { Waits } from "../judge/waits.ts";
import type { PatroniHistoryLine } from "../../../providers/patroni/status.ts";

/** What a drill has shown, as it is kept. Times in ms since the load began. */
export interface Result {
  format: 1;
  id: string;
  /** ISO. */
  ended: string;
  verdict: Verdict;
  /** Why the place can't do what was to be done. */
  skipped?: string;
  hypotheses: Hypothesis[];
  judged: Judged | null;
  waits: Waits[];
  nodes: Nodes | null;
  recovery: Recovery | null;
  redundancy: Redundancy | null;
  copies: { node: string; equal: boolean | null; said: string }[];
  phases: { at_ms: number; name: string; text: string }[];
  events: { at_ms: number; text: string }[];
  /** The ends of timelines, as Patroni keeps them, newest last; without it those of a version that asked nobody. */
  history?: PatroniHistoryLine[];
  /** Why operations did not succeed, and how often. */
  reasons: { reason: string; times: number }[];
  /** This process stood still for so long in all; what it measured meanwhile says less. */
  stalled_ms: number;
  seconds: number;
}
