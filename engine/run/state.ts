import type { PgdbaError } from "../errors.ts";
import type { Happened, Journal, Phase, Saw, StepRow } from "../journal/journal.ts";
import type { Releasers } from "../releasers.ts";
import type { Secrets } from "../secrets.ts";
import type {
  ActionStep,
  BlockStep,
  Clock,
  Effect,
  Event,
  Json,
  JsonObject,
  Library,
  Runbook,
  Step,
  StepRegistry,
  StepResult,
  StepStatus,
  StepType,
  Target,
  Variables,
} from "../types.ts";
import type { Bounded } from "./bounded.ts";
import type { Judged } from "./judged.ts";
import type { Kept } from "./kept.ts";
import { inside } from "./seen.ts";
import { type Hidden, type Watch, watchedSteps, watching, withMore } from "./sensitive.ts";
import type { Answer } from "./question.ts";
import type { Asked } from "./request.ts";
import type { Stop } from "./stop.ts";

/** Records an intent only while this run still holds its locks. */
export interface Fence {
  /** @throws PgdbaError lock_lost */
  fenced(recordIntent: () => void): Promise<void>;
}

/** Tells on which side of the unwinding a step is: once unwinding, only the second signal stops it. */
export interface Scope {
  runbook: Runbook;
  params: JsonObject;
  /** `steps.<id>` as expressions see it. */
  steps: Record<string, unknown>;
  /** Loop variables, `index`, `error`. */
  extra: Variables;
  prefix: string;
  depth: number;
  phase: Phase;
  /** The failure at which an earlier process had ended this block or call: nothing new begins in it. */
  ended?: PgdbaError | undefined;
  /** True inside undo and always: a first signal no longer interrupts. */
  unwinding: boolean;
  /** True below an `until`: what is done here is done again and again. */
  repeated?: boolean;
  /** The runbooks that called one another up to here, the one that was asked for first. */
  callers: readonly string[];
  /** True while a fresh read is asked again. */
  asking?: boolean;
  /** The timeout of an enclosing block or call. */
  deadline: AbortSignal | undefined;
  /** Inputs that are rendered already: those of undo steps. */
  rendered?: ReadonlyMap<ActionStep, Rendered>;
  hidden: Hidden;
  kept: Kept;
  /** The items of parallel loops around: `each/3`. What other items do stands beside it, and not before. */
  lanes: readonly string[];
}

/** An input, and whether it was made of sensitive data. */
export interface Rendered {
  input: Json;
  sensitive: boolean;
}

/** A step that began: what is known of it over all its attempts, in this process and in earlier ones, and how it is taken back. */
export interface UndoEntry {
  path: string;
  step: ActionStep;
  type: StepType;
  input: Json;
  effect: Effect;
  /** Present once the step ended. */
  result: StepResult | null;
  /** Tells whether it has acted; an act that is known not to have happened is not taken back. */
  happened: Happened;
  scope: Scope;
  /** Inputs of the undo steps, rendered before this step acted; one set per iteration of a loop. */
  rendered: Map<ActionStep, Rendered>;
  /** True when its messages may hold sensitive data. */
  sensitive: boolean;
  /** Why this process can't take back what an earlier one did: "it ...". */
  stuck?: string;
  /** Keyed digests of its input and of those of its undo; null of what is not known, and of a read. */
  digests: { input: string | null; undo: string | null };
  /** An earlier process gave it another input than this one would. */
  otherInput: boolean;
  /** The name of the job that it started last, or is about to start. */
  job: string;
  /** The output of its job that ended after the step itself. */
  ended?: Json;
}

/** A point of no return that the run has come to: the step, and those whose inverse is not run any more because of it. */
export interface KeptAt {
  path: string;
  steps: Bounded<string>;
}

/** The summary of a step in the envelope. */
export interface StepSummary {
  path: string;
  id: string;
  type: string;
  status: StepStatus;
  changed: boolean;
  attempts: number;
  duration_ms: number;
  /** The whole of it stands in the journal, and that of the first in the envelope's error. */
  error: { code: string; message: string } | null;
  preview?: Json;
}

export interface Over {
  /** The failure as it is reported. */
  why: PgdbaError;
  /** The error that a step gets in place of beginning now. A rescue may take it: only steps that had begun are visited. */
  instead: PgdbaError;
}

type Bare<E> = E extends unknown ? Omit<E, "at" | "run"> : never;
export type BareEvent = Bare<Event>;

