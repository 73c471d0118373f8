import { createHash } from "node:crypto";

/** One piece of a file of a node, in units of its own size: a page of a table, of an index or of WAL. */
export interface Piece {
  /** Relative to the data directory. */
  file: string;
  /** The piece's number in that file. */
  number: number;
  size: number;
}

/** So many bytes are turned over: as what a disk or a memory does, it is little. */
export const FLIPPED = 4;

/** The file of a relation's block: a relation is cut into segments of so many blocks. */
export function pieceOf(path: string, block: number, perSegment: number, size: number): Piece {
  const segment = Math.floor(block / perSegment);
  return { file: segment === 0 ? path : `${path}.${segment}`, number: block % perSegment, size };
}

/** The same page with some bytes turned over. */
export function flipped(page: Uint8Array, at: number): Uint8Array {
  const other = page.slice();
  for (let n = at; n < at + FLIPPED; n++) other[n] = page[n]! ^ 0xff;
  return other;
}

/** In the middle of what a page of a table or an index holds; see PageHeaderData: pd_upper at 14, pd_special at 16. */
export function middleOf(page: Uint8Array): number | null {
  const header = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const [upper, special] = [header.getUint16(14, true), header.getUint16(16, true)];
  const isSound = upper >= 24 && special <= page.length && special - upper >= 2 * FLIPPED;
  return isSound ? upper + Math.floor((special - upper) / 2) : null;
}

const LEAF = 1;
const NOT_PLAIN = 2 | 4 | 8 | 16;

/** A leaf of a B-tree that is no root, and neither deleted, meta nor half dead; see BTPageOpaqueData: btpo_flags at its 12th byte. */
export function isLeaf(page: Uint8Array): boolean {
  const header = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const special = header.getUint16(16, true);
  if (special + 16 > page.length) return false;
  const flags = header.getUint16(special + 12, true);
  return (flags & LEAF) !== 0 && (flags & NOT_PLAIN) === 0;
}

export const digestOf = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex");
