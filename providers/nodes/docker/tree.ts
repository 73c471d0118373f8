import { basename, dirname, join } from "node:path";

/** One entry of a folder as it travels; the bytes of a file stand behind it. */
export type Entry = { path: string; mode: number; uid: number; gid: number } & (
  | { type: "folder" }
  | { type: "link"; to: string }
  | { type: "file"; size: number }
);

/** Always the same name, so that one who comes after a crash finds and removes it. */
export const besideOf = (path: string): string =>
  join(dirname(path), `.pgdba-${basename(path)}.new`);

/** Bytes that come by themselves, read by line and by number. Who pushes waits until they are taken. */
export class ByteReader {
  #pending = Buffer.alloc(0);
  #taken: (() => void) | undefined;
  #came: (() => void) | undefined;
  #ended: { error?: unknown } | undefined;
  #cancelled = false;

  async push(part: Uint8Array): Promise<void> {
    if (this.#cancelled) return;
    this.#pending = Buffer.concat([this.#pending, part]);
    this.#came?.();
    await new Promise<void>((resolve) => (this.#taken = resolve));
  }

  end(error?: unknown): void {
    this.#ended = error === undefined ? {} : { error };
    this.#came?.();
  }

  /** What still comes is dropped. */
  cancel(): void {
    this.#cancelled = true;
    this.#pending = Buffer.alloc(0);
    this.#taken?.();
  }

  /** Up to the next line break; empty at the end. */
  async line(): Promise<string> {
    for (;;) {
      const at = this.#pending.indexOf(10);
      if (at !== -1)
        return this.#take(at + 1)
          .subarray(0, at)
          .toString("utf8");
      if (!(await this.#more())) return "";
    }
  }

  async *part(size: number): AsyncIterable<Uint8Array> {
    for (let left = size; left > 0;) {
      if (this.#pending.length === 0 && !(await this.#more())) throw new Error("it ended early");
      const bytes = this.#take(Math.min(left, this.#pending.length));
      left -= bytes.length;
      yield bytes;
    }
  }

  async *rest(): AsyncIterable<Uint8Array> {
    do {
      if (this.#pending.length > 0) yield this.#take(this.#pending.length);
    } while (this.#pending.length > 0 || (await this.#more()));
  }

  #take(length: number): Buffer {
    const bytes = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return bytes;
  }

  /** Waits for more; false at the end. */
  async #more(): Promise<boolean> {
    if (this.#ended !== undefined) {
      if (this.#ended.error !== undefined) throw this.#ended.error;
      return false;
    }
    const before = this.#pending.length;
    const came = new Promise<void>((resolve) => (this.#came = resolve));
    this.#taken?.();
    this.#taken = undefined;
    await came;
    return this.#pending.length > before || this.#more();
  }
}
