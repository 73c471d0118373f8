import { expect, test } from "bun:test";
import { zstdCompressSync } from "node:zlib";
import { compressed, counter, decompressed } from "../../../providers/backup/frames.ts";
import { compressed as streamed } from "../../../providers/backup/wal/zstd.ts";

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function whole(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const kept: Uint8Array[] = [];
  // A part is good until the next one is asked for.
  for await (const part of parts) kept.push(part.slice());
  return Buffer.concat(kept);
}

const read = (bytes: Uint8Array, size = 100_000) =>
  whole(decompressed(inPieces(bytes, size), "it"));
function numbers(length: number): Buffer {
  const all = new Uint32Array(length / 4);
  for (let n = 0; n < all.length; n++) all[n] = n * n;
  return Buffer.from(all.buffer);
}

test("what is compressed in frames is the same again, in whatever pieces it comes", async () => {
  const content = numbers(9_000_000);
  const count = counter();
  const stored = await whole(compressed(inPieces(content, 70_000), count, 3));
  expect(count).toMatchObject({ bytes: content.length, storedBytes: stored.length });
  expect(count.sha256()).toBe(new Bun.CryptoHasher("sha256").update(stored).digest("hex"));
  for (const size of [1000, 65_536, 1_000_000, stored.length])
    expect((await read(stored, size)).equals(content)).toBe(true);
  const empty = await whole(compressed(inPieces(Buffer.alloc(0), 1), counter(), 3));
  expect(await read(empty)).toHaveLength(0);
});

test("so is what others have compressed: without a length, in one large frame, or after a frame for other programs", async () => {
  const content = numbers(12_000_000);
  const small = zstdCompressSync(content.subarray(0, 1000));
  const withoutLength = await whole(streamed(inPieces(content, 100_000)));
  const large = zstdCompressSync(content);
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const first = content.subarray(0, 1000);
  for (const [stored, wanted] of [
    [withoutLength, content],
    [large, content],
    [Buffer.concat([small, large]), Buffer.concat([first, content])],
    [Buffer.concat([skipped, small]), first],
    [Buffer.concat([small, skipped, small]), Buffer.concat([first, first])],
  ] as const)
    expect((await read(stored)).equals(wanted)).toBe(true);
  for (const size of [1, 3, 17]) expect((await read(small, size)).length).toBe(1000);
});

test("what is cut off or changed is damage, and what the source fails with is not", async () => {
  const original = numbers(5_000_000);
  const stored = await whole(compressed(inPieces(original, 70_000), counter(), 3));
  const damaged = { code: "backup_damaged" };
  for (const length of [0, 3, 10, 5000, stored.length - 1])
    await expect(read(stored.subarray(0, length))).rejects.toMatchObject(damaged);
  for (const at of [0, 5, 100, stored.length >> 1]) {
    const changed = Buffer.from(stored);
    changed[at] = changed[at]! ^ 0xff;
    // A frame has no checksum of its own: what reads as another content is found by those of the files.
    const code = await read(changed).then(
      (content) => (content.equals(original) ? "nothing is wrong" : "backup_damaged"),
      (error: { code: string }) => error.code,
    );
    expect(code).toBe("backup_damaged");
  }
  const failing = async function* () {
    yield stored.slice(0, 1000);
    throw new RangeError("the disk");
  };
  await expect(whole(decompressed(failing(), "it"))).rejects.toThrow("the disk");
});
