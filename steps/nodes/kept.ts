/** Of a stream of bytes the first or the last `limit`: what is beyond it is dropped as it comes. */
export class Kept {
  readonly #limit: number;
  readonly #side: "start" | "end";
  #parts: Uint8Array[] = [];
  #size = 0;
  truncated = false;

  constructor(limit: number, side: "start" | "end") {
    this.#limit = limit;
    this.#side = side;
  }

  add(bytes: Uint8Array): void {
    const room = this.#limit - this.#size;
    if (bytes.length > room) this.truncated = true;
    if (this.#side === "start") {
      if (room > 0) this.#keep(bytes.slice(0, room));
      return;
    }
    this.#keep(bytes.slice());
    while (this.#size - (this.#parts[0]?.length ?? 0) >= this.#limit)
      this.#size -= this.#parts.shift()?.length ?? 0;
  }

  /** Bytes that are no UTF-8, as where it was cut, become replacement characters. */
  text(): string {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return new TextDecoder().decode(all.subarray(Math.max(0, all.length - this.#limit)));
  }

  #keep(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }
}
