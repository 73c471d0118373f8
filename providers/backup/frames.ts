import { release } from "../../engine/shared/release.ts";
import type { Bytes } from "../repository/contract.ts";
import { damaged } from "./damaged.ts";
import { type Frame, FrameCutter } from "./frames/cutter.ts";
import { inflated } from "./wal/zstd.ts";

/** One frame holds so much of the original, so that several are compressed at a time; frames one after the other are one zstd file. */
const FRAME = 2 * 1024 * 1024;
/** Frames that are worked on at a time, beside the one that is filled. */
const AHEAD = 3;

interface Counted {
  /** Set while the bytes pass: before compression, after it, and the hash of the latter. */
  bytes: number;
  storedBytes: number;
  sha256(): string;
}

export function counter(): Counted & { hash: Bun.CryptoHasher } {
  const hash = new Bun.CryptoHasher("sha256");
  return { bytes: 0, storedBytes: 0, hash, sha256: () => hash.digest("hex") };
}

/** Compresses with all cores, in bounded memory, and counts. A part is good until the next one is asked for. */
export async function* compressed(
  bytes: AsyncIterable<Uint8Array>,
  count: ReturnType<typeof counter>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const free: Uint8Array<ArrayBuffer>[] = [];
  const working: { from: Uint8Array<ArrayBuffer>; to: Promise<Uint8Array> }[] = [];
  let filling = new Uint8Array(FRAME);
  let filled = 0;
  const start = (): void => {
    const from = filling;
    const to = Bun.zstdCompress(from.subarray(0, filled), { level });
    // It is awaited in its turn; one that fails before must not go unheard.
    to.catch(() => {});
    working.push({ from, to });
    filled = 0;
  };
  const oldest = async (): Promise<Uint8Array> => {
    const { from, to } = working.shift()!;
    const frame = await to;
    free.push(from);
    count.storedBytes += frame.length;
    count.hash.update(frame);
    return frame;
  };
  for await (const piece of bytes) {
    count.bytes += piece.length;
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + FRAME - filled);
      filling.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < FRAME) continue;
      start();
      if (working.length >= AHEAD) yield* lent(await oldest());
      filling = free.pop() ?? new Uint8Array(FRAME);
    }
  }
  if (filled > 0 || count.bytes === 0) start();
  while (working.length > 0) yield* lent(await oldest());
}

/**
 * Decompresses frames with all cores, in bounded memory. What is no frame of a few MB, as other programs write them, goes on as one stream.
 * The parts of `bytes` are given back once they are read; one that this gives is good until the next one is asked for.
 * @throws PgdbaError backup_damaged, or what the source itself failed with
 */
export async function* decompressed(bytes: Bytes, what: string): AsyncGenerator<Uint8Array> {
  const broken = (cause: unknown) => damaged(what, "it can't be decompressed", cause);
  const source = bytes[Symbol.asyncIterator]();
  const cutter = new FrameCutter();
  const working: Promise<Uint8Array>[] = [];
  const oldest = (): Promise<Uint8Array> =>
    working.shift()!.catch((cause: unknown) => {
      throw broken(cause);
    });
  let whole = false;
  try {
    for (;;) {
      const { done, value } = await source.next();
      if (done) break;
      cutter.add(value);
      release(value);
      for (let frame = cutter.next(); frame !== undefined; frame = cutter.next()) {
        const work = contentOf(frame);
        work.catch(() => {});
        working.push(work);
        if (working.length >= AHEAD) yield* lent(await oldest());
      }
      if (!cutter.isForeign) continue;
      while (working.length > 0) yield* lent(await oldest());
      whole = true;
      yield* inflated(followed(cutter.rest(), source), broken);
      return;
    }
    whole = true;
    while (working.length > 0) yield* lent(await oldest());
    if (!cutter.isWhole) throw broken(new Error("it does not end with a frame"));
  } finally {
    if (!whole) await source.return?.();
  }
}

function* lent(bytes: Uint8Array): Generator<Uint8Array> {
  try {
    // As plain bytes: `slice` of a Buffer is no copy.
    yield new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  } finally {
    release(bytes);
  }
}

async function contentOf({ bytes, contentBytes }: Frame): Promise<Uint8Array> {
  const content = await Bun.zstdDecompress(bytes);
  if (content.length !== contentBytes) throw new Error("a frame has another length than it says");
  return content;
}

async function* followed(first: Uint8Array, rest: AsyncIterator<Uint8Array>): Bytes {
  try {
    yield first;
    for (let part = await rest.next(); !part.done; part = await rest.next()) yield part.value;
  } finally {
    await rest.return?.();
  }
}
