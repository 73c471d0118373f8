/** The parts of the command line that name a server or a cluster. */
export interface TargetFlags {
  cluster?: string | undefined;
  host?: string | undefined;
  port?: string | number | undefined;
  user?: string | undefined;
  database?: string | undefined;
}

export interface TargetOptions {
  flags: TargetFlags;
  env: Readonly<Record<string, string | undefined>>;
  stateDir: string;
  /** Is called with every password before it is used. */
  onSecret(value: string): void;
  /** Is called with a message when something takes a while, such as the first start of the lab. */
  log?(message: string): void;
  /** True for a run that looks at its target: when nobody names one, the only cluster that is registered is taken. */
  assumes?: boolean | undefined;
  /** True for a run that works on databases which its parameters name: where none is named for the connection, it goes to `postgres`. */
  anyDatabase?: boolean | undefined;
  /** True for a run that goes on: the lab is as the run has left it, and is not started. */
  resumes?: boolean | undefined;
  /** The nearest of `candidates`, for "did you mean". */
  suggest?(word: string, candidates: Iterable<string>): string | undefined;
}
