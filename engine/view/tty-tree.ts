import type { Event, StepStatus } from "../types.ts";
import type { Paint } from "./color.ts";
import type { Handlers } from "./handlers.ts";
import { RUN_MARKS, STEP_MARKS } from "./marks.ts";
import { interruption } from "./plain.ts";
import { progressText } from "./progress.ts";
import { duration, printable, singleLine } from "./text.ts";
import { Entries, type Entry } from "./tty-entries.ts";
import type { Screen } from "./tty-screen.ts";

type Of<K extends Event["kind"]> = Extract<Event, { kind: K }>;

/** Turns events into lines of the screen. */
export function ttyHandlers(screen: Screen, p: Paint): Handlers<void> {
  const tree = new Tree(screen, p);
  return {
    "run.started": (e) =>
      tree.note(
        `${p.bold(singleLine(e.runbook))}${e.target === "none" ? "" : ` on ${p.cyan(singleLine(e.target))}`}${e.plan ? p.yellow(" plan only") : ""} ${p.dim(e.run)}`,
      ),
    "run.resumed": (e) => tree.note(`${p.bold(singleLine(e.runbook))} resumed ${p.dim(e.run)}`),
    "run.log": () => {},
    "run.interrupting": (e) => tree.note(p.yellow(interruption(e))),
    "run.finished": (e) => tree.runFinished(e),
    "lock.waiting": (e) => tree.lockWaiting(e),
    "step.started": (e) => tree.stepStarted(e),
    "step.retrying": (e) => tree.stepRetrying(e),
    "step.log": (e) => tree.stepLog(e),
    "step.progress": (e) => tree.stepProgress(e),
    "step.finished": (e) => tree.stepFinished(e),
    "undo.started": (e) => tree.undoStarted(e),
    "undo.finished": (e) => tree.undoFinished(e),
  };
}

class Tree {
  readonly #entries: Entries;
  readonly #undos = new Map<string, Entry>();
  readonly #paint: Paint;
  #undoing: Entry | undefined;
  #lockNote: Entry | undefined;

  constructor(screen: Screen, paint: Paint) {
    this.#entries = new Entries(screen, paint);
    this.#paint = paint;
  }

  note(text: string): void {
    this.#entries.note(text);
  }

  lockWaiting({ holder }: Of<"lock.waiting">): void {
    this.#lockNote ??= this.#entries.add("");
    this.#lockNote.line.set(`waiting for the lock held by ${singleLine(holder)}`);
  }

  stepStarted(e: Of<"step.started">): void {
    this.#lockNote?.line.live(false);
    const p = this.#paint;
    const type = e.id.startsWith(e.type.replaceAll(".", "_")) ? "" : ` ${p.dim(printable(e.type))}`;
    const item = e.item === undefined ? "" : ` ${p.cyan(singleLine(e.item))}`;
    const entry = this.#entries.addStep(e.path, (name) => `${name}${item}${type}`);
    this.#entries.open.set(e.path, entry);
  }

  stepRetrying(e: Of<"step.retrying">): void {
    const entry = this.#entries.open.get(e.path);
    if (entry === undefined) return;
    const retry = this.#paint.yellow(`attempt ${e.attempt} in ${duration(e.delay_ms)}`);
    this.#entries.retitle(entry, [`${retry}: ${singleLine(e.error.message)}`]);
  }

  stepLog(e: Of<"step.log">): void {
    const entry = this.#entries.open.get(e.path);
    if (entry === undefined) return;
    if (e.level === "warn") entry.warnings.push(singleLine(e.message));
    else entry.info = singleLine(e.message);
    this.#entries.retitle(entry, this.#info(entry));
  }

  stepProgress(e: Of<"step.progress">): void {
    const entry = this.#entries.open.get(e.path);
    if (entry === undefined) return;
    const text = progressText(e);
    this.#entries.retitle(entry, text === "" ? [] : [this.#paint.dim(text)]);
  }

  stepFinished(e: Of<"step.finished">): void {
    // A step that never started, because it was skipped, is first heard of here.
    const entry = this.#entries.open.get(e.path) ?? this.#entries.addStep(e.path);
    this.#entries.open.delete(e.path);
    const { mark, color } = STEP_MARKS[e.status];
    const said =
      e.status === "ok" ? (e.changed ? ["changed"] : []) : [e.status.replaceAll("_", " ")];
    const time = e.duration_ms < 1 && e.status === "skipped" ? [] : [duration(e.duration_ms)];
    const reason = e.error === null && !QUIET_INFO.has(e.status) ? this.#info(entry) : [];
    this.#entries.end(entry, {
      mark: this.#paint[color](mark),
      facts: [...time, ...said],
      extra: [...this.#entries.failure(e.error), ...reason],
      quiet: QUIET.has(e.status),
    });
  }

  undoStarted({ path }: Of<"undo.started">): void {
    this.#undoing ??= this.#entries.add(this.#paint.yellow("undo"));
    this.#undos.set(path, this.#entries.add(printable(path), this.#undoing));
  }

  undoFinished({ path, error }: Of<"undo.finished">): void {
    const entry = this.#undos.get(path);
    if (entry === undefined) return;
    this.#undos.delete(path);
    this.#entries.end(entry, {
      mark: error === null ? this.#paint.green("↩") : this.#paint.red("✖"),
      facts: [error === null ? "undone" : "undo failed"],
      extra: this.#entries.failure(error),
      quiet: false,
    });
  }

  runFinished(e: Of<"run.finished">): void {
    const p = this.#paint;
    this.#lockNote?.line.live(false);
    this.#undoing?.line.live(false);
    // A step that is still open was cut off by a forced stop.
    const cutOff = { mark: p.red("?"), facts: ["not finished"], extra: [], quiet: false };
    for (const entry of [...this.#entries.open.values()].toReversed())
      this.#entries.end(entry, cutOff);
    const { mark, color, said } = RUN_MARKS[e.status];
    this.note(
      `${p[color](`${mark} ${said}`)} ${p.dim(`in ${duration(e.duration_ms)}, exit ${e.exit}`)}`,
    );
  }

  /** The last line that a step logged. */
  #info({ info }: Entry): string[] {
    return info === "" ? [] : [this.#paint.dim(info)];
  }
}

const QUIET: ReadonlySet<StepStatus> = new Set(["ok", "skipped"]);
/** Statuses whose last log line was progress, not a reason. */
const QUIET_INFO: ReadonlySet<StepStatus> = new Set(["ok", "recovered"]);
