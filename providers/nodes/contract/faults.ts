import type { TargetLock } from "../../../engine/types.ts";

/** Until when a fault lasts at most, and by which id it is found. The id is known before the fault: it stands in the journal first. */
export interface Deadline {
  /** Letters, digits, `-`, `_` and `.`; unique in the cluster. */
  id: string;
  /** From now; at most 15 minutes. */
  afterMs: number;
}

/** Nodes by name (all their addresses count) or addresses. */
export interface Peers {
  nodes?: readonly string[];
  addresses?: readonly string[];
}

/** The act that takes a fault back, as plain data: the healer knows nothing of pgdba. */
export type Inverse = { thaw: string } | { start: string } | InverseProgram;

export interface InverseProgram {
  /** The node that it runs on. */
  on: string;
  /** It must be idempotent; its exit code 0 says that it took back. */
  argv: readonly string[];
  env?: Record<string, string>;
  /** Run in the same place, it ends with 0 for as long as the fault is in force. */
  still?: readonly string[];
  /** It takes nothing back, and only looks whether somebody has repaired it: what a person has to do. */
  repair?: string;
}

export interface Armed {
  id: string;
  node: string;
  labels: { run: string; path: string };
  inverse: Inverse;
  /** By the clock of the node, for people to read. */
  deadline: string;
  /**
   * `armed`: its healer waits, or tries again. `healed`: the healer did it. `failed`: it tried for a minute, and says `why`. `lost`: no healer is there any more, as
   * after a restart of the machine: only `heal` takes it back.
   */
  state: "armed" | "healed" | "failed" | "lost";
  why?: string;
}

/** A fault is armed before it is done, and it is in force when its verb returns. */
export interface Fault extends Armed {
  /** The observation of an independent probe; null: it could not tell. A fault that is not proven proves nothing. */
  took: boolean | null;
  evidence: string;
  /** For a partition: whether connections that were open before are cut, too. */
  openConnections?: "cut" | "alive" | "unknown";
}

export interface Healed {
  id: string;
  node: string;
  /** Verified: what was done is not there any more. */
  healed: boolean;
  /** Whether it was in force until then, by a look at the node itself. Null where nobody can tell, as of a process that was killed and started by whoever watches over it. */
  lasted: boolean | null;
  why?: string;
}

export interface Lease extends TargetLock {
  /** Greater with each holder. */
  epoch: number;
}
