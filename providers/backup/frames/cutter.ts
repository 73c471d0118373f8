/** Finds the frames of a zstd file without decompressing it. Format: RFC 8878, section 3.1.1. */

export interface Frame {
  bytes: Uint8Array<ArrayBuffer>;
  /** As its header says. */
  contentBytes: number;
}

/** Larger ones are no work for one piece of memory. */
const MOST_CONTENT = 8 * 1024 * 1024;
const MOST_BYTES = MOST_CONTENT + 64 * 1024;
const MAGIC = 0xfd2fb528;
const LONGEST_HEADER = 18;
const RLE = 1;
const RESERVED = 3;

export class FrameCutter {
  /** What comes next is no frame that could be cut out: it has no length, is too large, or is nothing of zstd. */
  isForeign = false;
  #bytes = new Uint8Array(1024 * 1024);
  #filled = 0;
  /** Where the frame under way begins, and the block of it that is looked at next; 0 before its header is read. */
  #start = 0;
  #at = 0;
  #contentBytes = 0;
  #checksumBytes = 0;
  #frames = 0;

  add(piece: Uint8Array): void {
    if (this.#filled + piece.length > this.#bytes.length) this.#makeRoom(piece.length);
    this.#bytes.set(piece, this.#filled);
    this.#filled += piece.length;
  }

  /** The next frame that is whole. */
  next(): Frame | undefined {
    if (this.isForeign || (this.#at === 0 && !this.#readHeader())) return undefined;
    for (;;) {
      if (this.#at - this.#start > MOST_BYTES) this.isForeign = true;
      if (this.isForeign || this.#filled < this.#at + 3) return undefined;
      const [a, b, c] = this.#bytes.subarray(this.#at, this.#at + 3) as unknown as [
        number,
        number,
        number,
      ];
      const block = a | (b << 8) | (c << 16);
      const isLast = (block & 1) === 1;
      const kind = (block >> 1) & 3;
      if (kind === RESERVED) this.isForeign = true;
      const end = this.#at + 3 + (kind === RLE ? 1 : block >> 3);
      if (!isLast) {
        this.#at = end;
        continue;
      }
      return this.#filled < end + this.#checksumBytes
        ? undefined
        : this.#cut(end + this.#checksumBytes);
    }
  }

  /** What was added and is in no frame so far. */
  rest(): Uint8Array {
    return this.#bytes.slice(this.#start, this.#filled);
  }

  /** What was added is whole frames, and one at least. */
  get isWhole(): boolean {
    return this.#frames > 0 && this.#filled === this.#start;
  }

  #cut(end: number): Frame {
    this.#frames += 1;
    const frame = { bytes: this.#bytes.slice(this.#start, end), contentBytes: this.#contentBytes };
    this.#start = end;
    this.#at = 0;
    return frame;
  }

  /** False when there is not all of it yet, or it is not such a frame. */
  #readHeader(): boolean {
    const have = this.#filled - this.#start;
    if (have < LONGEST_HEADER && !this.#hasWholeHeader(have)) return false;
    const head = this.#bytes.subarray(this.#start, this.#start + have);
    const size = contentBytesIn(head);
    if (size === null) return !(this.isForeign = true);
    const descriptor = head[4]!;
    const { headerBytes } = layoutOf(descriptor);
    if (size > MOST_CONTENT) return !(this.isForeign = true);
    this.#contentBytes = size;
    this.#checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
    this.#at = this.#start + headerBytes;
    return true;
  }

  #hasWholeHeader(have: number): boolean {
    return have > 4 && have >= layoutOf(this.#bytes[this.#start + 4]!).headerBytes;
  }

  #makeRoom(bytes: number): void {
    const used = this.#filled - this.#start;
    const wanted = used + bytes;
    const target =
      wanted > this.#bytes.length
        ? new Uint8Array(Math.max(wanted, 2 * this.#bytes.length))
        : this.#bytes;
    if (target === this.#bytes) target.copyWithin(0, this.#start, this.#filled);
    else target.set(this.#bytes.subarray(this.#start, this.#filled));
    this.#bytes = target;
    if (this.#at > 0) this.#at -= this.#start;
    this.#filled = used;
    this.#start = 0;
  }
}

/** How long the content of the first frame is, as its header says. Null when it does not, or this is no header of a frame. */
export function contentBytesIn(head: Uint8Array): number | null {
  if (head.length < 5) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const { sizeBytes, headerBytes } = layoutOf(view.getUint8(4));
  if (view.getUint32(0, true) !== MAGIC || head.length < headerBytes) return null;
  const at = headerBytes - sizeBytes;
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return sizeBytes === 8 ? Number(view.getBigUint64(at, true)) : null;
}

/** The length of the header, and of the field in it that says how long the content is; 0 where it does not. */
function layoutOf(descriptor: number): { headerBytes: number; sizeBytes: number } {
  const isSingle = (descriptor & 0x20) !== 0;
  const flag = descriptor >> 6;
  const sizeBytes = flag === 0 ? (isSingle ? 1 : 0) : 1 << flag;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  return { headerBytes: 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes, sizeBytes };
}
