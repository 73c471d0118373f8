import type { Bytes } from "../repository/contract.ts";
import { damaged } from "./damaged.ts";
import { inflated } from "./wal/zstd.ts";

/** One frame holds so much of the original, so that several are compressed at a time; frames one after the other are one zstd file. */
const FRAME = 2 * 1024 * 1024;
/** Frames that are compressed at a time, beside the one that is filled. */
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

/** Compresses with all cores, in bounded memory, and counts. The buffers are used again. */
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
      if (working.length >= AHEAD) yield await oldest();
      filling = free.pop() ?? new Uint8Array(FRAME);
    }
  }
  if (filled > 0 || count.bytes === 0) start();
  while (working.length > 0) yield await oldest();
}

/** See `inflated`. @throws PgdbaError backup_damaged */
export const decompressed = (bytes: Bytes, what: string): AsyncGenerator<Uint8Array> =>
  inflated(bytes, (cause) => damaged(what, "it can't be decompressed", cause));
