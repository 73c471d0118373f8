/**
 * The records of WAL that a target can be: commits and aborts with their time, restore points with their name, checkpoints. Read from segments
 * themselves, so that "can I go back to 14:03?" is proven before anything is restored. The layout is that of PostgreSQL 13 to 18 on a
 * little-endian machine (xlogrecord.h, xlog_internal.h, xact.h, pg_control.h).
 */
import type { Micros } from "./instant.ts";

export interface WalMark {
  kind: "commit" | "abort" | "restore_point" | "checkpoint" | "end_of_recovery";
  /** Where the record begins, and where the next one may. */
  lsn: bigint;
  end: bigint;
  time: Micros;
  xid: number | null;
  name: string | null;
}

/** The beginning of a record that is kept: enough for all that is read of it. */
const HEAD_BYTES = 256;
const RECORD_HEADER = 24;
const SHORT_PAGE = 24;
const LONG_PAGE = 40;
const ALIGN = 8;
const FLAG_LONG = 0x0002;
const XLOG = 0;
const XACT = 1;
/** 2000-01-01, from where PostgreSQL counts, in µs since 1970. */
const EPOCH = 946_684_800_000_000n;
/** `CheckPoint.time`, from PostgreSQL 13 to 18. */
const CHECKPOINT_TIME = 64;
const RESTORE_POINT_NAME = 64;

interface Open {
  lsn: bigint;
  total: number;
  got: number;
  head: Buffer;
}

/** Takes whole segments that follow one another. What one begins and the next one ends is put together. */
export class WalReader {
  #open: Open | null = null;
  #skip = 0;
  #next: bigint | null = null;

  /** The marks of a segment that begins at `start`. Bytes that are no WAL of this place (an old segment's, zeros) end it. */
  *read(start: bigint, bytes: Buffer): Generator<WalMark> {
    if (start !== this.#next) {
      this.#open = null;
      this.#skip = 0;
    }
    this.#next = start + BigInt(bytes.length);
    let pageBytes = 8192;
    let at = 0;
    while (at < bytes.length) {
      const inPage = at % pageBytes;
      if (inPage === 0) {
        if (at + SHORT_PAGE > bytes.length || !isPage(bytes, at, start + BigInt(at))) return;
        const isLong = (bytes.readUInt16LE(at + 2) & FLAG_LONG) !== 0;
        if (at === 0 && isLong) pageBytes = bytes.readUInt32LE(at + 36);
        const rest = bytes.readUInt32LE(at + 16);
        // A rest that does not fit what was begun: its beginning was in a segment that was not read, or was given up.
        if (this.#open === null && this.#skip === 0) this.#skip = rest;
        else if (this.#open && rest !== this.#open.total - this.#open.got) {
          this.#open = null;
          this.#skip = rest;
        }
        at += isLong ? LONG_PAGE : SHORT_PAGE;
        continue;
      }
      const left = pageBytes - inPage;
      if (this.#skip > 0) {
        const taken = Math.min(this.#skip, left);
        this.#skip -= taken;
        at = this.#skip === 0 ? aligned(at + taken) : at + taken;
        continue;
      }
      if (!this.#open) {
        const total = left < 4 ? 0 : bytes.readUInt32LE(at);
        if (total < RECORD_HEADER) return;
        this.#open = { lsn: start + BigInt(at), total, got: 0, head: Buffer.alloc(HEAD_BYTES) };
      }
      const open = this.#open;
      const taken = Math.min(open.total - open.got, left);
      if (open.got < HEAD_BYTES) bytes.copy(open.head, open.got, at, at + taken);
      open.got += taken;
      at += taken;
      if (open.got < open.total) continue;
      at = aligned(at);
      this.#open = null;
      const mark = markOf(open, start + BigInt(at));
      if (mark) yield mark;
    }
  }
}

const aligned = (at: number) => Math.ceil(at / ALIGN) * ALIGN;

/** A page of WAL that stands where it says it does. */
function isPage(bytes: Buffer, at: number, lsn: bigint): boolean {
  return (bytes.readUInt16LE(at) & 0xff00) === 0xd100 && bytes.readBigUInt64LE(at + 8) === lsn;
}

function markOf({ head, lsn, total }: Open, end: bigint): WalMark | null {
  const info = head[16]!;
  const manager = head[17]!;
  if (manager !== XLOG && manager !== XACT) return null;
  const data = mainData(head, Math.min(total, HEAD_BYTES));
  if (data === null || data.length < 8) return null;
  const time = () => data.readBigInt64LE(0) + EPOCH;
  const mark = (kind: WalMark["kind"], at: Micros, more: Partial<WalMark> = {}): WalMark => ({
    kind,
    lsn,
    end,
    time: at,
    xid: null,
    name: null,
    ...more,
  });
  if (manager === XACT) {
    const what = info & 0x70;
    const xid = head.readUInt32LE(4) || null;
    if (what === 0x00 || what === 0x30) return mark("commit", time(), { xid });
    return what === 0x20 || what === 0x40 ? mark("abort", time(), { xid }) : null;
  }
  const what = info & 0xf0;
  if (what === 0x70) {
    const name = data.subarray(8, 8 + RESTORE_POINT_NAME);
    const zero = name.indexOf(0);
    return mark("restore_point", time(), {
      name: name.subarray(0, zero === -1 ? name.length : zero).toString(),
    });
  }
  if (what === 0x90) return mark("end_of_recovery", time());
  const isCheckpoint = (what === 0x00 || what === 0x10) && data.length >= CHECKPOINT_TIME + 8;
  return isCheckpoint
    ? mark("checkpoint", data.readBigInt64LE(CHECKPOINT_TIME) * 1_000_000n)
    : null;
}

/** What stands behind the headers of a record without blocks; null for one with blocks. */
function mainData(head: Buffer, length: number): Buffer | null {
  let at = RECORD_HEADER;
  while (at < length) {
    const id = head[at]!;
    if (id === 255) return head.subarray(at + 2, Math.min(length, at + 2 + head[at + 1]!));
    if (id === 254) return head.subarray(at + 5, length);
    if (id === 253) at += 3;
    else if (id === 252) at += 5;
    else return null;
  }
  return null;
}
