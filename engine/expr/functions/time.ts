import { DURATION, INT, TIMESTAMP } from "../schema-types.ts";
import { toTimestamp } from "./convert.ts";
import { fn, method, type Overload } from "./overload.ts";
import { Duration, type Timestamp } from "../values.ts";

/** The cost of looking up the offset of a zone. */
const UNITS_OF_A_ZONE = 10;

/** A part of a point in time, in UTC or in a zone. */
const part = (read: (date: Date) => number): Overload[] => [
  method("timestamp", [], INT, ([time]) => BigInt(read((time as Timestamp).in(undefined)))),
  method("timestamp", ["string"], INT, ([time, zone], work) => {
    work.charge(UNITS_OF_A_ZONE);
    return BigInt(read((time as Timestamp).in(zone)));
  }),
];
/** A whole span of time in a unit, cut towards zero. */
const total = (ns: bigint): Overload =>
  method("duration", [], INT, ([span]) => (span as Duration).ns / ns);

const dayOfYear = (date: Date): number =>
  Math.floor((date.getTime() - new Date(date).setUTCMonth(0, 1)) / 86_400_000);

export const TIME_FUNCTIONS: Record<string, Overload[]> = {
  duration: [
    fn(["string"], DURATION, ([text]) => Duration.parse(text)),
    fn(["duration"], DURATION, ([span]) => span),
  ],
  timestamp: (["string", "int", "timestamp"] as const).map((kind) =>
    fn([kind], TIMESTAMP, ([value]) => toTimestamp(value)),
  ),
  getFullYear: part((date) => date.getUTCFullYear()),
  getMonth: part((date) => date.getUTCMonth()),
  getDate: part((date) => date.getUTCDate()),
  getDayOfMonth: part((date) => date.getUTCDate() - 1),
  getDayOfWeek: part((date) => date.getUTCDay()),
  getDayOfYear: part(dayOfYear),
  getHours: [...part((date) => date.getUTCHours()), total(3_600_000_000_000n)],
  getMinutes: [...part((date) => date.getUTCMinutes()), total(60_000_000_000n)],
  getSeconds: [...part((date) => date.getUTCSeconds()), total(1_000_000_000n)],
  getMilliseconds: [
    ...part((date) => date.getUTCMilliseconds()),
    method("duration", [], INT, ([span]) => ((span as Duration).ns / 1_000_000n) % 1000n),
  ],
};
