/** The jobs of `pgdba work`, each in a file of its own that is loaded when it is asked for: one line each. */
import type { Job, Told } from "./work.ts";

export interface WorkIo {
  /** Aborted when it was told to end: SIGTERM to the job. */
  signal: AbortSignal;
  env: Readonly<Record<string, string | undefined>>;
  /** Standard input after the line with the order. */
  input: AsyncIterable<Uint8Array>;
  /** Standard output, for jobs that talk. */
  output(bytes: Uint8Array): Promise<void>;
  /** A line of progress. */
  tell(told: Told): void;
}

/** A file of a job exports this; the order is what its caller wrote, checked by itself. */
export interface Work<Order = unknown, Result = unknown> {
  run(order: Order, io: WorkIo): Promise<Result>;
  /** Its standard output is a conversation: no outcome is written there. */
  talks?: true;
}

type Load = () => Promise<Work<never>>;

const loaders: Record<Job, Load> = {
  fetch: () => import("./fetch-job.ts"),
  recover: () => import("./recover-job.ts"),
  lend: () => import("./lend.ts"),
  serve: () => import("./serve.ts"),
  make: () => import("./make.ts"),
  try: () => import("./try.ts"),
};

/** Each checks its own order. */
export const JOBS = loaders as Record<Job, () => Promise<Work>>;
