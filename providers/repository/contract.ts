/**
 * A repository keeps the backups and the WAL of clusters: a folder or an object store. It knows objects with names, and nothing of
 * PostgreSQL. `tests/providers/repository/contract.ts` runs every verb of it against the real thing.
 *
 * An object is made once and never changed: whoever makes one under a name that is taken learns whether it is the same. Names are paths
 * without a leading `/` (`layout.ts` makes them). No name is a folder of another: some stores can't hold `a` and `a/b`.
 *
 * An answer is believed, and nothing else: an object is missing when the repository says so. A repository that does not answer, is overloaded
 * or refuses the key is `repository_failed` (retryable where it may pass), never a missing object.
 */
export interface Repository {
  /** In words, without a secret: `/backups`, `s3://bucket/prefix at https://host`. */
  readonly where: string;
  /**
   * Makes the object; it is there whole and durable (on disk with its folder, or acknowledged by the store), or not at all, however this ends.
   * `same`: one with the same content was there. A stream is read once, so one that meets a taken name is always refused.
   * @throws PgdbaError object_differs when another content has the name | repository_failed | repository_full
   */
  create(name: string, content: Content, options?: Signalled): Promise<"made" | "same">;
  /** Null when there is no such object. Bytes from `from` on, `bytes` of them at most. A stream that ends early fails. */
  read(
    name: string,
    options?: Signalled & { from?: number; bytes?: number },
  ): Promise<Bytes | null>;
  stat(name: string, options?: Signalled): Promise<Stored | null>;
  /** All objects whose names begin with `prefix` and come after `after`, in the order of their names (as bytes). */
  list(prefix: string, options?: Signalled & { after?: string }): AsyncIterable<Stored>;
  /**
   * The same without size and time, for which a folder looks at each file. `shallow`: what lies in folders below is told by the name of the folder,
   * with a `/` at its end; such a folder may have become empty meanwhile.
   */
  names(prefix: string, options?: Signalled & { shallow?: boolean }): AsyncIterable<string>;
  /** One that is not there counts as removed. */
  remove(names: readonly string[], options?: Signalled): Promise<void>;
  /** Removes what creations that were cut off have left half written, and nobody has gone on with since `before`. Gives their number. */
  sweep(before: Date, options?: Signalled): Promise<number>;
  /** Null where it has no limit that is known. */
  space(): Promise<{ totalBytes: number; freeBytes: number } | null>;
  close(): Promise<void>;
}

export type Bytes = AsyncIterable<Uint8Array>;
export type Content = Uint8Array | Bytes;

export interface Signalled {
  signal?: AbortSignal | undefined;
}

export interface Stored {
  name: string;
  bytes: number;
  /** When it was made, by the repository's clock. */
  at: Date;
}

/** Where a repository is, as a node's file writes it. It holds no secret, but names the file of one. */
export type Place =
  | {
      kind: "directory";
      /** The folder, on the machine that works with it. */
      path: string;
    }
  | {
      kind: "object_store";
      /** The URL of the store, without the bucket. */
      endpoint: string;
      bucket: string;
      /** Put before each name: empty, or with a `/` at its end. */
      prefix?: string;
      /** `us-east-1` without it. */
      region?: string;
      /** A file of mode 0600: the id of the key, a colon, and the key. */
      key_file: string;
      cafile?: string;
    };
