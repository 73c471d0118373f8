import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readText } from "../../../engine/shared/read-file.ts";
import { historyFile, parseHistoryFile, parseSegment, startOf } from "../segments.ts";
import { parseHistory, pathTo } from "../timelines.ts";

/**
 * Whether the server whose `pg_wal` is `folder` has left the timeline of this segment before the segment's end. What it has of such a segment is
 * what a standby had received when it changed to the next timeline: it may end early, and the next timeline's segment of the same number holds all
 * that the server went through. PostgreSQL archives it after a promotion all the same. A server is on its newest history's timeline.
 * @throws PgdbaError step_refused for a history that can't be read
 */
export async function leftBehind(file: string, folder: string, bytes: number): Promise<boolean> {
  const segment = parseSegment(file, bytes);
  const newest = Math.max(0, ...(await readdir(folder)).map((name) => parseHistoryFile(name) ?? 0));
  if (segment === null || newest <= segment.timeline) return false;
  const text = readText(join(folder, historyFile(newest)), { maxBytes: 1024 * 1024 });
  const path = pathTo(new Map([[newest, parseHistory(newest, text)]]), newest);
  const own = path.find(({ timeline }) => timeline === segment.timeline);
  return (own?.until ?? 0n) < startOf(segment.number + 1n, bytes);
}
