import {
  DefaultRenderer,
  Listr,
  ListrEventManager,
  ListrLogger,
  ListrTaskState,
  ProcessOutput,
  Spinner,
} from "listr2";
import type { Paint } from "./color.ts";
import { elapsed, width, wrap } from "./text.ts";
import type { Line, Screen, TtyStream } from "./tty-screen.ts";

const FRAME_MS = 100;
/** A step that ends sooner shows no time while it runs. */
const MIN_SHOWN_MS = 1_000;

type List = Listr<undefined>;
type Task = List["tasks"][number];

/** Opens listr2's default renderer on `stderr`, fed by hand instead of by running tasks. */
export async function openScreen(stderr: TtyStream, p: Paint, now: () => number): Promise<Screen> {
  const screen = new ListrScreen(stderr, p, now);
  await screen.renderer.render();
  return screen;
}

class ListrScreen implements Screen {
  readonly renderer: StderrRenderer;
  readonly #list = newList();
  readonly #tasks = new WeakMap<Line, Task>();
  /** Bring the times of live lines up to date, before each frame. */
  readonly #live = new Set<() => void>();
  readonly #paint: Paint;
  readonly #now: () => number;

  constructor(stderr: TtyStream, paint: Paint, now: () => number) {
    this.#paint = paint;
    this.#now = now;
    this.renderer = newRenderer(this.#list, stderr, paint, () => {
      for (const refresh of this.#live) refresh();
    });
  }

  add(parent?: Line): Line {
    const task = this.#newTask(parent === undefined ? undefined : this.#tasks.get(parent));
    const begun = this.#now();
    let shown = "";
    const refresh = () => {
      const gone = this.#now() - begun;
      if (gone < MIN_SHOWN_MS) return;
      const [first = "", ...rest] = shown.split("\n");
      task.title = [`${first} ${this.#paint.dim(elapsed(gone))}`, ...rest].join("\n");
    };
    this.#live.add(refresh);
    const line: Line = {
      set(text) {
        shown = text;
        task.title = text;
      },
      live: (on) => {
        task.state = on ? ListrTaskState.STARTED : ListrTaskState.COMPLETED;
        if (on) this.#live.add(refresh);
        else this.#live.delete(refresh);
        task.title = shown;
      },
    };
    this.#tasks.set(line, task);
    return line;
  }

  remove(line: Line, parent: Line): void {
    const above = this.#tasks.get(parent);
    const task = this.#tasks.get(line);
    if (above !== undefined) above.subtasks = above.subtasks.filter((other) => other !== task);
  }

  async end(): Promise<void> {
    // listr2 shows a task a tick after it was made.
    await Promise.resolve();
    await Promise.resolve();
    this.renderer.end();
  }

  #newTask(above: Task | undefined): Task {
    const owner = above === undefined ? this.#list : newList(above);
    owner.add({ title: " ", task: () => undefined });
    const task = owner.tasks.at(-1);
    if (task === undefined) throw new Error("listr2 made no task");
    if (above !== undefined) above.subtasks = [...(above.subtasks ?? []), task];
    void task.check(undefined);
    task.state = ListrTaskState.STARTED;
    return task;
  }
}

/** A list that is never run: it only makes tasks, so it must not listen for signals either. */
function newList(above?: Task): List {
  return new Listr<undefined>([], { registerSignalListeners: false, exitOnError: false }, above);
}

function newRenderer(
  list: List,
  stderr: TtyStream,
  p: Paint,
  beforeFrame: () => void,
): StderrRenderer {
  const stream = stderr as NodeJS.WriteStream;
  return new StderrRenderer(
    // The renderer's type leaves open which renderer would be the fallback; the list's names one.
    list.tasks as unknown as ConstructorParameters<typeof DefaultRenderer>[0],
    {
      spinner: new Spinner(),
      logger: new ListrLogger({ processOutput: new ProcessOutput(stream, stream) }),
      collapseSubtasks: false,
      // The mark of a step that has ended is part of its text, as listr2 knows fewer ways to end than a step has.
      icon: { COMPLETED: "", PENDING: "❯" },
      color: { PENDING: (text = "") => p.yellow(text) },
    },
    { stderr, beforeFrame },
  );
}

/** Draws on stderr by its own width. The stock one asks stdout for its width, takes over the streams' `write` and, through
 * its updater, hides the cursor with exit and signal handlers of its own. */
class StderrRenderer extends DefaultRenderer {
  static override nonTTY = true;
  readonly #stderr: TtyStream;
  readonly #beforeFrame: () => void;
  readonly #spinner: Spinner;
  #drawn: string[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    tasks: ConstructorParameters<typeof DefaultRenderer>[0],
    options: ConstructorParameters<typeof DefaultRenderer>[1] & { spinner: Spinner },
    { stderr, beforeFrame }: { stderr: TtyStream; beforeFrame: () => void },
  ) {
    super(tasks, options, new ListrEventManager());
    this.#stderr = stderr;
    this.#beforeFrame = beforeFrame;
    this.#spinner = options.spinner;
  }

  override async render(): Promise<void> {
    this.#timer = setInterval(() => {
      this.#spinner.spin();
      this.update();
    }, FRAME_MS);
    this.#timer.unref();
  }

  override update(): void {
    this.#beforeFrame();
    const lines = this.create().split("\n");
    // Lines beyond the terminal's height can't be erased again, so only the end is drawn while it lives.
    this.#draw(lines.slice(-Math.max(1, (this.#stderr.rows ?? 24) - 1)));
  }

  override end(): void {
    clearInterval(this.#timer);
    this.#draw(this.create().split("\n"));
    this.#drawn = [];
  }

  override format(message: string, icon: string, level: number): string[] {
    const margin = " ".repeat(level * 2);
    return message.split("\n").flatMap((line, n) =>
      // Some cells are left free: a full last column makes terminals wrap in different ways.
      wrap(line, Math.max(10, this.#columns() - level * 2 - 3)).map((part, m) =>
        n + m === 0 ? `${margin}${icon ? `${icon} ` : ""}${part}` : `${margin}  ${part}`,
      ),
    );
  }

  #columns(): number {
    return this.#stderr.columns ?? 80;
  }

  #draw(lines: string[]): void {
    const shown = lines.length === 1 && lines[0] === "" ? [] : lines;
    const drawn = this.#drawn;
    if (shown.length === drawn.length && shown.every((line, n) => line === drawn[n])) return;
    // A terminal made narrower has broken the lines that were drawn wider.
    const rows = drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(width(line) / this.#columns())),
      0,
    );
    const erase = rows === 0 ? "" : `\x1b[${rows}A\r\x1b[J`;
    this.#stderr.write(erase + shown.map((line) => `${line}\n`).join(""));
    this.#drawn = shown;
  }
}
