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

import type { ErrorCode, PgdbaError } from "./errors.ts";
import type { Json, JsonObject, Where } from "./json.ts";

export type { Json, JsonObject, Where };

/** Draft-07 JSON Schema. The engine's own keywords:
 * `x-lang` on a string: `cel` (an expression, handed to the step as written), `text` (Handlebars, handed to the step as
 * written, to be rendered with `ctx.render`), `static` (no template allowed); without it a string is rendered before `run`.
 * `x-secret` on a param: see `ParamSpec.secret`.
 * `x-instead` on a mapping: keys that people expect and that it does not have, each with what to write instead.
 * `x-names` on a part of an output: names and words, not data; they are no secrets where the step is sensitive. */
export interface JsonSchema {
  type?: string | readonly string[];
  properties?: Record<string, JsonSchema>;
  required?: readonly string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  enum?: readonly Json[];
  const?: Json;
  anyOf?: readonly JsonSchema[];
  oneOf?: readonly JsonSchema[];
  allOf?: readonly JsonSchema[];
  description?: string;
  default?: Json;
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minProperties?: number;
  maxProperties?: number;
  examples?: readonly Json[];
  title?: string;
  "x-lang"?: "cel" | "text" | "static";
  "x-secret"?: boolean;
  "x-instead"?: Readonly<Record<string, string>>;
  "x-names"?: boolean;
}

// ---------------------------------------------------------------- documents, layers and their faults

/** A key or index path into a document: `["steps", 2, "when"]`. */
export type DocPath = readonly (string | number)[];

/** A span of a file: `offset` and `length` in UTF-16 units of `text`. */
export interface Span extends Where {
  offset: number;
  length: number;
  text: string;
}

/** `rule` is a stable name such as `unknown-step`, `frame` the source line with a caret under the fault. */
export interface Diagnostic {
  severity: "error" | "warning";
  rule: string;
  message: string;
  hint?: string;
  where: Where;
  frame: string;
}

export type LayerName = "builtin" | "system" | "user" | "project" | "extra";

/** The part of a document that `list` shows, known without loading it where the layer has an index. */
export interface LibraryEntry {
  /** Path below the layer without `.yaml`: `health/check`. */
  name: string;
  kind: string;
  layer: LayerName;
  file: string;
  /** Lower layers that have the same name, nearest first. */
  overrides: { layer: LayerName; file: string }[];
  /** The words that the runbook says it `gives`; undefined where only the document knows. */
  gives?: readonly string[] | undefined;
}

/** One YAML document, `extends` already resolved; `data` holds plain null-prototype objects. */
export interface Doc extends Omit<LibraryEntry, "overrides"> {
  data: JsonObject;
  /** Hex SHA-256 over the texts that made it, own and extended. */
  digest: string;
  /** The names that it is judged by: its own, and those of all that it extends or replaces, however far. */
  lineage: string[];
  /** The documents that it extends or replaces, as their own layers give them: it is judged as each of these, too. */
  below?: readonly { name: string; data: JsonObject }[] | undefined;
  /** The place where the value at `path` (or, with `key`, its key) was written; the nearest written ancestor when it was not. */
  at(path: DocPath, key?: boolean): Span;
}

/** All documents of all layers, the later layer winning by name. */
export interface Library {
  entries(kind?: string): LibraryEntry[];
  find(name: string): LibraryEntry | undefined;
  /** @throws PgdbaError unknown_runbook | invalid_runbook (with diagnostics in `data`) */
  load(name: string): Promise<Doc>;
}

// ---------------------------------------------------------------- runbooks

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

/** A parameter: a JSON Schema plus `required`, `target`, `secret` and `positional`. */
export type ParamSpec = Omit<JsonSchema, "required"> & {
  required?: boolean;
  /** Names the target of the run, as --cluster does; for a runbook whose users expect another word for it. */
  target?: boolean;
  /** The value is given as `env:NAME` or `file:PATH`, never itself, and is masked everywhere. */
  secret?: boolean;
  /** May also be given as the nth bare word on the command line, from 1. */
  positional?: number;
};

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
  parallel?: number;
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
  doc: Doc;
}

/** An output, and of the objects in it the columns. */
export interface Shown {
  name: string;
  columns?: string[];
}

// ---------------------------------------------------------------- step types

export type Effect = "read" | "change";

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

/** The progress of a step: `{done: 3, total: 8, unit: "bytes", text: "building index"}`, or a part of that. `bytes` is shown as sizes. */
export interface Progress {
  done?: number | null;
  total?: number | null;
  unit?: string | null;
  text?: string | null;
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

// ---------------------------------------------------------------- targets

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

/** The things that `ctx.use` hands out, by name. The providers add theirs to it: see providers/target/access.ts. */
export interface Access {}

/** On whose behalf a part of the target is used. */
export interface AccessFor {
  run: string;
  path: string;
  effect: Effect;
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

// ---------------------------------------------------------------- results and events

export type StepStatus =
  | "ok"
  | "skipped"
  | "failed"
  | "cancelled"
  | "recovered"
  | "unknown"
  | "previewed"
  | "not_previewable"
  | "undetermined";

export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  step: string | null;
  where: Where | null;
  hint: string | null;
  retryable: boolean;
  data?: Json;
  /** True when no rescue may take it, though its code does not say so. */
  final?: true;
}

/** The variable `steps.<id>` of expressions, which the journal and the envelope keep too. */
export interface StepResult {
  status: StepStatus;
  changed: boolean;
  attempts: number;
  started_at: string;
  duration_ms: number;
  output: Json;
  error: ErrorRecord | null;
}

export type RunStatus =
  | "running"
  | "ok"
  | "planned"
  | "failed"
  | "undone"
  | "needs_operator"
  /** It stopped at a question that nobody could be asked; resumed, it goes on. */
  | "waiting"
  | "interrupted";

export type Event = { at: string; run: string } & (
  | { kind: "run.started"; runbook: string; plan: boolean; target: string; steps: number }
  | { kind: "run.resumed"; runbook: string }
  /** Something that only matters to whoever wants to know all. */
  | { kind: "run.log"; message: string }
  | { kind: "lock.waiting"; holder: string }
  /** `item` names the item of a loop. */
  | { kind: "step.started"; path: string; id: string; type: string; depth: number; item?: string }
  | { kind: "step.retrying"; path: string; attempt: number; delay_ms: number; error: ErrorRecord }
  | { kind: "step.log"; path: string; level: "info" | "warn"; message: string }
  /** The progress; any part of it may be unknown. At most five events of one step in a second. */
  | ({ kind: "step.progress"; path: string } & Required<Progress>)
  | ({ kind: "step.finished"; path: string; id: string; type: string } & Pick<
      StepResult,
      "status" | "changed" | "duration_ms" | "error"
    >)
  | { kind: "undo.started"; path: string }
  | { kind: "undo.finished"; path: string; error: ErrorRecord | null }
  | { kind: "run.interrupting"; signal: string; forced: boolean }
  | { kind: "run.finished"; status: RunStatus; exit: number; duration_ms: number }
);

export type Listener = (event: Event) => void;

export interface Envelope {
  success: boolean;
  timestamp: string;
  command: string;
  data: Json;
  error: (ErrorRecord & { run?: Json }) | null;
}
