import type { ErrorRecord, Event, Listener } from "../types.ts";
import { paint, type Paint } from "./color.ts";
import { handle, type Handlers } from "./handlers.ts";
import { RUN_MARKS, STEP_MARKS } from "./marks.ts";
import { progressLimit, progressText } from "./progress.ts";
import { count, duration, singleLine } from "./text.ts";

export interface PlainOptions {
  color?: boolean;
  /** Says all that happens: the time of each event, what each step type does, and what only matters to those who ask. */
  verbose?: {
    /** The summary of a step type. */
    summaryOf(type: string): string | undefined;
  };
}

/** Writes one line per event, for a stderr that is not a terminal. */
export function plainView(write: (text: string) => unknown, options: PlainOptions = {}): Listener {
  const { verbose } = options;
  const p = paint(options.color ?? false);
  const lines = describers(p, (type) => verbose?.summaryOf(type));
  const isDue = progressLimit();
  return (event) => {
    if (event.kind === "run.log" && !verbose) return;
    if (event.kind === "step.progress" && !isDue(event)) return;
    const stamp = verbose ? `${p.dim(event.at.slice(11, 23))} ` : "";
    write(`${stamp}${handle(lines, event)}\n`);
  };
}

function describers(p: Paint, summaryOf: (type: string) => string | undefined): Handlers<string> {
  const failure = (error: ErrorRecord | null) =>
    error === null
      ? ""
      : `: ${singleLine(error.message)}${error.hint === null ? "" : ` (${singleLine(error.hint)})`}`;
  return {
    "run.started": (e) =>
      `${p.bold(singleLine(e.runbook))}${e.target === "none" ? "" : ` on ${singleLine(e.target)}`}${e.plan ? ", plan only" : ""}, ${count(e.steps, "step")}, run ${e.run}`,
    "run.resumed": (e) => `${p.bold(singleLine(e.runbook))} resumed, run ${e.run}`,
    "run.log": (e) => p.dim(singleLine(e.message)),
    "lock.waiting": (e) => `waiting for the lock held by ${singleLine(e.holder)}`,
    "step.started": (e) => {
      const summary = summaryOf(e.type);
      const what = summary === undefined ? e.type : `${e.type}: ${summary}`;
      const item = e.item === undefined ? "" : ` for ${singleLine(e.item)}`;
      return `${p.dim("start")} ${singleLine(e.path)}${item} (${what})`;
    },
    "step.retrying": (e) =>
      `${p.yellow("retry")} ${singleLine(e.path)} attempt ${e.attempt} in ${duration(e.delay_ms)}${failure(e.error)}`,
    "step.log": (e) =>
      `${e.level === "warn" ? p.yellow("warn") : p.dim("info")} ${singleLine(e.path)}: ${singleLine(e.message)}`,
    "step.progress": (e) => `${p.dim("at")} ${singleLine(e.path)}: ${progressText(e)}`,
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

/** Says the effect of this interrupt, and that of a second one. */
export function interruption(event: Extract<Event, { kind: "run.interrupting" }>): string {
  return event.forced
    ? `${event.signal}: stopping now; child processes are killed`
    : `${event.signal}: the step ends, and the run is undone; a second signal stops at once`;
}
