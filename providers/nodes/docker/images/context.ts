/** A build's context as the archive (ustar) that the Engine takes. */
import { Readable } from "node:stream";

const BLOCK = 512;

export interface ContextFile {
  name: string;
  mode: number;
  content: string | Bun.BunFile;
}

/** A program of a hundred megabytes is never held in memory as a whole. */
export function archiveOf(files: readonly ContextFile[]): Readable {
  return Readable.from(blocks(files));
}

async function* blocks(files: readonly ContextFile[]): AsyncGenerator<Uint8Array> {
  for (const { name, mode, content } of files) {
    if (typeof content === "string") {
      const bytes = Buffer.from(content);
      yield headerOf(name, mode, bytes.length);
      yield bytes;
      yield padding(bytes.length);
    } else {
      const { size } = await content.stat();
      yield headerOf(name, mode, size);
      yield* content.stream();
      yield padding(size);
    }
  }
  yield Buffer.alloc(2 * BLOCK);
}

const padding = (size: number) => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);

/** Without a time and an owner, so that the same files are the same context to the Engine's cache. */
function headerOf(name: string, mode: number, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  if (Buffer.byteLength(name) > 99) throw new RangeError(`too long for an archive: ${name}`);
  header.write(name, 0);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.write("        ", 148, "latin1");
  header.write("0", 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}
