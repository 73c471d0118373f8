/** Puts the pieces of a stream together to segments, and the segments into the repository. */
import { PgdbaError, toPgdbaError } from "../../../engine/errors.ts";
import { release } from "../../../engine/shared/release.ts";
import { sleep } from "../../../engine/shared/sleep.ts";
import { untilAborted } from "../../../engine/shared/until.ts";
import { lsnText } from "../../postgres/lsn.ts";
import type { WalPiece } from "../../postgres/replication/stream.ts";
import type { Repository } from "../../repository/contract.ts";
import { type ClusterKey, walName } from "../../repository/layout.ts";
import { segmentFile, startOf } from "../segments.ts";
import { WalReader } from "../wal-records.ts";
import { assertOwnSegment } from "../wal/header.ts";
import { compressed, decompressed } from "../wal/zstd.ts";
import type { Told } from "../work.ts";

interface Sinking {
  key: ClusterKey;
  repository: Repository;
  timeline: number;
  start: bigint;
  segmentBytes: number;
  /** The segment with which all is done. */
  until: string | null;
  signal: AbortSignal;
  /** One more segment is kept. */
  kept(): Promise<void>;
  /** Something can't be kept, and will not be. */
  failed(error: PgdbaError): void;
  log(message: string, level?: "info" | "warn"): void;
  tell(told: Told): void;
}

/** Full segments that wait for the repository, beside the one that is filled; of large ones none. */
const WAITING = 2;
const LARGE = 32 * 1024 * 1024;
const LONGEST_PAUSE_MS = 30_000;
const PAGE = 8192;

export class SegmentSink {
  readonly #it: Sinking;
  #buffer: Buffer;
  #filled = 0;
  #number: bigint;
  /** When its first byte came; null while it is empty. */
  #since: number | null = null;
  #waiting = 0;
  #keeping: Promise<void> = Promise.resolve();
  #wake: (() => void) | undefined;
  #kept = 0;
  #progress = 0;
  /** The wanted segment, once it is kept. */
  reached: string | null = null;

  constructor(it: Sinking) {
    this.#it = it;
    this.#number = it.start / BigInt(it.segmentBytes);
    this.#buffer = Buffer.alloc(it.segmentBytes);
  }

  /**
   * Up to there the server need not keep WAL. It keeps or removes whole segments: so once all before it are in the repository, all that has come
   * of the segment that is not full may be said, and a server that stops waits for nobody. What was said is streamed again after a restart.
   */
  get position(): bigint {
    const { segmentBytes } = this.#it;
    if (this.#waiting === 0) return startOf(this.#number, segmentBytes) + BigInt(this.#filled);
    return startOf(this.#number - BigInt(this.#waiting), segmentBytes);
  }

  /** How long nothing was kept though something waits. */
  get stuckMs(): number {
    return this.#waiting === 0 ? 0 : performance.now() - this.#progress;
  }

  /** Waits where the repository is slower than the server. @throws PgdbaError the signal's reason */
  async take({ at, bytes }: WalPiece): Promise<void> {
    const { segmentBytes, signal } = this.#it;
    const expected = startOf(this.#number, segmentBytes) + BigInt(this.#filled);
    if (at !== expected)
      throw new PgdbaError(
        "connection_failed",
        `The stream goes on at ${lsnText(at)}, and ${lsnText(expected)} was to come`,
        { hint: "It is begun anew.", retryable: true },
      );
    for (let from = 0; from < bytes.length;) {
      this.#since ??= performance.now();
      const taken = bytes.copy(this.#buffer, this.#filled, from);
      from += taken;
      this.#filled += taken;
      if (this.#filled < segmentBytes) continue;
      const file = segmentFile({ timeline: this.#it.timeline, number: this.#number }, segmentBytes);
      this.#keep(file, this.#buffer);
      this.#number += 1n;
      this.#filled = 0;
      this.#since = null;
      this.#buffer = Buffer.alloc(segmentBytes);
      while (this.#waiting > (segmentBytes > LARGE ? 0 : WAITING))
        await untilAborted(this.#settled(), signal);
    }
    signal.throwIfAborted();
  }

  /** The timeline has ended: what it has of its last segment is kept as PostgreSQL itself keeps it. */
  async end(): Promise<void> {
    await this.#keeping;
    this.#it.signal.throwIfAborted();
    if (this.#filled === 0) return;
    const { key, repository, timeline, segmentBytes, signal } = this.#it;
    const file = `${segmentFile({ timeline, number: this.#number }, segmentBytes)}.partial`;
    const content = await compressed(this.#buffer);
    await repository.create(walName(key, file), content, { signal }).catch((error: unknown) => {
      // An earlier one is as good: recovery reads it from the next timeline.
      if (!(error instanceof PgdbaError) || error.code !== "object_differs") throw error;
    });
  }

  /** Whether what is not kept yet has held a commit for so long. */
  holdsCommitOf(ms: number): boolean {
    if (this.#since === null || performance.now() - this.#since < ms) return false;
    const bytes = this.#buffer.subarray(0, Math.ceil(this.#filled / PAGE) * PAGE);
    const start = startOf(this.#number, this.#it.segmentBytes);
    for (const { kind } of new WalReader().read(start, bytes))
      if (kind !== "checkpoint") return true;
    return false;
  }

  #settled(): Promise<void> {
    return new Promise((done) => (this.#wake = done));
  }

  #keep(file: string, bytes: Buffer): void {
    if (this.#waiting === 0) this.#progress = performance.now();
    this.#waiting += 1;
    this.#keeping = this.#keeping
      .then(() => this.#put(file, bytes))
      .then(async () => {
        release(bytes);
        this.#kept += 1;
        this.#progress = performance.now();
        this.#it.tell({ done: this.#kept, unit: "segments", text: `${file} is kept` });
        if (
          this.#it.until !== null &&
          file.slice(0, 8) === this.#it.until.slice(0, 8) &&
          file >= this.#it.until
        )
          this.reached = file;
        this.#waiting -= 1;
        // One that can't be told is told again: the server keeps WAL meanwhile.
        await this.#it.kept().catch(() => {});
        if (this.reached !== null)
          this.#it.failed(new PgdbaError("interrupted", "all of it is kept"));
      })
      .catch((error: unknown) => this.#it.failed(toPgdbaError(error)))
      .finally(() => this.#wake?.());
  }

  /** Asks a repository that is away, full or overloaded again and again. */
  async #put(file: string, bytes: Buffer): Promise<void> {
    const { key, signal, segmentBytes } = this.#it;
    assertOwnSegment(bytes.subarray(0, 64), { file, size: segmentBytes, key });
    const content = await compressed(bytes);
    for (let pause = 500; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      signal.throwIfAborted();
      try {
        return await this.#made(walName(key, file), content, bytes);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toPgdbaError(thrown);
        if (!error.retryable) throw error;
        this.#it.log(`${file} can't be kept: ${error.message}; again in ${pause / 1000} s`, "warn");
        await sleep(pause, signal);
      }
    }
  }

  async #made(name: string, content: Uint8Array, bytes: Buffer): Promise<void> {
    const { repository, signal } = this.#it;
    try {
      await repository.create(name, content, { signal });
    } catch (error) {
      if (!(error instanceof PgdbaError) || error.code !== "object_differs") throw error;
      // Another version of the library may compress the same segment to other bytes.
      const stored = await repository.read(name, { signal });
      const parts: Uint8Array[] = [];
      for await (const part of decompressed(stored!, name)) parts.push(part);
      if (!bytes.equals(Buffer.concat(parts))) throw error;
    }
  }
}
