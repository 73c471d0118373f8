/** What a step is given: all that it needs of the world stands in its context. */
import type { Json, JsonObject } from "../json.ts";
import type { Library } from "./document.ts";
import type { Progress } from "./result.ts";
import type { Target } from "./target.ts";

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
  /** `readOnly`: of a plan, and where nothing but reads were asked for; then nothing is written that is to be rolled back, either. */
  readonly run: {
    id: string;
    runbook: string;
    plan: boolean;
    readOnly: boolean;
    stateDir: string;
  };
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
  /**
   * Asks the person at the terminal to confirm, by a word to be typed where one is given; null when nobody is there. A run that waited for
   * this very question may be resumed with the answer.
   */
  ask(question: string, expect?: string): Promise<"terminal" | "resume" | false | null>;
}

/** The things that `ctx.use` hands out, by name. The providers add theirs to it: see providers/target/access.ts. */
export interface Access {}
