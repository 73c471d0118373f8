import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { readPiece } from "./files.ts";
import { digestOf, FLIPPED, flipped, isLeaf, middleOf, type Piece, pieceOf } from "./page.ts";
import type { TableFacts } from "./table.ts";

export const HOWS = ["heap", "index", "misdirected", "zero", "truncate"] as const;
export type How = (typeof HOWS)[number];

/** What will be damaged, and how it looks then. */
export interface Chosen {
  file: string;
  block: number;
  bytes: number;
  what: string;
  piece: Piece;
  cutTo: number | null;
  /** The piece as it will be. */
  page: Uint8Array;
  digest: string;
}

/** FirstNormalObjectId. */
const FIRST_OF_USERS = 16_384;
/** A smaller table shows nothing. */
const LEAST_BLOCKS = 8;

/** @throws PgdbaError step_refused: the table is none that this can be done to */
export async function choose(
  nodes: Nodes,
  node: string,
  { data, how, table }: { data: string; how: How; table: TableFacts },
): Promise<Chosen> {
  const { block_size: size, segment_blocks: perSegment } = table;
  const of = how === "index" ? table.index : table;
  const blocks = of === null ? 0 : Math.floor(of.bytes / size);
  assertFit(table, how, blocks);
  const at = (block: number) => pieceOf(of!.file, block, perSegment, size);
  const read = (block: number) => readPiece(nodes, node, data, at(block));
  if (how === "truncate") {
    // Only of its last segment: one that is cut before another is no table any more.
    const [first, count] = [blocks - (blocks % perSegment || perSegment), blocks];
    const cut = Math.max(first, Math.floor(count * 0.75));
    const piece = at(cut);
    return {
      file: piece.file,
      block: cut,
      bytes: (count - cut) * size,
      what: `${piece.file} (${of!.name}) is cut from block ${cut} on`,
      piece,
      cutTo: piece.number * size,
      page: new Uint8Array(),
      digest: "",
    };
  }
  const { block, page } = await pageOf(how, blocks, read);
  const place = how === "heap" || how === "index" ? middleOf(page)! : null;
  const other =
    how === "zero"
      ? new Uint8Array(size)
      : how === "misdirected"
        ? await read(block - 1)
        : flipped(page, place!);
  const piece = at(block);
  const act =
    how === "zero"
      ? "is zeroed"
      : how === "misdirected"
        ? `holds what belongs into block ${block - 1}`
        : `has ${FLIPPED} bytes turned over (the first is byte ${place})`;
  return {
    file: piece.file,
    block,
    bytes: place === null ? size : FLIPPED,
    what: `block ${block} of ${piece.file} (${of!.name}) ${act}`,
    piece,
    cutTo: null,
    page: other,
    digest: digestOf(other),
  };
}

/** From the middle on the first page that holds something; of an index a leaf. */
async function pageOf(how: How, blocks: number, read: (block: number) => Promise<Uint8Array>) {
  for (let block = Math.floor(blocks / 2); block < blocks; block++) {
    const page = await read(block);
    if (middleOf(page) !== null && (how !== "index" || isLeaf(page))) return { block, page };
  }
  throw refused("It has no page with rows from its middle on", "Name a table that is in use.");
}

function assertFit(
  { oid, name, kind, persistence, index }: TableFacts,
  how: How,
  blocks: number,
): void {
  if (oid < FIRST_OF_USERS)
    throw refused(
      `${name} belongs to PostgreSQL itself: a server that can't read it starts no session`,
      "Name a table of your own.",
    );
  if (kind !== "r" || persistence !== "p")
    throw refused(
      `${name} is no ordinary table whose WAL is written`,
      "Name one that has rows of its own: a partition, and no partitioned, foreign, unlogged or temporary table.",
    );
  if (how === "index" && index === null)
    throw refused(`${name} has no B-tree index over columns alone`, "Name a table with a key.");
  if (blocks < LEAST_BLOCKS)
    throw refused(
      `${how === "index" ? `The index of ${name}` : name} has only ${blocks} pages`,
      `Name a larger table: ${LEAST_BLOCKS} pages are needed.`,
    );
}

const refused = (message: string, hint: string): PgdbaError =>
  new PgdbaError("step_refused", message, { hint, nothingDone: true });
