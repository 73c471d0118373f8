/** Clean-up as a last-in-first-out stack. All of it runs; the first error is the one thrown. */
export class Releasers {
  #stack: (() => Promise<void> | void)[] = [];

  push(release: () => Promise<void> | void): void {
    this.#stack.push(release);
  }

  async releaseAll(): Promise<void> {
    let first: { error: unknown } | undefined;
    for (let release = this.#stack.pop(); release; release = this.#stack.pop()) {
      try {
        await release();
      } catch (error) {
        first ??= { error };
      }
    }
    if (first) throw first.error;
  }
}
