import type { ErrorRecord, StepStatus } from "../types.ts";
import type { Paint } from "./color.ts";
import type { Handlers } from "./handlers.ts";
import { RUN_MARKS, STEP_MARKS } from "./marks.ts";
import { interruption } from "./plain.ts";
import { progressText } from "./progress.ts";
import { count, duration, printable, singleLine } from "./text.ts";
import type { Line, Screen } from "./tty-screen.ts";

/** Ended children shown under one step; of a long loop only the latest stay. */
const MAX_CHILDREN = 20;

/** A step, or the undo of one, as it is shown. */
interface Entry {
  line: Line;
  parent: Entry | undefined;
  title: string;
  /** Children that ended, and how many of them are no longer shown. */
  ended: Entry[];
  dropped: number;
  /** The last thing it logged: its progress while it runs, its reason when it is skipped. */
  info: string;
  warnings: string[];
  /** Ended as wished, with nothing in it that a person should read. */
  quiet: boolean;
}

/** Turns events into lines of the screen. Paths nest: `each/3/kill` stands under `each/3` or `each` while that is open. */
export function ttyHandlers(screen: Screen, p: Paint): Handlers<void> {
  const open = new Map<string, Entry>();
  const undos = new Map<string, Entry>();
  let undoing: Entry | undefined;
  let lockNote: Entry | undefined;

  const add = (title: string, parent?: Entry): Entry => {
    const line = screen.add(parent?.line);
    line.set(title);
    return { line, parent, title, ended: [], dropped: 0, info: "", warnings: [], quiet: true };
  };
  const note = (text: string): Entry => {
    const entry = add(text);
    entry.line.live(false);
    return entry;
  };
  const retitle = (entry: Entry, extra: string[] = []) =>
    entry.line.set(
      [entry.title, ...entry.warnings.map((text) => p.yellow(`▲ ${text}`)), ...extra].join("\n"),
    );
  const above = (path: string): [string, Entry] | undefined => {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const entry = open.get(path.slice(0, end));
      if (entry !== undefined) return [path.slice(0, end), entry];
    }
    return undefined;
  };
  const failure = (error: ErrorRecord | null): string[] => {
    if (error === null) return [];
    const hint = error.hint === null ? [] : [p.dim(`→ ${singleLine(error.hint)}`)];
    return [p.red(singleLine(error.message)), ...hint];
  };
  const drop = (child: Entry, parent: Entry) => {
    parent.ended = parent.ended.filter((other) => other !== child);
    parent.dropped += 1;
    screen.remove(child.line, parent.line);
  };
  const notShown = (entry: Entry) => `${entry.dropped} more not shown`;
  /** Ends a line, and lets its parent forget the oldest child that nobody needs to see. */
  const end = (entry: Entry, mark: string, facts: string[], extra: string[], quiet: boolean) => {
    entry.quiet = quiet && entry.warnings.length === 0 && entry.ended.every((child) => child.quiet);
    for (const child of entry.ended.filter(({ quiet }) => quiet)) drop(child, entry);
    const tail =
      entry.dropped === 0
        ? facts
        : [...facts, entry.quiet ? count(entry.dropped, "step") : notShown(entry)];
    entry.title = `${mark} ${entry.title}${tail.length === 0 ? "" : ` ${p.dim(tail.join(", "))}`}`;
    retitle(entry, extra);
    entry.line.live(false);
    const { parent } = entry;
    if (parent === undefined) return;
    parent.ended.push(entry);
    if (parent.ended.length <= MAX_CHILDREN) return;
    const old = parent.ended.find((child) => child.quiet) ?? entry;
    drop(old, parent);
    retitle(parent, [p.dim(notShown(parent))]);
  };

  return {
    "run.started": (e) =>
      void note(
        `${p.bold(singleLine(e.runbook))} on ${p.cyan(singleLine(e.target))}${e.plan ? p.yellow(" plan only") : ""} ${p.dim(e.run)}`,
      ),
    "run.resumed": (e) => void note(`${p.bold(singleLine(e.runbook))} resumed ${p.dim(e.run)}`),
    "run.log": () => {},
    "lock.waiting": (e) => {
      lockNote ??= add("");
      lockNote.line.set(`waiting for the lock held by ${singleLine(e.holder)}`);
    },
    "step.started": (e) => {
      lockNote?.line.live(false);
      const parent = above(e.path);
      const name = printable(parent === undefined ? e.path : e.path.slice(parent[0].length + 1));
      const type = e.id.startsWith(e.type.replaceAll(".", "_"))
        ? ""
        : ` ${p.dim(printable(e.type))}`;
      const item = e.item === undefined ? "" : ` ${p.cyan(singleLine(e.item))}`;
      open.set(e.path, add(`${name}${item}${type}`, parent?.[1]));
    },
    "step.retrying": (e) => {
      const entry = open.get(e.path);
      if (entry === undefined) return;
      const retry = p.yellow(`attempt ${e.attempt} in ${duration(e.delay_ms)}`);
      retitle(entry, [`${retry}: ${singleLine(e.error.message)}`]);
    },
    "step.log": (e) => {
      const entry = open.get(e.path);
      if (entry === undefined) return;
      if (e.level === "warn") entry.warnings.push(singleLine(e.message));
      else entry.info = singleLine(e.message);
      retitle(entry, entry.info === "" ? [] : [p.dim(entry.info)]);
    },
    "step.progress": (e) => {
      const entry = open.get(e.path);
      if (entry === undefined) return;
      const text = progressText(e);
      retitle(entry, text === "" ? [] : [p.dim(text)]);
    },
    "step.finished": (e) => {
      // A step that never started, because it was skipped, is first heard of here.
      const parent = above(e.path);
      const entry =
        open.get(e.path) ??
        add(
          printable(parent === undefined ? e.path : e.path.slice(parent[0].length + 1)),
          parent?.[1],
        );
      open.delete(e.path);
      const { mark, color } = STEP_MARKS[e.status];
      const said =
        e.status === "ok" ? (e.changed ? ["changed"] : []) : [e.status.replaceAll("_", " ")];
      const time = e.duration_ms < 1 && e.status === "skipped" ? [] : [duration(e.duration_ms)];
      const reason =
        e.error === null && !QUIET_INFO.has(e.status) && entry.info !== ""
          ? [p.dim(entry.info)]
          : [];
      end(
        entry,
        p[color](mark),
        [...time, ...said],
        [...failure(e.error), ...reason],
        QUIET.has(e.status),
      );
    },
    "undo.started": (e) => {
      undoing ??= add(p.yellow("undo"));
      undos.set(e.path, add(printable(e.path), undoing));
    },
    "undo.finished": (e) => {
      const entry = undos.get(e.path);
      if (entry === undefined) return;
      undos.delete(e.path);
      end(
        entry,
        e.error === null ? p.green("↩") : p.red("✖"),
        [e.error === null ? "undone" : "undo failed"],
        failure(e.error),
        false,
      );
    },
    "run.interrupting": (e) => void note(p.yellow(interruption(e))),
    "run.finished": (e) => {
      lockNote?.line.live(false);
      undoing?.line.live(false);
      // A step that is still open was cut off by a forced stop.
      for (const entry of [...open.values()].toReversed())
        end(entry, p.red("?"), ["not finished"], [], false);
      const { mark, color, said } = RUN_MARKS[e.status];
      note(
        `${p[color](`${mark} ${said}`)} ${p.dim(`in ${duration(e.duration_ms)}, exit ${e.exit}`)}`,
      );
    },
  };
}

const QUIET: ReadonlySet<StepStatus> = new Set(["ok", "skipped"]);
/** Statuses whose last log line was progress, not a reason. */
const QUIET_INFO: ReadonlySet<StepStatus> = new Set(["ok", "recovered"]);
