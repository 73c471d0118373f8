/**
 * The work that is done beside the data: by `pgdba work` on the node, as a job that goes on when the line breaks. It gets its order as JSON on
 * standard input, tells progress as lines of JSON on standard error, and gives its result as one line of JSON on standard output. All bytes go
 * between the node and the repository directly, never through the run that waits for it.
 *
 *   fetch    a backup, or a chain of them, into a data directory (`fetch.ts`)
 *   recover  runs a server on a fetched directory up to a target, looks at it, and stops it or brings it to its end (`recover.ts`)
 *   lend     runs a server on a directory that was brought to its end, for a pgdba that takes a table or a database out of it (`lend.ts`)
 *   make     a repository of a place (`make.ts`)
 *   try      whether the server's user can write to the repository (`try.ts`)
 *   serve    the verbs of a repository on standard input and output, for a pgdba that can't reach it (`serve.ts`)
 *
 * `pgdba wal push` and `pgdba wal get` are the archive_command and the restore_command.
 */
import { type ErrorCode, EXIT_BY_CODE, PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { Json } from "../../engine/types.ts";
import type { Place } from "../repository/contract.ts";
import type { ClusterKey } from "../repository/layout.ts";

/**
 * `repository.json`, mode 0600, beside the data directory of each server: by it `pgdba wal` and `pgdba work` find the repository. `read` is where
 * recovery looks: of a copy that was restored from another cluster, first its own part, then that of its origin.
 */
export interface NodeRepository {
  place: Place;
  write: ClusterKey;
  read: ReadPart[];
}

/** A part of the repository that recovery reads. `until`: of an origin, where the copy left it. What comes later there is another's life. */
export interface ReadPart extends ClusterKey {
  until?: Left;
}

export interface Left {
  timeline: number;
  lsn: string;
  /** The last segment of this timeline that counts. */
  file: string;
}

export type Job = "fetch" | "recover" | "lend" | "serve" | "make" | "try";

/** A line of standard error while it works. */
export interface Told {
  done?: number;
  total?: number;
  unit?: string;
  text?: string;
  warning?: string;
}

/** The line on standard output: what it gives, or an error as it would stand in an envelope. */
export type Outcome<T> = { ok: true; result: T } | { ok: false; error: Failed };

export interface Failed {
  code: string;
  message: string;
  hint?: string | undefined;
  retryable?: boolean;
  data?: Json | undefined;
}

export function failedOf(thrown: unknown, code?: ErrorCode): Failed {
  const { code: own, message, hint, retryable, data } = toPgdbaError(thrown, code);
  return { code: own, message, hint, retryable, data };
}

/** `code` is for what a newer pgdba there says, and this one does not know. */
export function errorOf(failed: Failed, code: ErrorCode): PgdbaError {
  const { message, hint, retryable, data } = failed;
  const known = Object.hasOwn(EXIT_BY_CODE, failed.code) ? (failed.code as ErrorCode) : code;
  return new PgdbaError(known, message, { hint, retryable, data });
}
