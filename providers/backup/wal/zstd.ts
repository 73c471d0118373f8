import { promisify } from "node:util";
import { constants, createZstdCompress, createZstdDecompress, zstdCompress } from "node:zlib";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { Bytes } from "../../repository/contract.ts";
import { damagedSegment } from "./damaged-segment.ts";

/** Fast, and with a checksum of the content: a damaged segment would pass for the end of WAL. */
const OPTIONS = {
  params: {
    [constants.ZSTD_c_compressionLevel]: 1,
    [constants.ZSTD_c_checksumFlag]: 1,
  },
};

/** Without it each write of a segment would have 16 kB. */
const CHUNK = 512 * 1024;
const PIECE = 4 * 1024 * 1024;

export function compressed(content: Uint8Array): Promise<Uint8Array>;
export function compressed(content: Bytes): Bytes;
export function compressed(content: Uint8Array | Bytes): Promise<Uint8Array> | Bytes {
  // In large pieces: many small ones take a third more, and one as large as the segment twice the memory.
  if (content instanceof Uint8Array)
    return promisify(zstdCompress)(content, { ...OPTIONS, chunkSize: PIECE });
  return through(createZstdCompress(OPTIONS), content);
}

/** @throws PgdbaError repository_failed: it is damaged */
export const decompressed = (stored: Bytes, name: string): Bytes =>
  inflated(stored, (cause) => damagedSegment(name, cause));

/**
 * Any zstd file, of one frame or many. The source is closed when this ends, however it does.
 * @throws PgdbaError `damaged`, or what the source itself failed with
 */
export async function* inflated(
  stored: Bytes,
  damaged: (cause: unknown) => PgdbaError,
): AsyncGenerator<Uint8Array> {
  let source: { error: unknown } | undefined;
  const watched = async function* (): Bytes {
    const parts = stored[Symbol.asyncIterator]();
    try {
      for (;;) {
        // Not around the yield: there the pipeline throws in what the decompression failed with.
        const part = await parts.next().catch((error: unknown) => {
          source = { error };
          throw error;
        });
        if (part.done) return;
        yield part.value;
      }
    } finally {
      await parts.return?.();
    }
  };
  try {
    yield* through(createZstdDecompress({ chunkSize: CHUNK }), watched());
  } catch (cause) {
    throw source === undefined ? damaged(cause) : source.error;
  }
}

async function* through(stream: ReturnType<typeof createZstdCompress>, content: Bytes): Bytes {
  const { pipeline } = await import("node:stream/promises");
  const { Readable } = await import("node:stream");
  const done = pipeline(Readable.from(content), stream);
  done.catch(() => {});
  try {
    for await (const part of stream) yield part as Uint8Array;
    await done;
  } finally {
    stream.destroy();
    await done.catch(() => {});
  }
}
