/** An unsigned 64-bit integer: `5u`. Ints and uints do not mix in arithmetic, but compare by value. */
export class Uint {
  readonly value: bigint;

  constructor(value: bigint) {
    this.value = value;
  }
}
