import type { Listener } from "../types.ts";

/** Version of the event lines: fields and kinds may be added under the same number, nothing else may change. */
const NDJSON_VERSION = 1;

/** Writes each event as one line of JSON, with `v` (format version) and `seq` (from 1, without gaps). */
export function ndjsonView(write: (text: string) => unknown): Listener {
  let seq = 0;
  return (event) => {
    seq += 1;
    write(`${JSON.stringify({ v: NDJSON_VERSION, seq, ...event })}\n`);
  };
}
