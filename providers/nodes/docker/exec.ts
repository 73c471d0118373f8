import { constants } from "node:os";
import type { Duplex } from "node:stream";
import { PgdbaError, toPgdbaError, withNothingDone } from "../../../engine/errors.ts";
import { partsUntil } from "../../../engine/shared/until.ts";
import { checkArgv } from "../../../engine/spawn.ts";
import type { Sink } from "../../../engine/types.ts";
import type { By, ExecOptions, ExecResult } from "../contract.ts";
import { type Engine, engineError, statusOf } from "./engine.ts";
import { Kept, readBoth, write } from "./line.ts";
import runner from "./node/run.py" with { type: "text" };

const MAX_BYTES = 1024 * 1024;
const PART = 64 * 1024;
/** A daemon that was left behind may hold the streams open: when nothing comes for so long, the Engine is asked. */
const IDLE_MS = 500;
/** An aborted program is given so long to be gone. */
const END_MS = 5_000;
const OWN_FAILURE = 125;

const SIGNALS = Object.fromEntries(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
) as Record<number, string | undefined>;

export interface ExecAt {
  engine: Engine;
  /** The container. */
  id: string;
  /** The node, in words. */
  node: string;
  by: Pick<By, "signal" | "forbid">;
}

export interface ContainerExec extends Omit<ExecOptions, "user" | "cwd"> {
  user: string;
  cwd: string;
  privileged?: boolean;
}

/**
 * Runs a program in a container and waits for it; it ends with us, however we end.
 * @throws PgdbaError invalid_param | secret_exposed | command_failed | connection_failed | timeout; the signal's reason when aborted
 */
