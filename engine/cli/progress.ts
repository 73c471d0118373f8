import { closeSync, constants, openSync, writeSync } from "node:fs";
import { PgdbaError, toPgdbaError } from "../errors.ts";
import { assertReplaceable, fileError } from "../shared/write-file.ts";
import type { Listener, StepRegistry } from "../types.ts";
import type { Front } from "./front.ts";
import type { Parsed } from "./args.ts";

export interface Progress {
  listener: Listener;
  close(): Promise<void>;
}

/** The views of a run's events: a live tree or plain lines on stderr, and NDJSON in the file of `--events`. */
export async function openProgress(
  front: Front,
  flags: Parsed["flags"],
  registry: StepRegistry,
): Promise<Progress> {
  const listeners: Listener[] = [];
  const closers: (() => Promise<void> | void)[] = [];
  if (!flags["quiet"] || flags["verbose"]) {
    const { streamStyle } = await import("../view/color.ts");
    const style = streamStyle(front.stderr, front.env);
    if (style.live && !flags["verbose"]) {
      const { openTtyView } = await import("../view/tty.ts");
      const view = openTtyView(front.stderr as never, style.color, front.clock.monotonic);
      listeners.push(view.listener);
      closers.push(() => view.close());
    } else {
      const { plainView } = await import("../view/plain.ts");
      const verbose = flags["verbose"] ? { summaryOf: await summaries(registry) } : undefined;
      const options = { color: style.color, ...(verbose ? { verbose } : {}) };
      listeners.push(plainView((text) => front.stderr.write(text), options));
    }
  }
  const file = flags["events"];
  if (typeof file === "string") {
    const { ndjsonView } = await import("../view/ndjson.ts");
    const fd = await openEvents(file);
    listeners.push(ndjsonView((text) => writeSync(fd, text)));
    closers.push(() => closeSync(fd));
  }
  return {
    listener(event) {
      for (const [index, listener] of listeners.entries()) {
        try {
          listener(event);
        } catch (thrown) {
          // A view that can't write any more must not stop the run it shows.
          listeners[index] = () => {};
          front.stderr.write(`Progress can't be written: ${toPgdbaError(thrown).message}\n`);
        }
      }
    },
    async close() {
      for (const close of closers) await close();
    },
  };
}

async function summaries(registry: StepRegistry): Promise<(type: string) => string | undefined> {
  const known = new Map<string, string>();
  for (const name of registry.names()) {
    // A type that can't be loaded is reported by the run that needs it.
    const type = await registry.get(name).catch(() => undefined);
    if (type) known.set(name, type.summary);
  }
  return (type) => known.get(type);
}

async function openEvents(file: string): Promise<number> {
  try {
    await assertReplaceable(file);
    const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
    // It may have become a FIFO since; without O_NONBLOCK, opening one waits for a reader.
    return openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (thrown) {
    const { message, hint } = fileError(file, thrown);
    throw new PgdbaError("usage", `--events can't write to ${file}: ${message}`, {
      cause: thrown,
      hint,
    });
  }
}
