import type { Event, Listener } from "../types.ts";
import type { Paint } from "./color.ts";
import { paint } from "./color.ts";
import type { Screen, TtyStream } from "./tty-screen.ts";
import { ttyHandlers } from "./tty-tree.ts";
import { handle } from "./handlers.ts";

export interface TtyView {
  listener: Listener;
  /** Draws the last state, stops the timer and gives the terminal back. Await it before the envelope is printed. */
  close(): Promise<void>;
}

/**
 * A tree of steps on a terminal, redrawn in place by listr2. It only draws: it runs nothing, registers no signal or exit
 * handler, hides no cursor, and its timer keeps no process alive. Ends by itself when the run is finished.
 */
export function openTtyView(
  stderr: TtyStream,
  color = true,
  now: () => number = () => performance.now(),
): TtyView {
  const p: Paint = paint(color);
  // Events that come while listr2 is being loaded wait here.
  let waiting: Event[] = [];
  let show = (event: Event): unknown => waiting.push(event);
  let closing: Promise<void> | undefined;

  const opened: Promise<Screen> = import("./tty-listr.ts").then(async ({ openScreen }) => {
    const screen = await openScreen(stderr, p, now);
    const handlers = ttyHandlers(screen, p);
    show = (event) => handle(handlers, event);
    for (const event of waiting) show(event);
    waiting = [];
    return screen;
  });
  const close = () => (closing ??= opened.then((screen) => screen.end()));

  return {
    listener(event) {
      if (closing !== undefined) return;
      show(event);
      if (event.kind === "run.finished") void close();
    },
    close,
  };
}