/** All that one run carries with it. Made by `new-state.ts`, used by the interpreter. */
export interface RunState {
  readonly id: string;
  readonly startedAt: string;
  readonly plan: boolean;
  /** A plan, or `--read-only`. */
  readonly readOnly: boolean;
  /** A runbook that watches ends well after its first round. */
  readonly oneRound: boolean;
  /** The limits that the gates let through. */
  readonly judged: Judged;
  readonly journal: Journal;
  readonly registry: StepRegistry;
  readonly library: Library;
  readonly runbooks: ReadonlyMap<string, Runbook>;
  readonly target: Target;
  /** The caller, as far as known; null when nothing is known. */
  readonly caller: string | null;
  readonly targetView: JsonObject;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stateDir: string;
  readonly stop: Stop;
  readonly releasers: Releasers;
  readonly resources: Map<string, Promise<unknown>>;
  /** Rows of an earlier attempt at this run, by path; empty unless resumed. */
  readonly memo: Map<string, StepRow>;
  /** The notes of steps in this process, by path. */
  readonly notes: Map<string, Json>;
  /** The other records of an earlier process, by path. */
  readonly saw: Map<string, Partial<Record<Saw, Json>>>;
  /** Fresh reads that are to be asked again before anything new begins. */
  readonly stale: { step: Step; scope: Scope; path: string }[];
  /** The views of the steps around them that items of running loops have. */
  readonly views: Set<Record<string, unknown>>;
  /** The way to ask a person; undefined when nobody can answer. */
  ask: Asked["confirm"];
  /** The answer with which a run was resumed that waited for one. */
  answer: Answer | null;
  /** Settles when they have been asked; items of a parallel loop wait for it. */
  asking: Promise<boolean> | null;
  /** Set when an earlier process was told to stop, or had begun to take the run back: nothing new begins then. */
  readonly over: Over | null;
  /** Steps of an earlier process that this one came by again. */
  readonly visited: Set<string>;
  /** The words that steps have given to the target or taken from it: for each the step that did so last, and whether it really did. */
  readonly moved: Map<string, { path: string; done: boolean }>;
  /** The steps among them that called runbooks and are not gone through again. */
  readonly covered: Set<string>;
  /** Paths of steps with steps of an earlier process below them. */
  readonly inner: Set<string>;
  /** Steps whose failure in an earlier process left something behind: they are tried again. */
  readonly again: Set<string>;
  /** Steps that nothing but a person can tell about. */
  readonly asked: Set<string>;
  /** Steps that failed while the run was taken back, may have acted, and may not be done twice: a person is asked about them. */
  readonly once: Set<string>;
  /** The number of steps that have begun, and the limit for it. */
  readonly begun: { count: number; limit: number };
  readonly undo: UndoEntry[];
  /** Blocks that failed and whose `always` waits until it is known whether the failure ends the run. */
  readonly deferred: { step: BlockStep; scope: Scope }[];
  /** Points of no return that the run has come to. */
  readonly kept: KeptAt[];
  /** Steps that did not come to their end, for the run was told to stop or is taken back, and whose failure was ignored all the same. */
  readonly cutShort: string[];
  readonly summaries: Bounded<StepSummary>;
  readonly warnings: Bounded<string>;
  /** Of a plan: what stands before the run itself. */
  ahead: JsonObject | null;
  /** Name of the runbook that was asked for. */
  readonly topRunbook: string;
  lock: Fence | null;
  emit(event: BareEvent): void;
}

/** The variables of expressions. `watch` is told when they read sensitive data. */
export function variables(state: RunState, scope: Scope, watch?: Watch): Variables {
  const { params, steps, extra, hidden } = scope;
  const rest = { target: state.targetView, run: { id: state.id, started_at: state.startedAt } };
  if (!watch) return { params, steps, ...rest, ...extra };
  const seen = {
    params: watching(
      watching(params, hidden.params, () => (watch.read = true)),
      hidden.secrets,
      () => (watch.secret = true),
    ),
    steps: watchedSteps(steps, watch),
    ...rest,
  };
  return withMore(
    seen,
    watching(extra, hidden.extra, () => (watch.read = true)),
  );
}

/** Outputs may lack something: a plan did not run it all, and a resumed run does not have all of it any more. */
export function mayLack(state: RunState): boolean {
  return state.plan || state.memo.size > 0;
}

/** Ends waiting in this scope: a first signal, or the second one when unwinding, or the timeout of what is around it. */
export function stopSignal(state: RunState, scope: Scope, deadline?: AbortSignal): AbortSignal {
  return anyOf(scope.unwinding ? state.stop.hard : state.stop.soft, scope.deadline, deadline)!;
}

export function anyOf(...signals: (AbortSignal | undefined)[]): AbortSignal | undefined {
  const given = signals.filter((one) => one !== undefined);
  return given.length > 1 ? AbortSignal.any(given) : given[0];
}

/** True when an earlier process began `step` at `path`; steps inside of a block stand below `prefix`. */
export function begunBefore(state: RunState, step: Step, path: string, prefix: string): boolean {
  if (state.memo.size === 0 && state.saw.size === 0) return false;
  if (state.memo.has(path) || state.inner.has(path) || state.saw.has(path)) return true;
  return step.kind === "block" && anyBegunBefore(state, inside(step), prefix);
}

export function anyBegunBefore(state: RunState, steps: readonly Step[], prefix: string): boolean {
  return steps.some((step) => begunBefore(state, step, prefix + step.id, prefix));
}

/**
 * True while what an earlier process did is only gathered, so that it can be taken back: nothing is done anew, and nothing is waited
 * for. What takes it back is done like anything else.
 */
export function isGathering({ over }: RunState, scope: Scope): boolean {
  return scope.ended !== undefined || (over !== null && !scope.unwinding);
}

/** Nothing new begins once the run was told to stop, is taken back, or its time is over. */
export function assertMayBegin({ over, stop }: RunState, scope: Scope): void {
  if (!scope.unwinding) {
    if (over) throw over.instead;
    stop.soft.throwIfAborted();
  }
  if (scope.ended) throw scope.ended;
  scope.deadline?.throwIfAborted();
}

/** True for the step at `path`, what is in it, and its further attempts and rounds (`path@2`). */
export function isAtOrBelow(one: string, path: string): boolean {
  return one === path || one.startsWith(`${path}/`) || one.startsWith(`${path}@`);
}

/** True when an earlier process recorded steps below `path`. */
export function hasInner(state: RunState, path: string): boolean {
  return state.inner.has(path);
}

/** Every path that is the beginning of one of `paths`, up to a slash. */
export function parentsOf(paths: Iterable<string>): Set<string> {
  const parents = new Set<string>();
  for (const path of paths) {
    // A path that has the longer prefix has the shorter ones, too.
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      if (parents.has(parent)) break;
      parents.add(parent);
    }
  }
  return parents;
}
