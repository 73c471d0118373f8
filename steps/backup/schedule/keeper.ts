/** Where schedules stand, and who goes by them: the cron of this machine, or a node of the cluster that is there for it. */
export interface Keeper {
  /** In words: `crontab`, or the name of the node. */
  where: string;
  /** Why nothing of it will run, where that is known. */
  halted: string | null;
  /** Null where it goes by any time zone. */
  zone: string | null;
  list(): Promise<Kept[]>;
  /** Puts it there, in the place of one of its name; gives what stands there now, for people. */
  put(entry: Entry): Promise<string>;
  remove(name: string): Promise<void>;
  /** What `put` would put there. */
  show(entry: Entry): string;
}

/** What is scheduled; it stands with its keeper, so that nothing else has to agree with it. */
export interface Entry {
  name: string;
  cron: string;
  timezone: string;
  /** The words of each command after `pgdba`, done one after the other for as long as they succeed. */
  commands: string[][];
  added_at: string;
}

export interface Kept {
  name: string;
  /** Null when somebody has changed it by hand, so that it can't be read. */
  entry: Entry | null;
  /** When its commands began last. */
  ranAt: Date | null;
  /** What the last of them said, in a sentence; null before the first, and while one is at work. */
  said: { success: boolean; message: string } | null;
  /** Times that have passed without a run, as far as the keeper knows them itself. */
  missed: Missed | null;
}

export interface Missed {
  count: number;
  /** The last of them. */
  at: string;
  why: string;
}

/** What an envelope says of how it went. */
export function saidIn(envelope: string): Kept["said"] {
  try {
    const { success, error, command } = JSON.parse(envelope.trim().split("\n").at(-1) ?? "") as {
      success: boolean;
      command: string;
      error: { message: string } | null;
    };
    return { success, message: success ? `${command} is done` : (error?.message ?? "it failed") };
  } catch {
    return null;
  }
}
