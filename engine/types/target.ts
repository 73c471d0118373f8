/** Targets: what is known of one, and how it is reached and locked. */
import type { PgdbaError } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import type { Effect, Hazard, LockWord } from "./runbook.ts";

/**
 * `none`: no target was named. `absent`: a free name. `partial`: registered by a run that did not finish. `unreachable`: nobody could be
 * asked. `down`: its nodes or its DCS say that nothing runs. `up`: the server answers.
 */
export type TargetState = "none" | "absent" | "partial" | "unreachable" | "down" | "up";
export const TARGET_STATES: readonly TargetState[] = [
  "none",
  "absent",
  "partial",
  "unreachable",
  "down",
  "up",
];

/** On whose behalf a part of the target is used. */
export interface AccessFor {
  run: string;
  path: string;
  effect: Effect;
  /** What the step declares that it needs. */
  needs?: readonly string[];
  /** See `StepType.rollsBack`. */
  rollsBack?: boolean;
  /** True for a user's own step type: one that says it reads is not believed, but held to it. */
  own?: boolean;
  hazards: readonly Hazard[];
  signal: AbortSignal;
}

/** The facts of a target that was reached. Further ones (version, role) go in `facts`. */
export interface TargetFacts {
  state: TargetState;
  /** Why it is not up; a run that needs it ends with this. */
  why?: PgdbaError | undefined;
  /** What is worth knowing before anything is done with it. */
  warnings?: string[] | undefined;
  /** The run that left it `partial`. */
  partialBy?: string | undefined;
  /** PostgreSQL's `system_identifier`, as text; null when it can't be read. */
  identity: string | null;
  /** The words that runbooks may `need`: `postgres`, `patroni`, `superuser`, ... */
  capabilities: string[];
  /** What to do about a word that it lacks, by the word; sentences without their end. */
  ways?: Readonly<Record<string, string | undefined>> | undefined;
  /** Shown in envelopes and to expressions as `target.*`, such as `provider` and the verbs that it has as `can`; no secrets. */
  facts: JsonObject;
  known?: Known;
  /** The addresses of a target without a name, so that it has a key while it is down, and the identities it may have. Two that share one may be the same server. */
  places?: readonly string[] | undefined;
}

/** The statements of the registry about a target, beside the entry by whose name it was reached: it is the same target by any other name. */
export interface Known {
  as: KnownAs[];
  /** The faults of entries that can't be read: any of them may be about this target. */
  unread: string[];
  /** True when its own entry has labels and no identity, so that they hold by its name and address alone. */
  loose: boolean;
  /** True when another entry has the same identity and is known to be another cluster, such as a restored copy: the identity does not name this one alone. */
  twins?: boolean;
}

export interface KnownAs {
  cluster: string;
  labels: readonly string[];
  ownership: Target["ownership"];
}

export interface Target {
  /** Cluster name, or `user@host:port/database`, or `none`. */
  readonly name: string;
  readonly cluster: string | null;
  readonly labels: readonly string[];
  readonly ownership: "managed" | "connected" | "none";
  /** From the registry; a server that says another one is refused. */
  readonly expectedIdentity: string | null;
  /** No entry of the registry has its name: its facts say so, and connect to nothing. */
  readonly absent?: boolean;
  /** True when nobody named it: it is the only cluster that is registered. */
  readonly assumed?: boolean;
  /** The flags that name it to another command. */
  readonly flags?: readonly string[];
  /** Connects where it must; remembered. A server that does not answer is a fact (`state`, `why`), never an error. */
  facts(): Promise<TargetFacts>;
  /** The facts as they are now, also of what the run itself has made or moved since. */
  refresh?(): Promise<TargetFacts>;
  /** From now on a server that shows another system identifier is refused. */
  expect?(identity: string): void;
  /** See `StepContext.use`. The engine has checked that the step declared it. */
  use?(what: string, on: AccessFor): Promise<unknown>;
  /**
   * Takes the locks of `words`, all without it, on the target's own side, where there is one, so that engines with separate state folders exclude each other. One
   * that is refused leaves nothing behind.
   */
  lock?(
    holder: string,
    words?: readonly LockWord[],
  ): Promise<TargetLock | { heldBy: string; word?: string }>;
  close(): Promise<void>;
}

/** A lock that was taken on the target's own side, or will be taken there as soon as it can be reached. */
export interface TargetLock {
  /** Asks the target, and takes the lock again where it went with its session. `unreachable`: nobody could be asked, and nobody else is known to have it. */
  held(): Promise<"held" | "unreachable" | { heldBy: string }>;
  release(): Promise<void>;
}
