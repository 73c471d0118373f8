import { PgdbaError } from "../../../engine/errors.ts";
import { quoted } from "./commands.ts";
import {
  COMPLETE,
  COPY_DATA,
  COPY_DONE,
  COPY_OUT,
  DATA_ROW,
  READY,
  type ReplicationSession,
  ROW_DESCRIPTION,
  type Row,
  rowOf,
} from "./session.ts";

export interface BaseBackupOptions {
  /** The server's major version. */
  version: number;
  label: string;
  /** `spread` waits for the next checkpoint to end by itself. */
  checkpoint: "fast" | "spread";
  /** The difference to the backup whose manifest was uploaded before. */
  incremental?: boolean;
  /** Kilobytes a second at most, 32 to 1048576. */
  maxRateKb?: number | undefined;
}

export interface Tablespace {
  /** Null for the data directory itself. */
  oid: string | null;
  path: string | null;
  /** As the server has estimated it. */
  kilobytes: number;
}

export interface Position {
  lsn: string;
  timeline: number;
}

/** Takes the parts as they come. Each stream of bytes is read to its end before the next part begins. */
export interface BaseBackupSink {
  started(start: Position, tablespaces: Tablespace[]): void;
  archive(tablespace: Tablespace, bytes: AsyncIterable<Buffer>): Promise<void>;
  manifest(bytes: AsyncIterable<Buffer>): Promise<void>;
}

/** The command in the grammar of the version: the list in parentheses came with 15. */
function baseBackupCommand(options: BaseBackupOptions): string {
  const { version, label, checkpoint, maxRateKb, incremental = false } = options;
  if (version < 15)
    return [
      `BASE_BACKUP LABEL ${quoted(label)} PROGRESS`,
      ...(checkpoint === "fast" ? ["FAST"] : []),
      "NOWAIT TABLESPACE_MAP",
      ...(maxRateKb === undefined ? [] : [`MAX_RATE ${maxRateKb}`]),
      "MANIFEST 'yes' MANIFEST_CHECKSUMS 'SHA256'",
    ].join(" ");
  const list = [
    `LABEL ${quoted(label)}`,
    "PROGRESS true",
    `CHECKPOINT ${quoted(checkpoint)}`,
    "WAIT false",
    "TABLESPACE_MAP true",
    "MANIFEST 'yes'",
    "MANIFEST_CHECKSUMS 'SHA256'",
    ...(maxRateKb === undefined ? [] : [`MAX_RATE ${maxRateKb}`]),
    ...(incremental ? ["INCREMENTAL true"] : []),
  ];
  return `BASE_BACKUP (${list.join(", ")})`;
}

/**
 * A base backup without the WAL that it needs, which comes from the archive. Gives where it ends: a server that runs on it is consistent
 * from there on.
 * @throws PgdbaError what the server says, what the sink throws, or the signal's reason; the session is then good for nothing
 */
export async function baseBackup(
  session: ReplicationSession,
  options: BaseBackupOptions,
  sink: BaseBackupSink,
  signal?: AbortSignal,
): Promise<Position> {
  const command = baseBackupCommand(options);
  const read = new Reader(session, command, signal);
  await session.send(command);
  const start = positionOf((await read.resultSet())[0]);
  const tablespaces = (await read.resultSet()).map(tablespaceOf);
  sink.started(start, tablespaces);
  if (options.version < 15) await eachCopy(read, sink, tablespaces);
  else await oneCopy(read, sink, tablespaces);
  const end = positionOf((await read.resultSet())[0]);
  await read.ready();
  return end;
}

/** Until 14: a copy for each archive, in the order of the tablespaces, and one for the manifest. */
async function eachCopy(read: Reader, sink: BaseBackupSink, tablespaces: Tablespace[]) {
  for (const tablespace of tablespaces) {
    await read.expect(COPY_OUT);
    await sink.archive(tablespace, read.copy());
    read.assertWhole();
  }
  await read.expect(COPY_OUT);
  await sink.manifest(read.copy());
  read.assertWhole();
}

