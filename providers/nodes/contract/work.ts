import type { Sink, SpawnOptions, SpawnResult } from "../../../engine/types.ts";

/** The same as for a local program. */
export interface ExecOptions extends Omit<SpawnOptions, "outlives"> {
  /** An account of the node; the one that its PostgreSQL runs as without it. */
  user?: string;
  timeoutMs?: number;
  /** Beside that of the step. */
  signal?: AbortSignal;
}

export interface ExecResult extends SpawnResult {
  /**
   * Why it is not known how it ended: the line broke, or the machine started anew. Exit code and signal are null then, and never is it
   * taken for a success.
   */
  unknown?: string;
}

/**
 * A changing program is named by the run, path and attempt that asked for it, so that whoever comes after a crash finds it: `step.job` of
 * a step's context.
 */
export type JobName = string;

/**
 * Programs that go on when pgdba or the line to the node ends. Their output stands in files of the node, and so does how they ended;
 * a job that has started is never started again.
 */
export interface Jobs {
  /**
   * Starts it, once: where the name is taken by the same program, this is `find`. `stdin` is whole before it starts.
   * @throws PgdbaError step_refused: the name is taken by another program
   */
  start(
    node: string,
    name: JobName,
    argv: readonly string[],
    options?: { env?: Record<string, string>; cwd?: string; user?: string; stdin?: string },
  ): Promise<JobState>;
  /** Null when it was never started. */
  find(node: string, name: JobName): Promise<JobState | null>;
  /** All jobs on the node, or those of one run. */
  list(node: string, which?: { run: string }): Promise<JobState[]>;
  /** Hands out what it writes from these offsets on until it ends, and gives how it ended. Aborted, it leaves the job alone. */
  follow(
    node: string,
    name: JobName,
    options?: {
      from?: JobOffsets;
      onStdout?: Sink;
      onStderr?: Sink;
      signal?: AbortSignal;
    },
  ): Promise<JobState>;
  /** SIGTERM to all of it, SIGKILL after the grace (2 s without it), and waits until nothing of it is left. */
  stop(node: string, name: JobName, options?: { graceMs?: number }): Promise<JobState>;
  /** Removes what is kept of one that has ended. */
  forget(node: string, name: JobName): Promise<void>;
}

export interface JobOffsets {
  stdout: number;
  stderr: number;
}

export interface JobState {
  name: JobName;
  labels: { run: string; path: string };
  /** `ended` is said when no process of it is left. */
  state: "running" | "ended";
  /** The end of it; both are null while it runs. A status above 128 is taken for a signal, as shells do. */
  exit_code: number | null;
  signal: string | null;
  /** Why it is not known how it ended: it was killed together with whoever wrote that down. */
  unknown?: string;
  /** The amount of its output so far. */
  written: JobOffsets;
}

/** The owner of files that are put on a node, and their readers. */
export interface FileOptions {
  /** An account of the node, or `user:group`; the one that its PostgreSQL runs as without it. */
  owner?: string;
  /** The mode of files; by default 0600. */
  mode?: number;
  /** The mode of folders of a tree; by default 0700. */
  folderMode?: number;
  /** A tree takes the place of what is there; without it the path must be free. A file always does. */
  replace?: boolean;
}

export type Content = string | Uint8Array | AsyncIterable<Uint8Array>;

export interface Files {
  /**
   * A reader of `path` finds the old or the new content, whole and on disk: it is written under another name beside it, synced and renamed.
   * Text, bytes, or a local file or folder.
   */
  put(
    node: string,
    path: string,
    from: { content: Content } | { local: string },
    options?: FileOptions,
  ): Promise<void>;
  /**
   * The content of a file, handed out as it is read, or a file or folder to a local path where nothing is yet; with modes, and owners
   * where we may set them.
   * @throws PgdbaError io_failed
   */
  get(node: string, path: string, to: { sink: Sink } | { local: string }): Promise<void>;
}
