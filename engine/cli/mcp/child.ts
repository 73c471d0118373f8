import { PgdbaError } from "../../errors.ts";
import { Lines } from "../../shared/lines.ts";
import { spawnProcess } from "../../spawn.ts";
import type { Envelope, Json } from "../../types.ts";
import type { Front } from "../front.ts";

/** The outcome of a command: its envelope and its exit code. */
export interface Outcome {
  exit: number;
  envelope: Envelope;
}

/** The most of an answer that is kept, in bytes; the command itself bounds it far below. */
const MAX_STDOUT = 4 * 1024 * 1024;
/** Each call is a process of its own, with some 100 MB and a session on the server. */
const MOST_AT_ONCE = 8;
/** A line of progress is cut to so many characters. */
const MAX_LINE = 500;

/** The variables that would change what a child answers. */
const NOT_HANDED_ON = ["PGDBA_FORMAT", "PGDBA_DEBUG", "PGDBA_CWD"];

/** Commands of this program as processes of their own: what a server of many calls must not share (locks, signals, secrets), they do not. */
export class Children {
  readonly #front: Front;
  readonly #caller: string;
  /** Process ids, and the ends of what they do. */
  readonly #running = new Map<number, Promise<unknown>>();
  /** Those that were interrupted: a second signal would cut short what takes back. */
  readonly #interrupted = new Set<number>();
  #places = MOST_AT_ONCE;
  #isClosed = false;

  /** `caller` is whom the policy takes them for, where the environment does not say another. */
  constructor(front: Front, caller: string) {
    this.#front = front;
    this.#caller = caller;
  }

  /**
   * Runs `pgdba <argv>` to its end. The signal interrupts it as Ctrl-C does, once: what it does is taken back, and its answer says so. What it
   * says of its progress goes to `onLine`. @throws PgdbaError internal when it gives no envelope
   */
  async run(
    argv: readonly string[],
    { signal, onLine }: { signal?: AbortSignal; onLine?: (line: string) => void } = {},
  ): Promise<Outcome> {
    if (this.#isClosed || signal?.aborted)
      throw new PgdbaError("interrupted", "The call was cancelled before it began", {
        hint: "Nothing was done. Call it again.",
      });
    if (this.#places === 0)
      throw new PgdbaError("limit_exceeded", `${MOST_AT_ONCE} calls are running already`, {
        hint: "Wait until one of them has ended, then call it again.",
        retryable: true,
      });
    this.#places -= 1;
    const { self, packageDir, cwd, env, stop } = this.#front;
    const handed = Object.entries(env).filter(([name]) => !NOT_HANDED_ON.includes(name));
    const ended = Promise.withResolvers<void>();
    let child: number | undefined;
    const interrupt = (): void => this.#interrupt(child);
    signal?.addEventListener("abort", interrupt, { once: true });
    const said = new Lines(MAX_LINE);
    try {
      const { exit_code, stdout } = await spawnProcess([...self, ...argv], {
        // As the launcher does: of the caller's folder nothing may count but what pgdba itself looks for there.
        cwd: Bun.isStandaloneExecutable ? cwd : packageDir,
        baseEnv: Object.fromEntries(handed),
        env: { PGDBA_CALLER: env["PGDBA_CALLER"] || this.#caller, PGDBA_CWD: cwd },
        // A server that is killed leaves a run to its end: cut in the middle it would need a person.
        outlives: true,
        signal: stop.hard,
        maxBytes: MAX_STDOUT,
        onStderr: (bytes) => {
          for (const line of said.take(bytes)) if (line !== "") onLine?.(line.slice(0, MAX_LINE));
        },
        onStart: (pid) => {
          child = pid;
          this.#running.set(pid, ended.promise);
          if (signal?.aborted) interrupt();
        },
        onEnd: (pid) => {
          this.#running.delete(pid);
          this.#interrupted.delete(pid);
        },
      });
      return { exit: exit_code ?? 1, envelope: envelopeOf(stdout, exit_code) };
    } finally {
      this.#places += 1;
      child = undefined;
      signal?.removeEventListener("abort", interrupt);
      ended.resolve();
    }
  }

  /** Interrupts all that run, and waits for their ends. What is called after this does not begin: nobody would hear of it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pid of this.#running.keys()) this.#interrupt(pid);
    await Promise.all(this.#running.values());
  }

  /** As one Ctrl-C does, however many ask for it: a caller that goes cancels its call, and closes the line. It may have ended just now. */
  #interrupt(pid: number | undefined): void {
    if (pid === undefined || this.#interrupted.has(pid)) return;
    this.#interrupted.add(pid);
    try {
      process.kill(pid, "SIGINT");
    } catch {
      // It is gone.
    }
  }
}

function envelopeOf(stdout: string, exit: number | null): Envelope {
  try {
    return JSON.parse(stdout) as Envelope;
  } catch (cause) {
    throw new PgdbaError(
      "internal",
      `The command ended with exit ${String(exit)} and without an answer`,
      {
        cause,
        hint: "Was it killed? The tool `status` shows the runs, and whether one must be looked at.",
        data: { stdout: stdout.slice(0, 1_000) } as Json,
      },
    );
  }
}