export async function execIn(
  at: ExecAt,
  argv: readonly string[],
  options: ContainerExec,
): Promise<ExecResult> {
  checkArgv(argv, at.by.forbid);
  checkEnv(options.env);
  const late = new AbortController();
  const { timeoutMs } = options;
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => late.abort(tooLate(argv[0]!, timeoutMs)), timeoutMs);
  const signal = AbortSignal.any([
    at.by.signal,
    late.signal,
    ...(options.signal ? [options.signal] : []),
  ]);
  try {
    if (signal.aborted) throw withNothingDone(toPgdbaError(signal.reason));
    return await run(at, argv, options, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function run(
  { engine, id, node }: ExecAt,
  argv: readonly string[],
  options: ContainerExec,
  signal: AbortSignal,
): Promise<ExecResult> {
  const nonce = crypto.randomUUID();
  const { stdin } = options;
  const container = engine.docker.getContainer(id);
  const exec = await begin(engine, node, () =>
    container.exec({
      Cmd: ["python3", "-I", "-S", "-c", runner, nonce],
      Env: Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
      User: options.user,
      Privileged: options.privileged === true,
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    }),
  );
  const line = (await begin(engine, node, () =>
    exec.start({ hijack: true, stdin: true }),
  )) as Duplex;
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const [out, err] = [new Kept(maxBytes, "head"), new Kept(maxBytes, "tail")];
  const first = new FirstLine(nonce);
  let lastAt = performance.now();
  const handing = (sink: Sink | undefined, kept: Kept): Sink => {
    return async (bytes) => {
      lastAt = Infinity;
      await (sink === undefined ? kept.add(bytes) : sink(bytes));
      lastAt = performance.now();
    };
  };
  const stderr = handing(options.onStderr, err);
  let broken: { error: unknown } | undefined;
  const breakOff = (error: unknown) => {
    broken ??= { error };
    line.destroy();
  };
  const end = () => void line.destroy();
  line.on("error", () => {});
  if (signal.aborted) {
    // It was not told to start.
    end();
    throw withNothingDone(toPgdbaError(signal.reason));
  }
  signal.addEventListener("abort", end, { once: true });
  const order = { argv, cwd: options.cwd, input: stdin !== undefined };
  line.write(partOf(Buffer.from(JSON.stringify(order))));
  const closed = new Promise<void>((resolve) => line.once("close", resolve));
  const reading = readBoth(line, {
    stdout: handing(options.onStdout, out),
    stderr: async (bytes) => {
      const rest = first.take(bytes);
      if (rest !== undefined && rest.length > 0) await stderr(rest);
    },
  });
  // A line that broke has nothing more to say; the Engine tells the rest.
  const read = reading.catch((error: unknown) => {
    if (!line.destroyed || line.errored === null) breakOff(error);
  });
  const giving = stdin === undefined ? undefined : give(line, stdin, signal);
  giving?.catch(breakOff);
  const inspect = () => exec.inspect();
  try {
    await Promise.race([read, closed.then(() => read), idle(() => lastAt, inspect, read)]);
    if (signal.aborted || broken) {
      await ends(inspect);
      signal.throwIfAborted();
      throw broken!.error;
    }
    const info = await inspect().catch(() => undefined);
    const died = await diedMeanwhile(engine, id);
    return result(info?.Running ? null : (info?.ExitCode ?? null), {
      first,
      out,
      err,
      argv,
      node,
      died,
    });
  } finally {
    signal.removeEventListener("abort", end);
    line.destroy();
  }
}

interface Ended {
  first: FirstLine;
  out: Kept;
  err: Kept;
  argv: readonly string[];
  node: string;
  died: string | undefined;
}

function result(code: number | null, { first, out, err, argv, node, died }: Ended): ExecResult {
  const { word } = first;
  if (word !== undefined && word !== "ok" && code === OWN_FAILURE) throw notStarted(argv[0]!, word);
  const texts = { stdout: out.text(), stderr: err.text() };
  const truncated = out.truncated || err.truncated;
  if (word === undefined && code !== null && died === undefined) {
    throw new PgdbaError(
      "command_failed",
      `Nothing can be run on ${node}: its image has no python3`,
      {
        hint: "Give the image python3; pgdba runs programs by it.",
        data: { stderr: texts.stderr + texts.stdout },
        nothingDone: true,
      },
    );
  }
  // Whoever would have told how it ended was killed with it.
  if (code === null || (died !== undefined && code > 128))
    return {
      exit_code: null,
      signal: null,
      ...texts,
      truncated,
      unknown: died ?? "the line to the Docker Engine broke",
    };
  const signal = code > 128 ? SIGNALS[code - 128] : undefined;
  return { exit_code: signal ? null : code, signal: signal ?? null, ...texts, truncated };
}

async function begin<T>(engine: Engine, node: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const status = statusOf(error);
    if (status === 409 || status === 404) {
      throw new PgdbaError("connection_failed", `${node} runs nothing at the moment`, {
        hint: "Start it, or thaw it if it is frozen.",
        cause: error,
        nothingDone: true,
      });
    }
    throw engineError(engine, `run a program on ${node}`, error);
  }
}

/** Why nothing that ran in the container can have told how it ended. */
async function diedMeanwhile(engine: Engine, id: string): Promise<string | undefined> {
  const found = await engine.docker
    .getContainer(id)
    .inspect()
    .catch((error: unknown) => (statusOf(error) === 404 ? null : undefined));
  if (found === undefined) return undefined;
  return found?.State.Running ? undefined : "its container ended while it ran";
}

/** Settles when the program has ended and nothing comes any more: what it wrote last may come after the Engine's word that it has ended. */
export async function idle(
  lastAt: () => number,
  inspect: () => Promise<{ Running: boolean }>,
  read: Promise<void>,
): Promise<void> {
  let over = false;
  void read.finally(() => (over = true));
  let endedAt = Infinity;
  while (!over) {
    await Bun.sleep(IDLE_MS);
    if (over || performance.now() - lastAt() < IDLE_MS) continue;
    if (performance.now() - Math.max(lastAt(), endedAt) >= IDLE_MS) return;
    if (endedAt < Infinity) continue;
    const info = await inspect().catch(() => undefined);
    if (info?.Running === false) endedAt = performance.now();
  }
}

async function ends(inspect: () => Promise<{ Running: boolean }>): Promise<void> {
  const deadline = performance.now() + END_MS;
  while (performance.now() < deadline) {
    const info = await inspect().catch(() => undefined);
    if (info === undefined || !info.Running) return;
    await Bun.sleep(20);
  }
}

/** Sends the input in parts, each behind its length. Asked for as fast as the program reads. */
async function give(
  line: Duplex,
  stdin: NonNullable<ExecOptions["stdin"]>,
  signal: AbortSignal,
): Promise<void> {
  const send = async (bytes: Uint8Array): Promise<boolean> => {
    for (let at = 0; at < bytes.length; at += PART) {
      if (!(await write(line, partOf(bytes.subarray(at, at + PART))))) return false;
    }
    return true;
  };
  const whole = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  if (whole instanceof Uint8Array) await send(whole);
  else {
    const ends = new AbortController();
    const end = () => ends.abort();
    signal.addEventListener("abort", end, { once: true });
    line.once("close", end);
    if (signal.aborted) end();
    try {
      for await (const part of partsUntil(whole, ends.signal)) if (!(await send(part))) break;
    } catch (error) {
      if (!ends.signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", end);
      line.off("close", end);
    }
  }
  await write(line, partOf(new Uint8Array()));
}

/** Behind its length. */
function partOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The first line on stderr is the runner's word on the start. */
class FirstLine {
  readonly #mark: string;
  #text = Buffer.alloc(0);
  word: string | undefined;
  #over = false;

  constructor(nonce: string) {
    this.#mark = `\u0001${nonce} `;
  }

  take(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#over) return bytes;
    this.#text = Buffer.concat([this.#text, bytes]);
    const at = this.#text.indexOf(10);
    if (at === -1) return undefined;
    this.#over = true;
    const line = this.#text.subarray(0, at).toString("utf8");
    if (!line.startsWith(this.#mark)) return this.#text;
    this.word = line.slice(this.#mark.length);
    return this.#text.subarray(at + 1);
  }
}

function notStarted(program: string, word: string): PgdbaError {
  const [what, ...why] = word.split(" ");
  return what === "cwd"
    ? new PgdbaError("command_failed", `the working directory can't be entered: ${why.join(" ")}`, {
        hint: "Create it, or correct `cwd`.",
        nothingDone: true,
      })
    : new PgdbaError("command_failed", `could not start ${program}: ${why.join(" ")}`, {
        hint: "Give the image that program, or its full path; PATH is searched.",
        nothingDone: true,
      });
}

function checkEnv(env: Record<string, string> = {}): void {
  for (const [name, value] of Object.entries(env)) {
    if (name !== "" && !/[=\0]/.test(name) && !value.includes("\0")) continue;
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

function tooLate(program: string, timeoutMs: number): PgdbaError {
  return new PgdbaError("timeout", `${program} did not end within ${timeoutMs} ms`, {
    hint: "Give it more time, or find out what it was waiting for.",
    retryable: true,
  });
}

/** Runs one of our own scripts with its question on its input, and gives its answer. @throws PgdbaError command_failed | connection_failed */
export async function answerOf<T>(
  at: ExecAt,
  script: string,
  question: unknown,
  options: { user?: string; privileged?: boolean; signal?: AbortSignal } = {},
): Promise<T> {
  const done = await execIn(at, ["python3", "-I", "-S", "-c", script], {
    user: "0",
    cwd: "/",
    stdin: JSON.stringify(question),
    maxBytes: 64 * MAX_BYTES,
    ...options,
  });
  if (done.exit_code === 0) return JSON.parse(done.stdout) as T;
  const why = done.unknown ?? (done.stderr.trim() || `exit code ${done.exit_code ?? done.signal}`);
  throw new PgdbaError(
    done.unknown ? "connection_failed" : "command_failed",
    `${at.node} gave no answer: ${why}`,
    {
      hint: "Look at the node's state and at the Engine.",
      retryable: done.unknown !== undefined,
    },
  );
}