const [NEW, MANIFEST, DATA, PROGRESS] = [..."nmdp"].map((letter) => letter.charCodeAt(0));

/** From 15 on: one copy, in which the first byte of each message says what it is. */
async function oneCopy(read: Reader, sink: BaseBackupSink, tablespaces: Tablespace[]) {
  await read.expect(COPY_OUT);
  let next = await read.copied();
  while (next !== null) {
    const [kind] = next;
    if (kind === PROGRESS) {
      next = await read.copied();
      continue;
    }
    if (kind !== NEW && kind !== MANIFEST) throw read.confused();
    let after: Buffer | null = null;
    let whole = false;
    const bytes = (async function* () {
      for (;;) {
        after = await read.copied();
        const type = after?.[0];
        if (type === DATA) yield after!.subarray(1);
        else if (type !== PROGRESS) break;
      }
      whole = true;
    })();
    if (kind === MANIFEST) await sink.manifest(bytes);
    else await sink.archive(named(next, tablespaces) ?? raise(read.confused()), bytes);
    if (!whole) throw read.confused();
    next = after;
  }
}

/** By its file's name: `base.tar`, or the oid of its tablespace. */
function named(message: Buffer, tablespaces: Tablespace[]): Tablespace | undefined {
  const name = message.toString("utf8", 1, message.indexOf(0, 1));
  const oid = /^(\d+)\.tar$/.exec(name)?.[1] ?? null;
  return name === "base.tar" || oid !== null
    ? tablespaces.find((one) => one.oid === oid)
    : undefined;
}

function raise(error: Error): never {
  throw error;
}

function positionOf(row: Row | undefined): Position {
  return { lsn: row?.[0] ?? "0/0", timeline: Number(row?.[1] ?? 0) };
}

function tablespaceOf([oid, path, kilobytes]: Row): Tablespace {
  return { oid: oid ?? null, path: path ?? null, kilobytes: Number(kilobytes ?? 0) };
}

class Reader {
  readonly #session: ReplicationSession;
  readonly #command: string;
  readonly #signal: AbortSignal | undefined;
  #copying = false;

  constructor(session: ReplicationSession, command: string, signal: AbortSignal | undefined) {
    this.#session = session;
    this.#command = command;
    this.#signal = signal;
  }

  async expect(type: number): Promise<Buffer> {
    const message = await this.#session.next(this.#signal);
    if (message.type !== type) throw this.#session.unexpected(message.type, this.#command);
    if (type === COPY_OUT) this.#copying = true;
    return message.body;
  }

  async resultSet(): Promise<Row[]> {
    await this.expect(ROW_DESCRIPTION);
    const rows: Row[] = [];
    for (;;) {
      const { type, body } = await this.#session.next(this.#signal);
      if (type === DATA_ROW) rows.push(rowOf(body));
      else if (type === COMPLETE) return rows;
      else throw this.#session.unexpected(type, this.#command);
    }
  }

  /** The next piece of a copy; null at its end. */
  async copied(): Promise<Buffer | null> {
    const { type, body } = await this.#session.next(this.#signal);
    if (type === COPY_DATA) return body;
    if (type !== COPY_DONE) throw this.#session.unexpected(type, this.#command);
    this.#copying = false;
    return null;
  }

  async *copy(): AsyncGenerator<Buffer> {
    for (let piece = await this.copied(); piece !== null; piece = await this.copied()) yield piece;
  }

  async ready(): Promise<void> {
    for (;;) {
      const { type } = await this.#session.next(this.#signal);
      if (type === READY) return;
      if (type !== COMPLETE) throw this.#session.unexpected(type, this.#command);
    }
  }

  /** A sink that leaves a stream before its end has not kept all of it. */
  assertWhole(): void {
    if (this.#copying) throw this.confused();
  }

  confused(): PgdbaError {
    return new PgdbaError("internal", "A part of the base backup was not read to its end", {
      hint: "This is a defect in pgdba; run again with PGDBA_DEBUG=1 and report the stack.",
    });
  }
}
