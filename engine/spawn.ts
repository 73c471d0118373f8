import { readdir, readFile, stat } from "node:fs/promises";
import { PgdbaError, toPgdbaError, withNothingDone } from "./errors.ts";
import { beReady, keep, release } from "./keeper.ts";
import { capture, handOver, pump, type Reading } from "./shared/streams.ts";
import type { Sink, SpawnOptions, SpawnResult } from "./types.ts";
import { procStat } from "./shared/proc-stat.ts";

export interface ProcessOptions extends SpawnOptions {
  /** The environment that the child inherits; `env` is merged over it. Nothing else is inherited. */
  baseEnv: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  /** The user that it runs as; our own user without it. */
  user?: { uid: number; gid: number } | undefined;
  /** Is called with the program's process id, while it runs. */
  onStart?: ((pid: number) => void) | undefined;
  onEnd?: ((pid: number) => void) | undefined;
  /** True for a text that must not stand on a command line: argv is readable by every user of the machine. */
  forbid?: (text: string) => boolean;
}

const DEFAULT_MAX_BYTES = 1024 * 1024;
/** From SIGTERM to SIGKILL. */
const TERM_GRACE_MS = 2000;
/** How long to wait for a killed process to be gone: one in uninterruptible I/O may never be. */
const KILL_GRACE_MS = 500;
/** A daemon left behind may hold the pipes open for ever; when nothing has come for so long, all that the program wrote is read. */
const DRAIN_MS = 500;
const POLL_MS = 20;

/** Leaders of the process groups that are alive now; a group's id is its leader's. */
const groups = new Set<number>();

/**
 * Runs a local program without a shell, as the leader of its own session and process group, and waits for it.
 *
 * Of stdout the first `maxBytes` are kept, of stderr the last (that is where the reason stands); the rest is read and
 * dropped. A stream that has a sink is handed out whole instead. A program that ends well may leave a daemon behind. On abort the whole group gets SIGTERM, and SIGKILL 2 s
 * later; only a process that made itself a new session escapes that. It ends with this process, however that ends, unless it
 * `outlives` it.
 *
 * @throws PgdbaError invalid_param (argv or env can't be passed) | secret_exposed | command_failed (it did not start);
 *   the signal's reason when aborted; what a sink or the input threw, once the program was ended for it. A non-zero exit is a result,
 *   not an error.
 */
export async function spawnProcess(argv: string[], options: ProcessOptions): Promise<SpawnResult> {
  const env = mergeEnv(options.baseEnv, options.env);
  checkArgv(argv, options.forbid);
  if (options.signal.aborted) throw withNothingDone(toPgdbaError(options.signal.reason));

  if (!options.outlives) beReady();
  const child = await start(argv, env, options);
  groups.add(child.pid);
  if (!options.outlives) keep(child.pid);
  let ending: Promise<void> | undefined;
  const over = Promise.withResolvers<void>();
  let broken: { error: unknown } | undefined;
  const end = () => {
    ending ??= endGroup(child.pid);
    over.resolve();
  };
  /** Without a taker or a giver the program has no use, and would wait for ever. */
  const breakOff = (error: unknown) => {
    broken ??= { error };
    end();
  };
  options.signal.addEventListener("abort", end, { once: true });
  const inputEnds = new AbortController();
  try {
    await told(child.pid, options);
    const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    const read = (
      stream: ReadableStream<Uint8Array>,
      sink: Sink | undefined,
      part: "head" | "tail",
    ) => (sink ? handOver(stream, sink) : capture(stream, maxBytes, part));
    const stdout = read(child.stdout, options.onStdout, "head");
    const stderr = read(child.stderr, options.onStderr, "tail");
    for (const { done } of [stdout, stderr]) done.catch(breakOff);
    if (isStream(options.stdin))
      pump(options.stdin, child.stdin as Bun.FileSink, inputEnds.signal).catch(breakOff);
    await Promise.race([child.exited, over.promise]);
    if (!ending) await Promise.race([drained([stdout, stderr]), over.promise]);
    stdout.stop();
    stderr.stop();
    if (ending) {
      await ending;
      await settles(child.exited, KILL_GRACE_MS);
      options.signal.throwIfAborted();
    }
    if (broken) throw broken.error;
    return {
      exit_code: child.exitCode,
      signal: child.signalCode === null ? null : String(child.signalCode),
      stdout: stdout.text(),
      stderr: stderr.text(),
      truncated: stdout.truncated() || stderr.truncated(),
    };
  } finally {
    inputEnds.abort();
    options.signal.removeEventListener("abort", end);
    groups.delete(child.pid);
    if (!options.outlives) release(child.pid);
    options.onEnd?.(child.pid);
  }
}

/** A program that can't be noted may not run. */
async function told(pid: number, { onStart }: ProcessOptions): Promise<void> {
  try {
    onStart?.(pid);
  } catch (error) {
    await endGroup(pid);
    throw error;
  }
}

/** SIGKILL to every program that runs now and all its children: the second Ctrl-C. */
export function killAllChildren(): void {
  for (const group of groups) signalGroup(group, "SIGKILL");
}

