/** WAL as it is written, by the replication protocol: START_REPLICATION of a physical slot. */
import { parseLsn } from "../../../engine/shared/units.ts";
import { lsnText } from "../lsn.ts";
import {
  COMPLETE,
  COPY_BOTH,
  COPY_DATA,
  COPY_DONE,
  DATA_ROW,
  READY,
  type ReplicationSession,
  ROW_DESCRIPTION,
  rowOf,
} from "./session.ts";

export interface StreamOptions {
  slot: string;
  timeline: number;
  start: bigint;
}

/** A piece of WAL; it follows the one before without a hole. The bytes hold until the next one is asked for. */
export interface WalPiece {
  at: bigint;
  bytes: Buffer;
}

/** Where a timeline that has ended is left; null when the server ended the stream without saying where it goes on. */
export type Next = { timeline: number; lsn: bigint } | null;

const [WAL, KEEPALIVE] = [..."wk"].map((letter) => letter.charCodeAt(0));
const STATUS = "r".charCodeAt(0);
const WAL_HEADER = 25;
/** 2000-01-01 in ms, from where PostgreSQL counts. */
const EPOCH_MS = 946_684_800_000;

/** One stream of one timeline. The server believes of it what `position` says: up to there it need not keep WAL for it. */
export class WalStream {
  readonly #session: ReplicationSession;
  readonly #position: () => bigint;
  #telling: Promise<void> = Promise.resolve();
  #over = false;

  constructor(session: ReplicationSession, position: () => bigint) {
    this.#session = session;
    this.#position = position;
  }

  /**
   * Runs until the timeline ends.
   * @throws PgdbaError what the server says (58P01: WAL from there is gone; 55006: the slot is in use), or the signal's reason
   */
  async *pieces(options: StreamOptions, signal: AbortSignal): AsyncGenerator<WalPiece, Next> {
    const { slot, timeline, start } = options;
    const command = `START_REPLICATION SLOT "${slot}" PHYSICAL ${lsnText(start)} TIMELINE ${timeline}`;
    const session = this.#session;
    await session.send(command);
    const first = await session.next(signal);
    // A timeline that ended before this place has nothing to stream: its successor is told at once.
    if (first.type === ROW_DESCRIPTION) return this.#next(signal, command);
    if (first.type !== COPY_BOTH) throw session.unexpected(first.type, command);
    for (;;) {
      const { type, body } = await session.next(signal);
      if (type === COPY_DONE) break;
      if (type !== COPY_DATA) throw session.unexpected(type, command);
      if (body[0] === WAL) yield { at: body.readBigUInt64BE(1), bytes: body.subarray(WAL_HEADER) };
      else if (body[0] === KEEPALIVE && body[17] === 1) await this.tell();
    }
    this.#over = true;
    await this.#telling;
    await session.putDone();
    for (;;) {
      const { type } = await session.next(signal);
      if (type === ROW_DESCRIPTION) return this.#next(signal, command);
      if (type === READY) return null;
      if (type !== COMPLETE && type !== COPY_DONE) throw session.unexpected(type, command);
    }
  }

  /** Says where it is; said again it is a sign of life. */
  async tell(): Promise<void> {
    if (this.#over) return;
    const body = Buffer.alloc(34);
    body[0] = STATUS;
    const position = this.#position();
    for (const at of [1, 9, 17]) body.writeBigUInt64BE(position, at);
    body.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1000n, 25);
    // One after the other: two that are written at once would mix.
    this.#telling = this.#telling.then(() => this.#session.put(body));
    return this.#telling;
  }

  async #next(signal: AbortSignal, command: string): Promise<Next> {
    let next: Next = null;
    for (;;) {
      const { type, body } = await this.#session.next(signal);
      if (type === DATA_ROW) {
        const [timeline, lsn] = rowOf(body);
        next = { timeline: Number(timeline), lsn: parseLsn(lsn!) };
      } else if (type === READY) return next;
      else if (type !== COMPLETE && type !== ROW_DESCRIPTION)
        throw this.#session.unexpected(type, command);
    }
  }
}
