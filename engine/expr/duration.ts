import { ValueError } from "./value-error.ts";

/** Nanoseconds of a unit. */
const UNITS: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};
export const SECOND = 1_000_000_000n;
/** About 10,000 years to either side. */
const MAX = 315_576_000_000n * SECOND;

/** A span of time, to the nanosecond. */
export class Duration {
  readonly ns: bigint;

  constructor(ms: number | { ns: bigint }) {
    this.ns = typeof ms === "number" ? BigInt(Math.round(ms * 1e6)) : ms.ns;
  }

  /** @throws ValueError beyond 10,000 years */
  static of(ns: bigint): Duration {
    if (ns <= MAX && ns >= -MAX) return new Duration({ ns });
    throw new ValueError("the duration is longer than 10,000 years", "Check the operands.");
  }

  /** Text such as `1h30m`, `-1.5s`, `250us` or `2d`. @throws ValueError */
  static parse(text: string): Duration {
    const found = /^([-+]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d))+|0)$/.exec(
      text.length <= 100 ? text : "",
    );
    if (!found)
      throw new ValueError(
        `${JSON.stringify(text.slice(0, 60))} is not a duration`,
        "Write it like 500ms, 30s, 5m, 1h30m or 2d.",
      );
    let ns = 0n;
    for (const [, whole, fraction = "", unit] of found[2]!.matchAll(
      /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h|d)/g,
    )) {
      const scale = UNITS[unit!]!;
      ns += BigInt(whole!) * scale + (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    }
    return Duration.of(found[1] === "-" ? -ns : ns);
  }

  get ms(): number {
    return Number(this.ns) / 1e6;
  }

  /** In seconds, as CEL writes it: `5400s`, `-0.25s`. */
  toString(): string {
    const size = this.ns < 0n ? -this.ns : this.ns;
    return `${this.ns < 0n ? "-" : ""}${size / SECOND}${fractionOf(size % SECOND)}s`;
  }
}

/** Nanoseconds below a second as decimals, without trailing zeros: `.25`, or nothing. */
export const fractionOf = (ns: bigint): string =>
  ns === 0n ? "" : `.${String(ns).padStart(9, "0").replace(/0+$/, "")}`;