async function start(argv: string[], env: Record<string, string>, options: ProcessOptions) {
  try {
    return Bun.spawn(argv, {
      env,
      stdin: inputOf(options.stdin),
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...options.user,
    });
  } catch (cause) {
    throw await startError(argv[0]!, options.cwd, cause);
  }
}

function inputOf(stdin: SpawnOptions["stdin"]): "ignore" | "pipe" | Uint8Array {
  if (stdin === undefined) return "ignore";
  if (typeof stdin === "string") return new TextEncoder().encode(stdin);
  return isStream(stdin) ? "pipe" : stdin;
}

function isStream(stdin: SpawnOptions["stdin"]): stdin is AsyncIterable<Uint8Array> {
  return typeof stdin === "object" && Symbol.asyncIterator in stdin;
}

/** Settles when both streams have ended, or when nothing comes any more and nobody is busy with what came. */
async function drained(streams: readonly Reading[]): Promise<void> {
  let ended = false;
  const all = Promise.allSettled(streams.map(({ done }) => done)).then(() => (ended = true));
  const since = performance.now();
  for (;;) {
    const last = Math.max(since, ...streams.map(({ lastAt }) => lastAt()));
    // While a sink is at work it may take as long as it likes.
    const left = last === Infinity ? DRAIN_MS : last + DRAIN_MS - performance.now();
    if (left <= 0) return;
    await settles(all, left);
    if (ended) return;
  }
}

async function startError(
  program: string,
  cwd: string | undefined,
  cause: unknown,
): Promise<PgdbaError> {
  const errno = (cause as { code?: unknown }).code;
  const failed = (message: string, hint: string) =>
    new PgdbaError("command_failed", message, {
      cause,
      hint,
      data: { errno: String(errno) },
      nothingDone: true,
    });
  if (errno === "ENOENT" || errno === "ENOTDIR") {
    // The kernel says ENOENT for a missing working directory too.
    if (cwd !== undefined && !(await isDirectory(cwd))) {
      return failed(`no such directory: ${cwd}`, "Create it, or correct `cwd`.");
    }
    return failed(
      `command not found: ${program}`,
      "Install it, or give its full path; PATH is searched.",
    );
  }
  if (errno === "EACCES") {
    return failed(
      `${program} may not be executed`,
      "Check the file's mode and those of its folders.",
    );
  }
  if (errno === "E2BIG") {
    return failed(
      `the command line of ${program} is too long`,
      "Hand large data over on stdin or in a file.",
    );
  }
  return failed(`could not start ${program}`, `The operating system said ${String(errno)}.`);
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** @throws PgdbaError invalid_param | secret_exposed */
export function checkArgv(argv: readonly string[], forbid: ProcessOptions["forbid"]): void {
  if (!argv[0]) {
    throw new PgdbaError("invalid_param", "no program to run", {
      hint: "The first item of argv names the program.",
      nothingDone: true,
    });
  }
  for (const [index, argument] of argv.entries()) {
    if (argument.includes("\0")) {
      throw new PgdbaError("invalid_param", `argument ${index} of the command holds a NUL byte`, {
        hint: "An argument can't hold one; use stdin or a file.",
        nothingDone: true,
      });
    }
    if (forbid?.(argument)) {
      throw new PgdbaError("secret_exposed", `argument ${index} of the command holds a secret`, {
        hint: "Every user of the machine can read command lines; hand it over in `env`, on stdin or in a file.",
        nothingDone: true,
      });
    }
  }
}

function mergeEnv(
  base: ProcessOptions["baseEnv"],
  own: Record<string, string> = {},
): Record<string, string> {
  for (const [name, value] of Object.entries(own)) {
    if (name === "" || /[=\0]/.test(name) || value.includes("\0")) {
      throw new PgdbaError(
        "invalid_param",
        `environment variable ${JSON.stringify(name)} can't be passed`,
        {
          hint: "A name may not be empty or hold `=`, and neither name nor value a NUL byte.",
          nothingDone: true,
        },
      );
    }
  }
  const merged: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...base, ...own })) {
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}

async function endGroup(group: number): Promise<void> {
  signalGroup(group, "SIGTERM");
  if (await groupEnds(group, TERM_GRACE_MS)) return;
  signalGroup(group, "SIGKILL");
  await groupEnds(group, KILL_GRACE_MS);
}

async function groupEnds(group: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    await Bun.sleep(POLL_MS);
    if (!signalGroup(group, 0) || (await onlyZombies(group))) return true;
  }
  return false;
}

/** True when all that is left of the group has ended and waits for an init process that is in no hurry to notice. */
async function onlyZombies(group: number): Promise<boolean> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(
    pids.map(async (pid) => procStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""))),
  );
  const members = all.filter((one) => one?.group === group);
  return members.length > 0 && members.every((one) => one?.ended);
}

/** False when the group has no process any more. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

async function settles(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: Timer | undefined;
  const expired = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise, expired]);
  clearTimeout(timer);
}
