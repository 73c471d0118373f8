import { PgdbaError } from "../../../engine/errors.ts";
import { type ClusterKey, keyOf } from "../../repository/layout.ts";

/** Also one that is not full: `.partial`. Not a history file, and not the label of a backup. */
export const isSegment = (file: string): boolean => /^[0-9A-F]{24}(\.partial)?$/.test(file);

/** `XLogLongPageHeaderData`, with which each segment begins: where its fields lie. */
const AT = { timeline: 4, system: 24, segment: 32, block: 36 };

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
  if (head.length < 40) throw refused("it is too short");
  // In the byte order of the server, which is that of this machine.
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const system = view.getBigUint64(AT.system, LITTLE).toString();
  if (system !== key.system_identifier) throw refused(`it is of the server ${system}`);
  const timeline = view.getUint32(AT.timeline, LITTLE);
  // The first page may have been written before the switch to the timeline that the file is named by.
  if (timeline > Number.parseInt(file.slice(0, 8), 16))
    throw refused(`it is of timeline ${timeline}`);
  const bytes = view.getUint32(AT.segment, LITTLE);
  if (bytes !== size) throw refused(`it has ${size} bytes, and its header says ${bytes}`);
}

const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
