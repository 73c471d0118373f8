/**
 * The words of pgdba, one per thing, and the contracts between its parts.
 *
 * runbook    one YAML document that does one operation, named by its path: `failover/trigger`
 * step       one entry of a runbook; has an `id`, one step type, an input, an output
 * step type  a named kind of step, e.g. `sql.query`: one file, one object (`StepType`)
 * document   one YAML file of a layer; a runbook, or another `kind` that a step type reads (a check)
 * layer      a place runbooks come from; a later layer wins by name
 * target     what one run works on: a cluster, or a bare PostgreSQL connection
 * gate       a rule that allows or refuses a run or a step before it acts
 * run        one execution of a runbook, with an id and a journal
 * path       where a step stands in a run, unique in it: `switch`, `each/3/kill`, `sub/lag`
 * envelope   the one JSON object a command prints
 */

import type { Json, JsonObject, Where } from "./json.ts";
import type { StepContext } from "./types/context.ts";
import type { Doc, DocPath, JsonSchema } from "./types/document.ts";
import type { Declared, Effect, Hazard, LockWord, Risk } from "./types/runbook.ts";

export type { Json, JsonObject, Where };
export { isMapping } from "./json.ts";
export type * from "./types/context.ts";
export type * from "./types/document.ts";
export * from "./types/runbook.ts";
export * from "./types/target.ts";
export type * from "./types/result.ts";

/**
 * `output` is what the step would have given; `reason` goes into the question that a person is asked. `running`: the step is attached
 * to what it had begun, and `note` says by what it finds it.
 */
export type ProbeResult =
  | { state: "done"; output: Json }
  /** `partly`: it is to be done once more, and what it has done of it is taken back when the run is not gone on with. */
  | { state: "not_done"; partly?: boolean }
  | { state: "running"; note?: Json }
  /** It has ended with this error, and may have acted in part. */
  | { state: "failed"; error: Error }
  | { state: "unknown"; reason: string };

