import type { Hazard, Risk, TargetState } from "../types.ts";
import type { PolicyRule } from "../policy.ts";

/** Everything a gate may look at. Nothing else decides whether a run may act. */
export interface GateInput {
  runbook: string;
  /** What it does, in its own words. */
  summary: string;
  /** All names that it is judged by: its own, those of what it calls, however deep, and of what all of these extend or replace. */
  names: readonly string[];
  /** The acts of the runbook with these parameters on this target, and of all that it calls: see check/danger.ts. */
  danger: {
    risk: Risk;
    hazards: readonly Hazard[];
    /** The words that the target must have when it begins. */
    needs: readonly string[];
    /** The step types that would run. */
    steps: readonly string[];
    /** The first that asks for a verified backup, in words. */
    backup: string | null;
    /** True when it uses, changes or locks anything of the target. */
    touches: boolean;
    /** In words, the part that has the risk, and the first that has each hazard or needs each word. */
    who: { risk: string; hazards: Record<string, string>; needs: Record<string, string> };
  };
  plan: boolean;
  /** It goes on: what it needs, and whether it may break things, was asked when it began. */
  resumed: boolean;
  target: {
    name: string;
    cluster: string | null;
    state: TargetState;
    /** All names, labels and the strictest ownership that the registry has for it, by whichever way it was reached. */
    clusters: readonly string[];
    labels: readonly string[];
    ownership: "managed" | "connected" | "none";
    /** The faults of registry entries that can't be read; any of them may be about this target. */
    unread: readonly string[];
    identity: string | null;
    expectedIdentity: string | null;
    capabilities: readonly string[];
    /** What to do about a word that it lacks. */
    ways?: Readonly<Record<string, string | undefined>> | undefined;
  };
  flags: {
    yes: boolean;
    confirm: string | null;
    iKnowWhatIAmDoing: boolean;
    explicitCluster: boolean;
    /** The cluster whose data may be lost without a backup. */
    withoutBackup: string | null;
    /** True when whoever started it wants nothing but to look. */
    readOnly?: boolean;
  };
  /** Null when nobody knows. */
  caller: string | null;
  /** The users of the operating system behind it; undefined when nobody knows. */
  users?: readonly string[] | undefined;
  policy: readonly PolicyRule[];
  /** The runbooks that give a verified backup, one of which can be run first, and what the target lacks for it. */
  backup: { runbooks: readonly string[]; lacks: readonly string[] };
}

export type Verdict =
  | { answer: "allow" }
  | {
      answer: "refuse";
      gate: string;
      code: "gate_refused" | "policy_refused" | "identity_mismatch" | "capability_missing";
      reason: string;
      hint: string;
      /** The flags that open it; no flag does without them. */
      opens?: readonly string[];
    }
  /** May be answered on a terminal: by `y` when `expect` is null, else by typing `expect`. */
  | {
      answer: "ask";
      gate: string;
      question: string;
      expect: string | null;
      hint: string;
      opens: readonly string[];
    }
  /** A person must approve it as each of the rules says. */
  | { answer: "approve"; gate: "approval"; rules: readonly PolicyRule[] };

export const ALLOW: Verdict = { answer: "allow" };

/** The part that is judged, in words: the runbook itself, or a step or a runbook by name. */
export function told(who: string | undefined, runbook: string): string {
  return who === undefined || who === `\`${runbook}\`` ? runbook : `${runbook}, by ${who},`;
}

/** The name that a person says once more; of what is destructive without a named cluster, the one that is still to be named. */
export function nameOf({ danger, target: { cluster, name } }: GateInput): string {
  return cluster ?? (danger.risk === "destructive" ? "NAME" : name);
}
