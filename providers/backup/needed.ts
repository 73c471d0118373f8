import { segmentBefore, segmentFile } from "./segments.ts";
import { parseHistory, pathTo } from "./timelines.ts";

/**
 * The files of all segments from the one with `start` to the one with the last byte before `end`, each of the timeline that recovery reads it
 * from: a timeline writes the segment in which it began with all that the one before had in it. `history` is that of the end's timeline.
 */
export function neededSegments(
  start: bigint,
  end: { lsn: bigint; timeline: number },
  history: string | null,
  segmentBytes: number,
): string[] {
  const { timeline, lsn } = end;
  const histories = new Map(
    history === null ? [] : [[timeline, parseHistory(timeline, history)] as const],
  );
  const path = pathTo(histories, timeline);
  const size = BigInt(segmentBytes);
  const last = segmentBefore(timeline, lsn, segmentBytes).number;
  const files: string[] = [];
  for (let number = start / size; number <= last; number += 1n) {
    const stretch = path.findLast(({ from }) => from / size <= number);
    files.push(segmentFile({ timeline: stretch?.timeline ?? timeline, number }, segmentBytes));
  }
  return files;
}
