import type { Sink } from "../types.ts";
import { partsUntil, untilAborted } from "./until.ts";

export interface Reading {
  /** Settles at the stream's end, or once it was stopped. Rejects with what a sink threw. */
  done: Promise<void>;
  /** When something last came, or was handed out, ms of the monotonic clock; infinite while a sink is at work. */
  lastAt(): number;
  stop(): void;
  truncated(): boolean;
  text(): string;
}

/** Reads `stream` to its end, keeping the first or the last `maxBytes`. */
export function capture(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
  keep: "head" | "tail",
): Reading {
  let buffer = new Uint8Array(0);
  let length = 0;
  let total = 0;
  const append = (bytes: Uint8Array) => {
    if (length + bytes.length > buffer.length) {
      const larger = new Uint8Array(Math.max(length + bytes.length, buffer.length * 2));
      larger.set(buffer.subarray(0, length));
      buffer = larger;
    }
    buffer.set(bytes, length);
    length += bytes.length;
  };
  const add = (chunk: Uint8Array) => {
    total += chunk.length;
    if (keep === "head") return append(chunk.subarray(0, maxBytes - length));
    const last = chunk.subarray(-maxBytes);
    const room = maxBytes - last.length;
    // The tail is moved only when twice the limit is full, so that many small chunks cost no more than a large one.
    if (length > room && length + last.length > 2 * maxBytes) {
      buffer.copyWithin(0, length - room, length);
      length = room;
    }
    append(last);
  };
  return {
    ...handOut(stream, add),
    truncated: () => total > maxBytes,
    text() {
      const bytes = buffer.subarray(keep === "tail" ? Math.max(0, length - maxBytes) : 0, length);
      // As a stream, so that a character cut in half at the limit is dropped, not garbled.
      return new TextDecoder().decode(bytes, { stream: keep === "head" && total > maxBytes });
    },
  };
}

/** Hands `stream` out as it comes and keeps nothing. The next bytes are read when the sink has taken the last. */
export function handOver(stream: ReadableStream<Uint8Array>, sink: Sink): Reading {
  return { ...handOut(stream, sink), truncated: () => false, text: () => "" };
}

function handOut(
  stream: ReadableStream<Uint8Array>,
  sink: Sink,
): Pick<Reading, "done" | "lastAt" | "stop"> {
  const reader = stream.getReader();
  let lastAt = performance.now();
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      return (await reader.read()).value;
    } catch {
      // A pipe that broke has nothing more to say; the exit code tells the rest.
      return undefined;
    }
  };
  const done = (async () => {
    for (let bytes = await next(); bytes !== undefined; bytes = await next()) {
      lastAt = Infinity;
      await sink(bytes);
      lastAt = performance.now();
    }
  })();
  // Those who wait for it get the error; until then it must not count as an unhandled rejection.
  done.catch(() => {});
  return {
    done,
    lastAt: () => lastAt,
    stop: () => void reader.cancel().catch(() => {}),
  };
}

/** The standard input of a child, from our side. */
interface Pipe {
  write(bytes: Uint8Array): number | Promise<number>;
  flush(): number | Promise<number>;
  end(): unknown;
}

/**
 * Writes all of `content` to `pipe` as fast as it is read there, and ends it. A reader that stops reading is no error.
 * Rejects with what `content` threw; the pipe is ended then as well.
 */
export async function pump(
  content: AsyncIterable<Uint8Array>,
  pipe: Pipe,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const part of partsUntil(content, signal))
      if (!(await written(pipe, part, signal))) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    // It may be closed on the other side.
    await untilAborted((async () => pipe.end())(), signal).catch(() => {});
  }
}

/** False when nobody reads any more. */
async function written(pipe: Pipe, bytes: Uint8Array, signal: AbortSignal): Promise<boolean> {
  const taken = async () => {
    await pipe.write(bytes);
    await pipe.flush();
  };
  return untilAborted(taken(), signal).then(
    () => true,
    () => false,
  );
}
