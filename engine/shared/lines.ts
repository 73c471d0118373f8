/** Whole lines out of bytes that come in parts. Of a line without an end no more than its last `most` characters are kept. */
export class Lines {
  readonly #most: number;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(most: number) {
    this.#most = most;
  }

  /** What came after the last line's end. */
  get rest(): string {
    return this.#rest;
  }

  /** The lines that end in these bytes, without their ends. */
  take(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop()!.slice(-this.#most);
    return lines;
  }
}
