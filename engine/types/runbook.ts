/** A runbook as it is compiled, and what it may do to a target. */
import type { Json, JsonObject } from "../json.ts";
import type { Doc, DocPath, JsonSchema } from "./document.ts";

export type Risk = "read" | "change" | "disruptive" | "destructive";
export const RISKS: readonly Risk[] = ["read", "change", "disruptive", "destructive"];

/** The harm that a step may do to a target beyond its risk: break it on purpose, remove the cluster for good, lose data. */
export const HAZARDS = ["fault", "destroys", "loses"] as const;
export type Hazard = (typeof HAZARDS)[number];

/** The part of a target that a step locks. Equal words conflict, and `all` conflicts with each; `none` conflicts with nothing. */
export const LOCK_WORDS = ["roles", "config", "backup", "all", "none"] as const;
export type LockWord = (typeof LOCK_WORDS)[number];
/** The parts of a target that are locked one by one; `all` is all of them. */
export const LOCKED_PARTS = ["backup", "config", "roles"] as const;

/** A declaration of a step type: a value, or a function of the input as written. */
export type Declared<I, T> = T | ((input: I) => T);

/** A parameter: a JSON Schema plus `required`, `target`, `runbook`, `secret`, `confirms` and `positional`. */
export type ParamSpec = Omit<JsonSchema, "required"> & {
  required?: boolean;
  /** Names the target of the run, as --cluster does; for a runbook whose users expect another word for it. */
  target?: true | Beside;
  /** Of a boolean: where it is given, the run is that of this runbook, with the same flags. */
  runbook?: string;
  /** The value is given as `env:NAME` or `file:PATH`, never itself, and is masked everywhere. */
  secret?: boolean;
  /** The answer to a question of the runbook, given ahead: a person's to give, as --yes is. */
  confirms?: boolean;
  /** May also be given as the nth bare word on the command line, from 1; a list that is the last of them takes all that follow. */
  positional?: number;
};

/**
 * The target is another cluster than that of --cluster, such as one that is made from it: the parameter `from` takes what --cluster names. Without
 * a name of its own the target has that name with `suffix` at its end.
 */
export interface Beside {
  from: string;
  suffix: string;
}

/**
 * `attempts` in all, the first included; `backoff` (such as `200ms`) before the second, doubled for each further one, at most 30 s.
 * `on`: CEL over `error`, retries only when true. Without it: when the error says `retryable`.
 */
export type Retry = { attempts: number; backoff?: string; on?: string };

interface StepBase {
  id: string;
  /** The place of the step in its document. */
  at: DocPath;
  when?: string;
  /** CEL that yields a list, or a literal list. */
  foreach?: Json;
  /** Name of the loop variable; by default `item`. */
  as?: string;
  /** How many items at a time, or the parameter that says so: `params.jobs`. */
  parallel?: number | string;
  retry?: Retry;
  until?: string;
  every?: string;
  timeout?: string;
  ignore_error?: boolean;
  sensitive?: boolean;
  /** A point of no return: once it is done, neither it nor anything before it is taken back. */
  keep?: boolean;
  /** For a read: a resumed run asks it again before it goes on, instead of using its earlier output. */
  fresh?: boolean;
}

export interface ActionStep extends StepBase {
  kind: "action";
  type: string;
  /** As written; rendered for each attempt. */
  input: Json;
  /** `false`: the type's own undo is off. A list: run these instead, rendered before the step acts. */
  undo?: false | Step[];
}

export interface BlockStep extends StepBase {
  kind: "block";
  block: Step[];
  rescue?: Step[];
  always?: Step[];
  /** Names to CEL: what the block yields, for its `output`. */
  output?: JsonObject;
}

export type Step = ActionStep | BlockStep;

/** A runbook as compiled from its document by `check/compile.ts`. */
export interface Runbook {
  name: string;
  summary: string;
  description?: string;
  risk: Risk;
  /** The hazards that it declares, and those that its steps and the runbooks it calls have in any case. */
  hazards: Hazard[];
  /** The same; without what an earlier step gives. */
  needs: string[];
  /** The parts of the target that it locks: one word at least for each, or `all`; empty for nothing. */
  locks: LockWord[];
  /** The words that the document says it gives. */
  gives: string[];
  params: Record<string, ParamSpec>;
  steps: Step[];
  /** Output name to CEL (or nested); evaluated when the steps are done. */
  output: JsonObject;
  /** Inferred, or declared under `output_schema`. */
  outputSchema: JsonSchema;
  /** The outputs that people see, in this order; all of them without this. */
  shown?: Shown[];
  /** It runs until it is told to stop, which is its good end. */
  watches?: boolean;
  /** It is a part of others, and not meant to be chosen by itself. */
  part?: boolean;
  /** Words that it is found by beside its own text. */
  tags: string[];
  doc: Doc;
}

/** An output, and of the objects in it the columns. */
export interface Shown {
  name: string;
  columns?: string[];
}

/** What a step does to the world outside of the run. */
export type Effect = "read" | "change";
