import { chown, open, truncate } from "node:fs/promises";
import type { OrdinaryUser } from "../../nodes/embedded/user.ts";

/** PostgreSQL's BLCKSZ and RELSEG_SIZE as the embedded server is built. */
export const PAGE = 8192;
const SEGMENT_PAGES = 131_072;

/** Page header, line pointer and special space: storage/bufpage.h, access/nbtree.h. */
const PAGE_HEADER = 24;
const LINE_POINTER = 4;
const BTREE_SPECIAL = 16;
const INDEX_TUPLE = 8;
const USABLE = PAGE - PAGE_HEADER - BTREE_SPECIAL;
/** BTREE_DEFAULT_FILLFACTOR and BTREE_NONLEAF_FILLFACTOR. */
const LEAF_FILL = 0.9;
const INNER_FILL = 0.7;
/** A heap tuple's address in a posting list. */
const TID = 6;
/** A tenth of a page: as large as nbtsort.c lets a posting list grow. */
const POSTING_MAX = 812;

/** Rounded up to 8 bytes, as every tuple is. */
function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Entries of a B-tree. */
export interface BtreeGroup {
  tuples: number;
  /** Different keys among them, where equal ones share an entry (deduplication, from 13 on); undefined where they can't. */
  distinct?: number;
  /** All their keys are NULL, and take no room. */
  isNull?: boolean;
}

/**
 * Pages of a B-tree built over these entries: leaves filled to 90 %, the levels above to 70 %, and the metapage.
 * @param width bytes of the key and included columns of an average row
 */
export function btreePages(width: number, groups: readonly BtreeGroup[]): number {
  const bytes = groups.reduce((sum, group) => sum + leafBytes(width, group), 0);
  let level = Math.max(1, Math.ceil(bytes / (USABLE * LEAF_FILL)));
  let pages = 1;
  for (; level > 1; level = Math.ceil(level / innerFanout(width))) pages += level;
  return pages + 1;
}

/** A tuple with a NULL in it has a bitmap of them behind its header. */
const NULL_BITMAP = 8;
/** Repetitions up to which keys are taken to be drawn at random, some more often than others. */
const FEW = 12;

function leafBytes(width: number, { tuples, distinct, isNull }: BtreeGroup): number {
  if (tuples <= 0) return 0;
  const tuple = INDEX_TUPLE + (isNull === true ? NULL_BITMAP : aligned(width));
  const single = tuple + LINE_POINTER;
  if (distinct === undefined || distinct <= 0 || distinct >= tuples) return tuples * single;
  const repeats = tuples / distinct;
  const most = Math.max(1, Math.floor((POSTING_MAX - tuple) / TID));
  const shared = (count: number): number => {
    if (count < 2) return single;
    const lists = Math.ceil(count / most);
    return lists * (aligned(tuple + (count / lists) * TID) + LINE_POINTER);
  };
  if (repeats > FEW) return distinct * shared(repeats);
  // Keys that do not all repeat alike: n of them with the probability of a Poisson distribution that has no zero.
  const mean = meanOf(repeats);
  let probability = mean / Math.expm1(mean);
  let bytes = 0;
  for (let count = 1; count <= 4 * FEW; count++) {
    bytes += probability * shared(count);
    probability *= mean / (count + 1);
  }
  return distinct * bytes;
}

/** The parameter of a Poisson distribution without zero by its mean. */
function meanOf(repeats: number): number {
  let mean = repeats;
  for (let step = 0; step < 20; step++) mean = repeats * -Math.expm1(-mean);
  return Math.max(mean, 1e-6);
}

/** Levels above the leaves of a B-tree of so many pages; the planner adds a cost for each. */
export function btreeHeight(pages: number, width: number): number {
  let height = 0;
  for (let level = Math.max(1, pages - 1); level > 1; level = Math.ceil(level / innerFanout(width)))
    height++;
  return height;
}

function innerFanout(width: number): number {
  return Math.max(
    2,
    Math.floor((USABLE * INNER_FILL) / (aligned(INDEX_TUPLE + width) + LINE_POINTER)),
  );
}

/** Makes the file of a relation as long as `pages` without writing a byte of them: what is not written is a hole. */
export async function growFile(
  path: string,
  pages: number,
  user: OrdinaryUser | null,
): Promise<void> {
  await truncate(path, Math.min(pages, SEGMENT_PAGES) * PAGE);
  for (let segment = 1; segment * SEGMENT_PAGES < pages; segment++) {
    const file = await open(`${path}.${segment}`, "w", 0o600);
    try {
      await file.truncate(Math.min(pages - segment * SEGMENT_PAGES, SEGMENT_PAGES) * PAGE);
    } finally {
      await file.close();
    }
    if (user !== null) await chown(`${path}.${segment}`, user.uid, user.gid);
  }
}

/**
 * Makes the file look empty, or whole again. The first segment suffices: a server that finds it short does not look for a second,
 * and one that has opened the others is not disturbed.
 */
export async function setFirstSegment(path: string, pages: number): Promise<void> {
  await truncate(path, Math.min(pages, SEGMENT_PAGES) * PAGE);
}

/** Offsets in the metapage (BTMetaPageData), behind the page header. */
const META = { root: 32, level: 36, fastRoot: 40, fastLevel: 44 };
const LEAF_FLAG = 1;
const ROOT_FLAG = 2;
const INDEX_ALT_TID_MASK = 0x2000;
const LP_NORMAL = 1;
const LAYOUT_VERSION = 4;

/**
 * Writes a tree of `height` levels without any entry into the file of an empty B-tree: the planner charges for each level that it
 * finds in the metapage, and where it looks up the greatest or least key it must find a whole tree that has none.
 * The server must not have the pages in its buffers yet. Layout: access/nbtree.h, B-tree version 4.
 */
export async function writeBtree(path: string, height: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const meta = Buffer.alloc(16);
    meta.writeUInt32LE(1, META.root - META.root);
    meta.writeUInt32LE(height, META.level - META.root);
    meta.writeUInt32LE(1, META.fastRoot - META.root);
    meta.writeUInt32LE(height, META.fastLevel - META.root);
    await file.write(meta, 0, meta.length, META.root);
    for (let level = height; level >= 0; level--) {
      const block = height - level + 1;
      await file.write(emptyNode(level, level === height, block + 1), 0, PAGE, block * PAGE);
    }
  } finally {
    await file.close();
  }
}

/** A page without entries: a leaf, or an inner page whose only downlink goes to `child`. */
function emptyNode(level: number, root: boolean, child: number): Buffer {
  const page = Buffer.alloc(PAGE);
  const special = PAGE - BTREE_SPECIAL;
  const inner = level > 0;
  const item = special - INDEX_TUPLE;
  page.writeUInt16LE(PAGE_HEADER + (inner ? LINE_POINTER : 0), 12);
  page.writeUInt16LE(inner ? item : special, 14);
  page.writeUInt16LE(special, 16);
  page.writeUInt16LE(PAGE | LAYOUT_VERSION, 18);
  if (inner) {
    page.writeUInt32LE((item | (LP_NORMAL << 15) | (INDEX_TUPLE << 17)) >>> 0, PAGE_HEADER);
    page.writeUInt16LE(child >>> 16, item);
    page.writeUInt16LE(child & 0xffff, item + 2);
    page.writeUInt16LE(INDEX_TUPLE | INDEX_ALT_TID_MASK, item + 6);
  }
  page.writeUInt32LE(level, special + 8);
  page.writeUInt16LE((root ? ROOT_FLAG : 0) | (inner ? 0 : LEAF_FLAG), special + 12);
  return page;
}
