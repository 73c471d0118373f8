/** The output of a program as a stream of bytes that somebody else reads. */
import { createHash } from "node:crypto";
import type { Sink, SpawnResult } from "../../../engine/types.ts";
import { assertRan } from "./programs.ts";

export interface Counted {
  bytes: number;
  /** Hex; of all bytes that went through. */
  sha256(): string;
}

/**
 * The bytes that a program writes, as fast as they are taken. A program that fails makes the stream fail in the end, so that nobody takes what it
 * wrote for whole.
 */
export async function* outputOf(
  start: (onStdout: Sink) => Promise<SpawnResult>,
  what: string,
  hint: string,
): AsyncGenerator<Uint8Array> {
  /** Until it is taken: the program waits for that. */
  let waiting: { bytes: Uint8Array; taken(): void; fail(error: Error): void } | undefined;
  let wake: () => void = () => {};
  let over = false;
  let left = false;
  const ended = start(
    (bytes) =>
      new Promise<void>((taken, fail) => {
        if (left) return fail(gone());
        // The buffer is the reader's own: it is used again for what comes next.
        waiting = { bytes: new Uint8Array(bytes), taken, fail };
        wake();
      }),
  ).finally(() => {
    over = true;
    wake();
  });
  ended.catch(() => {});
  try {
    for (;;) {
      if (waiting !== undefined) {
        const { bytes, taken } = waiting;
        yield bytes;
        waiting = undefined;
        taken();
      } else if (over) break;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    assertRan(what, await ended, hint);
  } finally {
    left = true;
    // A program without a reader has no use, and is ended.
    waiting?.fail(gone());
  }
}

const gone = (): Error => new Error("nobody reads any more");

/** Counts and hashes what goes through. */
export function counted(stream: AsyncIterable<Uint8Array>): {
  stream: AsyncGenerator<Uint8Array>;
  count: Counted;
} {
  const hash = createHash("sha256");
  const count = { bytes: 0, sha256: () => hash.copy().digest("hex") };
  const through = async function* () {
    for await (const part of stream) {
      hash.update(part);
      count.bytes += part.length;
      yield part;
    }
  };
  return { stream: through(), count };
}

/**
 * The failure of a source that a program reads, which would look like the end of it. What the program leaves of it is still there, until `close` says that
 * nobody wants it: who writes it, such as another program, would wait for ever. It is not waited for, for it may have nothing to give at the moment.
 */
export function heard(source: AsyncGenerator<Uint8Array>, onBytes: (bytes: number) => void) {
  let failure: unknown;
  const stream = async function* () {
    for (;;) {
      const part = await source.next().catch((error: unknown) => {
        failure = error;
        throw error;
      });
      if (part.done) return;
      onBytes(part.value.length);
      yield part.value;
    }
  };
  const close = () => void source.return(undefined).catch(() => {});
  return { stream: stream(), failed: () => failure, close };
}
