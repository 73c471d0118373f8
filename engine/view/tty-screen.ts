import type { Paint } from "./color.ts";
import { elapsed, wrap, width } from "./text.ts";

export interface TtyStream {
  write(text: string): unknown;
  columns?: number | undefined;
  rows?: number | undefined;
}

/** One line of the tree. */
export interface Line {
  /** Text after the mark; further lines stand indented under it. */
  set(text: string): void;
  /** While it is live a spinner stands before it, and after a second the time that has gone by. */
  live(live: boolean): void;
}

export interface Screen {
  add(parent?: Line): Line;
  /** Takes a line out from under its parent. */
  remove(line: Line, parent: Line): void;
  /** Draws the last state and stops. */
  end(): Promise<void>;
}

const FRAME_MS = 100;
/** A step that ends sooner shows no time while it runs. */
const MIN_SHOWN_MS = 1_000;

/** Opens listr2's default renderer on `stderr`, fed by hand instead of by running tasks. */
export async function openScreen(stderr: TtyStream, p: Paint, now: () => number): Promise<Screen> {
  const {
    DefaultRenderer,
    Listr,
    ListrEventManager,
    ListrLogger,
    ListrTaskState,
    ProcessOutput,
    Spinner,
  } = await import("listr2");

  const spinner = new Spinner();
  const columns = () => stderr.columns ?? 80;
  /** Called before each frame, to bring the times of live lines up to date. */
  const live = new Set<() => void>();

  /** Draws on stderr by its own width. The stock one asks stdout for its width, takes over the streams' `write` and, through
   * its updater, hides the cursor with exit and signal handlers of its own. */
  class StderrRenderer extends DefaultRenderer {
    static override nonTTY = true;
    private drawn: string[] = [];
    private timer: ReturnType<typeof setInterval> | undefined;

    override async render(): Promise<void> {
      this.timer = setInterval(() => {
        spinner.spin();
        this.update();
      }, FRAME_MS);
      this.timer.unref();
    }

    override update(): void {
      for (const refresh of live) refresh();
      const lines = this.create().split("\n");
      // Lines beyond the terminal's height can't be erased again, so only the end is drawn while it lives.
      this.draw(lines.slice(-Math.max(1, (stderr.rows ?? 24) - 1)));
    }

    override end(): void {
      clearInterval(this.timer);
      this.draw(this.create().split("\n"));
      this.drawn = [];
    }

    override format(message: string, icon: string, level: number): string[] {
      const margin = " ".repeat(level * 2);
      return message.split("\n").flatMap((line, n) =>
        // Some cells are left free: a full last column makes terminals wrap in different ways.
        wrap(line, Math.max(10, columns() - level * 2 - 3)).map((part, m) =>
          n + m === 0 ? `${margin}${icon ? `${icon} ` : ""}${part}` : `${margin}  ${part}`,
        ),
      );
    }

    private draw(lines: string[]): void {
      const shown = lines.length === 1 && lines[0] === "" ? [] : lines;
      if (shown.length === this.drawn.length && shown.every((line, n) => line === this.drawn[n]))
        return;
      // A terminal made narrower has broken the lines that were drawn wider.
      const rows = this.drawn.reduce(
        (sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns())),
        0,
      );
      const erase = rows === 0 ? "" : `\x1b[${rows}A\r\x1b[J`;
      stderr.write(erase + shown.map((line) => `${line}\n`).join(""));
      this.drawn = shown;
    }
  }

  // Never run: it only makes tasks, so that it must not listen for signals either.
  const list = new Listr<undefined>([], { registerSignalListeners: false, exitOnError: false });
  type Task = (typeof list.tasks)[number];
  const tasks = new WeakMap<Line, Task>();

  const renderer = new StderrRenderer(
    // The renderer's type leaves open which renderer would be the fallback; the list's names one.
    list.tasks as unknown as ConstructorParameters<typeof DefaultRenderer>[0],
    {
      spinner,
      logger: new ListrLogger({
        processOutput: new ProcessOutput(
          stderr as NodeJS.WriteStream,
          stderr as NodeJS.WriteStream,
        ),
      }),
      collapseSubtasks: false,
      // The mark of what has ended is part of its text, as listr2 knows fewer ways to end than a step has.
      icon: { COMPLETED: "", PENDING: "❯" },
      color: { PENDING: (text = "") => p.yellow(text) },
    },
    new ListrEventManager(),
  );
  await renderer.render();

  const add = (parent?: Line): Line => {
    const above = parent === undefined ? undefined : tasks.get(parent);
    const owner =
      above === undefined
        ? list
        : new Listr<undefined>([], { registerSignalListeners: false, exitOnError: false }, above);
    owner.add({ title: " ", task: () => undefined });
    const task = owner.tasks.at(-1);
    if (task === undefined) throw new Error("listr2 made no task");
    if (above !== undefined) above.subtasks = [...(above.subtasks ?? []), task];
    void task.check(undefined);
    task.state = ListrTaskState.STARTED;
    const begun = now();
    let shown = "";
    const refresh = () => {
      const gone = now() - begun;
      if (gone < MIN_SHOWN_MS) return;
      const [first = "", ...rest] = shown.split("\n");
      task.title = [`${first} ${p.dim(elapsed(gone))}`, ...rest].join("\n");
    };
    live.add(refresh);
    const line: Line = {
      set(text) {
        shown = text;
        task.title = text;
      },
      live(on) {
        task.state = on ? ListrTaskState.STARTED : ListrTaskState.COMPLETED;
        if (on) live.add(refresh);
        else live.delete(refresh);
        task.title = shown;
      },
    };
    tasks.set(line, task);
    return line;
  };

  return {
    add,
    remove(line, parent) {
      const above = tasks.get(parent);
      if (above !== undefined)
        above.subtasks = above.subtasks.filter((task) => task !== tasks.get(line));
    },
    async end() {
      // listr2 shows a task a tick after it was made.
      await Promise.resolve();
      await Promise.resolve();
      renderer.end();
    },
  };
}