/** A named kind of step: one file that default-exports one of these. Shared code reads what it declares, never its name. */
export interface StepType<I = any, O extends Json = any> {
  type: string;
  summary: string;
  /** Markdown for the reference page: when to use it, traps. */
  docs?: string;
  /** Minimal YAML example, for the reference page; it is linted by the tests. */
  example: string;
  /** `change` steps are journalled before they act and are not executed by `--plan`. The function sees the input as written. */
  effect: Effect | ((input: I) => Effect);
  /** True when doing it twice is the same as doing it once: `resume` may repeat it. */
  idempotent: boolean | ((input: I) => boolean);
  /** Without it: `read` for a step that reads, `change` for one that changes something, `disruptive` for a user's own that changes. */
  risk?: Declared<I, Risk>;
  hazards?: Declared<I, readonly Hazard[]>;
  /** Capabilities the target must have, e.g. `postgres`. Only what is named here or under `uses` may be asked for with `ctx.use`. */
  needs?: Declared<I, readonly string[]>;
  /** Capabilities that it uses where the target has them, e.g. `patroni`; `ctx.target.facts()` tells which it has. */
  uses?: Declared<I, readonly string[]>;
  /** Capabilities that the target has once this step is done, so that later steps may need them. */
  gives?: Declared<I, readonly string[]>;
  /** Capabilities that the target may have lost once this step is done. */
  takes?: Declared<I, readonly string[]>;
  /** Without it: `none` for a step that reads, `all` for one that changes something. */
  locks?: Declared<I, LockWord>;
  /**
   * True when all that it does is one act, such as a statement or a program: an error that says that the act did not happen
   * (`nothingDone`) then says so of the step.
   */
  oneAct?: boolean;
  /**
   * True for a change that can be cut: its signal aborts with the first Ctrl-C, it ends as soon as it can, and is then taken back. Any
   * other change is let run to its end first.
   */
  interruptible?: Declared<I, boolean>;
  /**
   * True when what it starts goes on by itself, whatever becomes of the step that follows it: a program on another host, a build in the
   * server. Its `probe` may answer `running`; it is asked before every further attempt, and again before the step is taken back.
   */
  job?: boolean;
  /** Ends the job that its `probe` says is running. Called before the step is taken back; without it, the job's end is waited for. */
  stop?(ctx: StepContext, input: I): Promise<void>;
  /**
   * True when it reads, and takes locks or writes for that in transactions which it always rolls back: its session is not held to READ
   * ONLY. For built-in types alone; a user's own is held to what it declares.
   */
  rollsBack?: boolean;
  /** True when it touches nothing outside of the run, so that `pgdba test` runs it for real. */
  pure?: boolean;
  /**
   * True when it does nothing but ask a person. It has no intent on record, so that nothing but the answer that was given ends it: a run that waits
   * for it, or died at it, asks again, and nobody can say that it was done.
   */
  asks?: boolean;
  /** True when it does nothing but refuse: the first of these, and reads before it, come before the backup that a run takes first. */
  refuses?: boolean;
  input: JsonSchema;
  output: JsonSchema;
  /** A tighter output schema where the input as written determines it. */
  outputFor?(input: Json): JsonSchema | undefined;
  /** Static checks beyond the schema; paths are relative to the input. */
  lint?(input: Json): Finding[] | Promise<Finding[]>;
  /** The documents this type reads: their kind, their schema, and where their CEL and text stand (by `x-lang`). */
  document?: DocumentKind;
  /** Does it. What it gives must fit `output`. */
  run(ctx: StepContext, input: I): Promise<O>;
  /** Tells the effect without causing it. Without this a `change` step is `not_previewable`. */
  plan?(ctx: StepContext, input: I): Promise<Json>;
  /** The keys of what `plan` tells that change by themselves, such as the free space of a disk: they are shown, and an approval does not cover them. */
  varies?: readonly string[];
  /**
   * Did it already happen? Asked by `resume` after a crash; one that fails is taken for `unknown`.
   * @throws PgdbaError step_refused when the step must be neither gone on with nor taken back
   */
  probe?(ctx: StepContext, input: I): Promise<ProbeResult>;
  /**
   * Its inverse. `output` is undefined when the step may not have finished. Must be idempotent: after a crash in the middle of it,
   * it is done again.
   */
  undo?(ctx: StepContext, input: I, output: O | undefined): Promise<void>;
  /** Removes what it keeps for its inverse. Called once the step will not be taken back any more, in this process or in a later one. */
  forget?(ctx: StepContext, input: I): Promise<void>;
  /** The command that takes it back once its run is over, however that ended; the run's id comes after it. */
  takeBack?: string;
}

export interface DocumentKind {
  kind: string;
  schema: JsonSchema;
  /** Variables its expressions may use, with their schemas: `row`, `params`, ... */
  variables(doc: Doc): Record<string, JsonSchema>;
  /** Static checks beyond the schema and the expressions. */
  lint?(doc: Doc): Promise<Finding[]>;
}

/** A fault that a step type, or a kind of document, finds in an input or a document that fits its schema. */
export interface Finding {
  path: DocPath;
  rule: string;
  message: string;
  hint?: string;
}

/** Registry of step types: loaded one by one, on use. */
export interface StepRegistry {
  names(): string[];
  has(type: string): boolean;
  /** The words that a runbook may `need`; any without it. */
  capabilities?: readonly string[] | undefined;
  /** The files of the user's own types, by name; those that can't be loaded are among them. */
  own?: ReadonlyMap<string, string>;
  /** Types that are there and that the configuration does not allow: their files by name, and how to allow them. */
  off?(): { files: ReadonlyMap<string, string>; hint: string };
  /** @throws PgdbaError invalid_runbook when there is no such type */
  get(type: string): Promise<StepType>;
}
