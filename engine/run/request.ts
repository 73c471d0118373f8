import type { ExitCode, PgdbaError } from "../errors.ts";
import type { GateInput } from "../gates/verdict.ts";
import type { Journal, RunRow, Said } from "../journal/journal.ts";
import type { Caller } from "../journal/holder.ts";
import type { PolicyRule } from "../policy.ts";
import type { Secrets } from "../secrets.ts";
import type {
  Clock,
  Envelope,
  Json,
  JsonObject,
  Library,
  Listener,
  Runbook,
  RunStatus,
  StepRegistry,
  StepStatus,
  Target,
} from "../types.ts";
import type { Stop } from "./stop.ts";

/** The parts that do not change from run to run; given by the front door. */
export interface Host {
  journal: Journal;
  registry: StepRegistry;
  library: Library;
  secrets: Secrets;
  clock: Clock;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  stateDir: string;
  listener: Listener;
  /** The wall clock's id for a new run: sortable, unique. */
  newRunId(): string;
  /** Steps that a run may begin; MAX_STEPS without it. */
  maxSteps?: number;
  /** A runbook that watches ends well after its first round: in its tests. */
  oneRound?: boolean;
}

export interface RunRequest {
  command: string;
  /** The runbook and all it may call, by name. */
  runbooks: ReadonlyMap<string, Runbook>;
  runbook: Runbook;
  /** With the values of secrets. */
  params: JsonObject;
  /** With secrets as references: what the journal keeps. */
  recordedParams: JsonObject;
  target: Target;
  /** The clusters that parameters name (`format: cluster`): judged and locked with the target, when the run touches any. */
  others?: () => Promise<readonly Target[]>;
  /** The flags that resolve the target again on resume; no secrets. */
  targetFlags: JsonObject;
  /** The runbooks that give a verified backup, of the highest layer that has any. */
  backups: readonly string[];
  plan: boolean;
  lockWaitMs: number;
  asked: Asked;
  stop: Stop;
  resume?: { row: RunRow; assumed: ReadonlyMap<string, Said> };
  approvals?: Approvals;
}

/** A step of a plan. */
export interface Previewed {
  path: string;
  type: string;
  status: StepStatus;
  /** What it would do, where it can tell. */
  preview?: Json;
}

/** The approval that was given, and the way to ask for one. */
export interface Approvals {
  /** The request by whose approval it begins. */
  id: string | null;
  /** Of pgdba. */
  version: string;
  /** Runs it as a plan, on a target of its own. `more`: steps that are not listed. @throws PgdbaError its failure */
  preview(): Promise<{ steps: readonly Previewed[]; more: number }>;
}

export interface RunOutcome {
  exit: ExitCode;
  envelope: Envelope;
  status: RunStatus;
  /** The error that made it fail, with its stack and causes. */
  error: PgdbaError | null;
}

/** The statements of the caller for the gates, and the way to ask a person. */
export interface Asked {
  flags: GateInput["flags"];
  caller: Caller;
  /** The users of the operating system behind it; undefined when nobody knows. */
  users?: readonly string[];
  policy: readonly PolicyRule[];
  /** Asks on a terminal; undefined when nobody can answer. */
  confirm:
    | ((question: string, expect: string | null, target: JsonObject) => Promise<boolean>)
    | undefined;
}
