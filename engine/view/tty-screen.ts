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
