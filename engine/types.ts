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
import type { Doc, DocPath, JsonSchema, Library } from "./types/document.ts";
import type { Declared, Effect, Hazard, LockWord, Risk } from "./types/runbook.ts";
import type { Progress } from "./types/result.ts";
import type { Target } from "./types/target.ts";

export type { Json, JsonObject, Where };
export type * from "./types/document.ts";
export * from "./types/runbook.ts";
export * from "./types/target.ts";
export type * from "./types/result.ts";

// ---------------------------------------------------------------- step types

/**
 * `output` is what the step would have given; `reason` goes into the question that a person is asked. `running`: the step is attached
 * to what it had begun, and `note` says by what it finds it.
 */
export type ProbeResult =
  | { state: "done"; output: Json }
  | { state: "not_done" }
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

// ---------------------------------------------------------------- what a step is given

/** `now` is for records only, `monotonic` (ms) for durations and deadlines. */
export interface Clock {
  now(): Date;
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface SpawnOptions {
  /** It may go on when pgdba ends, as a server does that it starts. */
  outlives?: boolean;
  /** Beside pgdba's own environment, and over it. */
  env?: Record<string, string>;
  /** The state folder without it. */
  cwd?: string;
  /** Given to it as its input, which then ends. Parts are asked for as fast as it reads them. */
  stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** The number of bytes that are kept of each stream; by default 1 MiB. */
  maxBytes?: number;
  /** Takes its output as it comes; nothing of that stream is kept then. One that throws ends the program. */
  onStdout?: Sink;
  onStderr?: Sink;
}

/** Takes bytes. No more are read until its promise is settled, so that a slow taker slows down whoever writes. */
export type Sink = (bytes: Uint8Array) => void | Promise<void>;

/** A program that fails is no error: look at `exit_code`. */
export interface SpawnResult {
  /** Null when a signal ended it. */
  exit_code: number | null;
  /** The signal that ended it, such as `SIGKILL`. */
  signal: string | null;
  stdout: string;
  stderr: string;
  /** Output beyond the limit was dropped. */
  truncated: boolean;
}

/** The job that a step goes on with. */
export interface Attached {
  /** As `step.job` was when it was started. */
  job: string;
  /** The probe's statement, or else the step's last note. */
  note: Json;
}

export interface Trace {
  /** The value of the whole expression. */
  value: Json;
  /** All sub-expressions with their values, outermost first. */
  parts: { source: string; value: Json | { error: string } }[];
  /** The same, aligned, for a message. */
  text: string;
}

export type Variables = Record<string, unknown>;

export interface StepContext {
  readonly run: { id: string; runbook: string; plan: boolean; stateDir: string };
  /** `job` names what this attempt starts: the same text for the run, the path and the attempt, in every process. */
  readonly step: { id: string; path: string; attempt: number; job: string };
  readonly target: Target;
  /**
   * Access to a part of the target, as narrow as the type's declaration: what is not among its `needs` is refused, a step that reads can
   * only read, and verbs that are faults or destroy need the hazard. A resource that died is opened again when it is asked for again.
   * @throws PgdbaError the reason why the target can't be reached
   */
  use<K extends keyof Access>(what: K): Promise<Access[K]>;
  /** Aborted when the step must end: its timeout, or a signal. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly library: Library;
  /** Set when the job of an earlier attempt or process still runs: follow it, and start no other. */
  readonly attached: Attached | undefined;
  /** The last note of this step, of this process or an earlier one. */
  readonly noted: Json | undefined;
  /**
   * Puts `value` on disk before the step goes on: by what it finds again what it is about to begin, such as a process id or a name.
   * `probe`, `undo`, `forget`, `stop` and every later attempt find it in `noted`. The last one holds. At most 64 KiB of JSON and no
   * secret, which is refused; the note of a sensitive step is lost with its process.
   * @throws PgdbaError limit_exceeded | secret_exposed | journal_failed
   */
  note(value: Json): void;
  /** Tells whoever watches the run; nothing of it is kept in the envelope. */
  log(message: string, level?: "info" | "warn"): void;
  /** Tells how far it is, as often as it likes; nothing of it is kept. */
  progress(progress: Progress): void;
  /** The value of CEL, with the step's variables plus `extra`. @throws PgdbaError expression_failed */
  evaluate(cel: string, extra?: Variables): Json;
  /** The same, with the values of all sub-expressions. @throws PgdbaError expression_failed */
  explain(cel: string, extra?: Variables): Trace;
  /** Renders Handlebars text. @throws PgdbaError expression_failed */
  render(text: string, extra?: Variables): string;
  /** Runs a local program, never through a shell, in its own process group, killed on abort; in the state folder unless `cwd` names another. One that fails does not throw: look at `exit_code`. Refuses argv holding a secret. */
  spawn(argv: string[], options?: SpawnOptions): Promise<SpawnResult>;
  /** A thing that lives as long as the run, opened once per key and closed last-in-first-out at its end. */
  resource<T>(key: string, open: () => Promise<{ value: T; close(): Promise<void> }>): Promise<T>;
  /** Registers a value that must appear in no artifact. */
  secret(value: string): void;
  /** True when `text` holds a secret in any form, or may do so since the step is sensitive: a file with it is for its owner alone. */
  holdsSecret(text: string): boolean;
  /**
   * Runs another runbook inside this run and gives its output. Its name must stand in the step's input, in a text that the `input` schema
   * marks with `format: runbook` and `x-lang: static`: such a runbook is checked, gated and kept with the run. As with `run`, the key
   * `params` beside it is checked against its parameters, and what the step gives is taken for the runbook's output.
   * @throws PgdbaError unknown_runbook for any other
   */
  call(runbook: string, params: JsonObject): Promise<Json>;
  /**
   * Says that a `change` step found nothing to do, or its undo nothing to take back. Said by a step that then throws: it failed
   * before it changed anything, so that there is nothing to take back.
   */
  unchanged(): void;
  /** Adds a warning to the envelope. */
  warn(message: string): void;
  /** Asks the person at the terminal to confirm, by a word to be typed where one is given; null when nobody is there. */
  ask(question: string, expect?: string): Promise<boolean | null>;
}

/** The things that `ctx.use` hands out, by name. The providers add theirs to it: see providers/target/access.ts. */
export interface Access {}
