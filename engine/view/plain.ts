import type { ErrorRecord, Event, Listener } from "../types.ts";
import { paint, type Paint } from "./color.ts";
import { handle, type Handlers } from "./handlers.ts";
import { RUN_MARKS, STEP_MARKS } from "./marks.ts";
import { duration, singleLine } from "./text.ts";

export interface PlainOptions {
  color?: boolean;
  /** Puts the time of the event before each line. */
  timestamps?: boolean;
}

/** Writes one line per event, for a stderr that is not a terminal. */
export function plainView(write: (text: string) => unknown, options: PlainOptions = {}): Listener {
  const lines = describers(paint(options.color ?? false));
  return (event) => {
    const stamp = options.timestamps ? `${event.at} ` : "";
    write(`${stamp}${handle(lines, event)}\n`);
  };
}

function describers(p: Paint): Handlers<string> {
  const failure = (error: ErrorRecord | null) =>
    error === null
      ? ""
      : `: ${singleLine(error.message)}${error.hint === null ? "" : ` (${singleLine(error.hint)})`}`;
  return {
    "run.started": (e) =>
      `${p.bold(singleLine(e.runbook))} on ${singleLine(e.target)}${e.plan ? ", plan only" : ""}, ${count(e.steps, "step")}, run ${e.run}`,
    "run.resumed": (e) => `${p.bold(singleLine(e.runbook))} resumed, run ${e.run}`,
    "lock.waiting": (e) => `waiting for the lock held by ${singleLine(e.holder)}`,
    "step.started": (e) => `${p.dim("start")} ${singleLine(e.path)} (${e.type})`,
    "step.retrying": (e) =>
      `${p.yellow("retry")} ${singleLine(e.path)} attempt ${e.attempt} in ${duration(e.delay_ms)}${failure(e.error)}`,
    "step.log": (e) =>
      `${e.level === "warn" ? p.yellow("warn") : p.dim("info")} ${singleLine(e.path)}: ${singleLine(e.message)}`,
    "step.finished": (e) =>
      `${p[STEP_MARKS[e.status].color](e.status)} ${singleLine(e.path)} (${e.type}) ${duration(e.duration_ms)}${failure(e.error)}`,
    "undo.started": (e) => `${p.dim("undo")} ${singleLine(e.path)}`,
    "undo.finished": (e) =>
      `${e.error === null ? p.green("undone") : p.red("undo failed")} ${singleLine(e.path)}${failure(e.error)}`,
    "run.interrupting": (e) => p.yellow(interruption(e)),
    "run.finished": (e) => {
      const { color, said } = RUN_MARKS[e.status];
      return `${p[color](said)} in ${duration(e.duration_ms)}, exit ${e.exit}`;
    },
  };
}

/** What an interrupt does now, and what a second one would do. */
export function interruption(event: Extract<Event, { kind: "run.interrupting" }>): string {
  return event.forced
    ? `${event.signal}: stopping now, children are killed`
    : `${event.signal}: ending the step and unwinding; once more to stop at once`;
}

export function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}
