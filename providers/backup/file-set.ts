import type { ManifestFile } from "./manifest.ts";

/** Bytes that are kept of a file. */
const PRINT = 16;

/**
 * The files of a manifest, to be ticked off one by one. A million files take some 35 MB: of each only a fingerprint of its path, its size and
 * its checksum is kept.
 */
export class FileSet {
  #slots = 1024;
  #prints = new Uint8Array(this.#slots * PRINT);
  /** 0: free, 1: listed, 2: seen. */
  #marks = new Uint8Array(this.#slots);
  #listed = 0;
  #seen = 0;

  get listed(): number {
    return this.#listed;
  }

  /** Listed, and not seen so far. */
  get missing(): number {
    return this.#listed - this.#seen;
  }

  add(file: ManifestFile): void {
    if (this.#listed * 4 >= this.#slots * 3) this.#grow();
    const print = printOf(file);
    const slot = this.#find(print);
    if (this.#marks[slot] !== 0) return;
    this.#prints.set(print, slot * PRINT);
    this.#marks[slot] = 1;
    this.#listed += 1;
  }

  /** Ticks it off. False when the manifest has no such file, or has it with another content; also the second time. */
  see(file: ManifestFile): boolean {
    const slot = this.#find(printOf(file));
    if (this.#marks[slot] !== 1) return false;
    this.#marks[slot] = 2;
    this.#seen += 1;
    return true;
  }

  wasSeen(file: ManifestFile): boolean {
    return this.#marks[this.#find(printOf(file))] === 2;
  }

  /** The slot that has it, or the free one where it belongs. */
  #find(print: Uint8Array): number {
    const view = new DataView(print.buffer, print.byteOffset);
    let slot = view.getUint32(0) % this.#slots;
    while (this.#marks[slot] !== 0 && !this.#has(slot, print)) slot = (slot + 1) % this.#slots;
    return slot;
  }

  #has(slot: number, print: Uint8Array): boolean {
    const at = slot * PRINT;
    for (let byte = 0; byte < PRINT; byte += 1)
      if (this.#prints[at + byte] !== print[byte]) return false;
    return true;
  }

  #grow(): void {
    const [prints, marks] = [this.#prints, this.#marks];
    this.#slots *= 2;
    this.#prints = new Uint8Array(this.#slots * PRINT);
    this.#marks = new Uint8Array(this.#slots);
    for (let slot = 0; slot < marks.length; slot += 1) {
      if (marks[slot] === 0) continue;
      const print = prints.slice(slot * PRINT, (slot + 1) * PRINT);
      const to = this.#find(print);
      this.#prints.set(print, to * PRINT);
      this.#marks[to] = marks[slot]!;
    }
  }
}

function printOf({ path, bytes, sha256 }: ManifestFile): Uint8Array {
  return new Bun.CryptoHasher("sha256")
    .update(`${bytes} ${sha256} ${path}`)
    .digest()
    .subarray(0, PRINT);
}
