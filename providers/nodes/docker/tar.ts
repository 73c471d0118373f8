/** Small files in the form in which the Engine takes and gives them (ustar). */
export interface TarFile {
  /** Without a leading slash; at most 99 bytes. */
  path: string;
  content: string | Uint8Array;
  mode: number;
  uid?: number;
  gid?: number;
}

const BLOCK = 512;

export function tarOf(files: readonly TarFile[]): Buffer {
  const parts = files.flatMap((file) => {
    const content = Buffer.from(file.content as string);
    const fill = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
    return [headerOf(file, content.length), content, fill];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

function headerOf({ path, mode, uid = 0, gid = 0 }: TarFile, size: number): Buffer {
  const folder = path.endsWith("/");
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  if (Buffer.byteLength(path) > 99) throw new RangeError(`too long for an archive: ${path}`);
  header.write(path, 0);
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.write("        ", 148, "latin1");
  header.write(folder ? "5" : "0", 156, "latin1");
  header.write("ustar\0" + "00", 257, "latin1");
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The texts of an archive, by name. */
export function textsIn(archive: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const text = (from: number, length: number) =>
      archive
        .subarray(at + from, at + from + length)
        .toString("utf8")
        .replace(/\0.*$/s, "");
    const size = Number.parseInt(text(124, 12).trim() || "0", 8);
    const name = text(0, 100);
    const type = text(156, 1);
    if (type === "0" || type === "")
      found.set(name, archive.subarray(at + BLOCK, at + BLOCK + size).toString("utf8"));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return found;
}
