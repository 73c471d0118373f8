import type { ErrorRecord } from "../types.ts";
import type { Paint } from "./color.ts";
import { count, printable, singleLine } from "./text.ts";
import type { Line, Screen } from "./tty-screen.ts";

/** Ended children shown under one step; of a long loop only the latest stay. */
const MAX_CHILDREN = 20;

/** A step, or the undo of one, as it is shown. */
export interface Entry {
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

/** The end of an entry: its mark, facts beside its title, lines under it. */
interface End {
  mark: string;
  facts: string[];
  extra: string[];
  quiet: boolean;
}

/** The lines of the screen. Paths nest: `each/3/kill` stands under `each/3` or `each` while that is open. */
export class Entries {
  /** Steps that have not ended, by path. */
  readonly open = new Map<string, Entry>();
  readonly #screen: Screen;
  readonly #paint: Paint;

  constructor(screen: Screen, paint: Paint) {
    this.#screen = screen;
    this.#paint = paint;
  }

  add(title: string, parent?: Entry): Entry {
    const line = this.#screen.add(parent?.line);
    line.set(title);
    return { line, parent, title, ended: [], dropped: 0, info: "", warnings: [], quiet: true };
  }

  /** A line that never changes. */
  note(text: string): void {
    this.add(text).line.live(false);
  }

  /** A line for the step at `path`, under the nearest open step above it. `title` makes its title from its name there. */
  addStep(path: string, title: (name: string) => string = (name) => name): Entry {
    const [above, parent] = this.#above(path);
    return this.add(title(printable(above === "" ? path : path.slice(above.length + 1))), parent);
  }

  /** Shows its title anew, with its warnings and `extra` under it. */
  retitle(entry: Entry, extra: string[] = []): void {
    const warnings = entry.warnings.map((text) => this.#paint.yellow(`▲ ${text}`));
    entry.line.set([entry.title, ...warnings, ...extra].join("\n"));
  }

  /** Ends a line, and lets its parent forget the oldest child that nobody needs to see. */
  end(entry: Entry, { mark, facts, extra, quiet }: End): void {
    entry.quiet = quiet && entry.warnings.length === 0 && entry.ended.every((child) => child.quiet);
    for (const child of entry.ended.filter(({ quiet }) => quiet)) this.#drop(child, entry);
    const hidden = entry.quiet ? count(entry.dropped, "step") : notShown(entry);
    const tail = entry.dropped === 0 ? facts : [...facts, hidden];
    const beside = tail.length === 0 ? "" : ` ${this.#paint.dim(tail.join(", "))}`;
    entry.title = `${mark} ${entry.title}${beside}`;
    this.retitle(entry, extra);
    entry.line.live(false);
    const { parent } = entry;
    if (parent === undefined) return;
    parent.ended.push(entry);
    if (parent.ended.length <= MAX_CHILDREN) return;
    this.#drop(parent.ended.find((child) => child.quiet) ?? entry, parent);
    this.retitle(parent, [this.#paint.dim(notShown(parent))]);
  }

  /** The lines for an error. */
  failure(error: ErrorRecord | null): string[] {
    if (error === null) return [];
    const hint = error.hint === null ? [] : [this.#paint.dim(`→ ${singleLine(error.hint)}`)];
    return [this.#paint.red(singleLine(error.message)), ...hint];
  }

  #above(path: string): [string, Entry | undefined] {
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const entry = this.open.get(path.slice(0, end));
      if (entry !== undefined) return [path.slice(0, end), entry];
    }
    return ["", undefined];
  }

  #drop(child: Entry, parent: Entry): void {
    parent.ended = parent.ended.filter((other) => other !== child);
    parent.dropped += 1;
    this.#screen.remove(child.line, parent.line);
  }
}

function notShown(entry: Entry): string {
  return `${entry.dropped} more not shown`;
}
