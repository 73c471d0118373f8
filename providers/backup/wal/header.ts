import { PgdbaError } from "../../../engine/errors.ts";
import { type ClusterKey, keyOf } from "../../repository/layout.ts";

/** Also one that is not full: `.partial`. Not a history file, and not the label of a backup. */
export const isSegment = (file: string): boolean => /^[0-9A-F]{24}(\.partial)?$/.test(file);

/** `XLogLongPageHeaderData` (xlog_internal.h), with which each segment begins: where its fields lie, and its length. */
const AT = { timeline: 4, lsn: 8, system: 24, segment: 32 };
export const HEAD_BYTES = 40;

/** What a segment of `size` bytes says of itself, in whichever byte order its server has; null when it is too short. */
export function segmentHead(head: Uint8Array, size: number) {
  if (head.length < HEAD_BYTES) return null;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const little = view.getUint32(AT.segment) !== size;
  return {
    timeline: view.getUint32(AT.timeline, little),
    lsn: view.getBigUint64(AT.lsn, little),
    system: view.getBigUint64(AT.system, little).toString(),
    bytes: view.getUint32(AT.segment, little),
  };
}

/**
 * A segment says of which server it is. One of another server is not put into a cluster's part, and not handed out of it.
 * @throws PgdbaError step_refused
 */
export function assertOwnSegment(
  head: Uint8Array,
  { file, size, key }: { file: string; size: number; key: ClusterKey },
): void {
  const refused = (why: string) =>
    new PgdbaError("step_refused", `${file} is no segment of ${keyOf(key)}: ${why}`, {
      hint: "The settings of the repository beside the data directory belong to another server, or the file is damaged.",
    });
  const said = segmentHead(head, size);
  if (said === null) throw refused("it is too short");
  const { system, timeline, bytes } = said;
  if (system !== key.system_identifier) throw refused(`it is of the server ${system}`);
  // The first page may have been written before the switch to the timeline that the file is named by.
  if (timeline > Number.parseInt(file.slice(0, 8), 16))
    throw refused(`it is of timeline ${timeline}`);
  if (bytes !== size) throw refused(`it has ${size} bytes, and its header says ${bytes}`);
}
