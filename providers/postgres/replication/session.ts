import { PgdbaError } from "../../../engine/errors.ts";
import { reasonOf } from "../channel.ts";
import { connect, type ConnectionSpec, describe } from "../connect.ts";
import { fromPostgres } from "../errors.ts";
import { type Message, Wire } from "./wire.ts";

/** Types of messages. Format: PostgreSQL documentation, "Message Formats". */
export const [ROW_DESCRIPTION, DATA_ROW, COMPLETE, READY] = codes("TDCZ");
export const [COPY_OUT, COPY_IN, COPY_DATA, COPY_DONE] = codes("HGdc");
export const [COPY_BOTH] = codes("W");
const [ERROR] = codes("E");
/** May come at any time: notices, changed parameters, notifications. */
const ASIDE = codes("NSA");

function codes(letters: string): [number, number, number, number] {
  return [...letters].map((letter) => letter.charCodeAt(0)) as never;
}

export type Row = (string | null)[];

/** A connection of the replication protocol. It does one thing after the other; whoever leaves one half done closes it. */
export class ReplicationSession {
  readonly #wire: Wire;
  readonly #spec: ConnectionSpec;

  constructor(wire: Wire, spec: ConnectionSpec) {
    this.#wire = wire;
    this.#spec = spec;
  }

  get where(): string {
    return describe(this.#spec);
  }

  /** Asks; the rows of each result set. */
  async ask(command: string, signal?: AbortSignal): Promise<Row[][]> {
    await this.send(command);
    const sets: Row[][] = [];
    for (;;) {
      const { type, body } = await this.next(signal);
      if (type === ROW_DESCRIPTION) sets.push([]);
      else if (type === DATA_ROW) sets.at(-1)?.push(rowOf(body));
      else if (type === READY) return sets;
      else if (type !== COMPLETE) throw this.unexpected(type, command);
    }
  }

  send(command: string): Promise<void> {
    return this.#wire.send("Q", Buffer.from(`${command}\0`));
  }

  /** The next message that is no aside. @throws PgdbaError what the server refuses, in its words */
  async next(signal?: AbortSignal): Promise<Message> {
    for (;;) {
      const message = await this.#wire.next(signal);
      if (message.type === ERROR) throw this.#refused(message.body);
      if (!ASIDE.includes(message.type)) return message;
    }
  }

  /** Hands over data that the server copies in. */
  async copyIn(parts: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    for await (const part of parts) {
      if (signal?.aborted) throw reasonOf(signal);
      await this.#wire.send("d", part);
    }
    await this.#wire.send("c", Buffer.alloc(0));
  }

  /** After a refusal the server says that it is ready again. */
  async settled(signal?: AbortSignal): Promise<void> {
    while ((await this.next(signal)).type !== READY);
  }

  /** A piece of a copy that goes both ways. */
  put(data: Uint8Array): Promise<void> {
    return this.#wire.send("d", data);
  }

  putDone(): Promise<void> {
    return this.#wire.send("c", Buffer.alloc(0));
  }

  unexpected(type: number, command: string): PgdbaError {
    const [word] = command.split(/[ (]/);
    return new PgdbaError(
      "connection_failed",
      `${this.where} answered ${word} with a message that does not belong there (${String.fromCharCode(type)})`,
      { hint: "Is there a pooler in between? Name the server itself." },
    );
  }

  close(): void {
    void this.#wire.send("X", Buffer.alloc(0)).catch(() => {});
    this.#wire.destroy();
  }

  #refused(body: Buffer): PgdbaError {
    const fields = fieldsOf(body);
    return fromPostgres(
      {
        severity: fields["V"] ?? fields["S"],
        code: fields["C"],
        message: fields["M"],
        detail: fields["D"],
        hint: fields["H"],
      },
      `${this.where} refused`,
    );
  }
}

/**
 * @throws PgdbaError connection_failed | missing_secret; with what to allow, where the server does not let this role replicate
 */
export async function openReplication(spec: ConnectionSpec): Promise<ReplicationSession> {
  const client = await connect({ ...spec, replication: true }).catch((error: unknown) => {
    throw allowing(spec, error);
  });
  return new ReplicationSession(
    new Wire(client, `The replication connection to ${describe(spec)} was lost`),
    spec,
  );
}

/** 28000: pg_hba.conf has no line for it. 42501: the role lacks REPLICATION. */
function allowing(spec: ConnectionSpec, error: unknown): unknown {
  if (!(error instanceof PgdbaError)) return error;
  const state = (error.data as { sqlstate?: string } | undefined)?.sqlstate;
  const hint =
    state === "28000"
      ? `A backup is read by a replication connection: pg_hba.conf needs a line such as \`host replication ${spec.user} ADDRESS/32 scram-sha-256\`, and a reload.`
      : state === "42501"
        ? `Give the role the right: \`ALTER ROLE "${spec.user.replaceAll('"', '""')}" REPLICATION;\``
        : state === "53300"
          ? "All walsenders are taken: raise max_wal_senders, or wait for another backup to end."
          : undefined;
  if (hint === undefined) return error;
  const { code, message, retryable, data } = error;
  return new PgdbaError(code, message, { hint, retryable, data, cause: error });
}

export function rowOf(body: Buffer): Row {
  const row: Row = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    row.push(length < 0 ? null : body.toString("utf8", at, at + length));
    at += Math.max(length, 0);
  }
  return row;
}

function fieldsOf(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at);
    fields[String.fromCharCode(body[at]!)] = body.toString("utf8", at + 1, end);
    at = end + 1;
  }
  return fields;
}
