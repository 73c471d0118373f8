import { lchown, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { exclusively } from "../../../engine/shared/exclusive.ts";
import { readTextIfThere } from "../../../engine/shared/read-file.ts";
import { writeWhole } from "../../../engine/shared/write-file.ts";
import { checkArgv } from "../../../engine/spawn.ts";
import type { Sink } from "../../../engine/types.ts";
import type { By, JobName, Jobs, JobState } from "../contract.ts";
import { exitOf, keeperOf, leftOf, startDetached, withdraw } from "./detached.ts";
import { accountOf, nodeEnv } from "./exec.ts";
import { type Home, nodeOf, type Place } from "./home.ts";
import { signalAll, signalProcess } from "./processes.ts";
import { digestOfJob, folderOfJob } from "../job-names.ts";

const POLL_MS = 25;
const CHUNK = 256 * 1024;
const GRACE_MS = 2_000;
const KILL_MS = 10_000;
const LOCK_MS = 30_000;
const MAX_RECORD = 1024 * 1024;

const SIGNALS = Object.fromEntries(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
) as Record<number, string | undefined>;

interface JobRecord {
  name: JobName;
  labels: { run: string; path: string };
  argv: string[];
  digest: string;
}

/** One folder per job below the node's; see detached.ts for what lies in it. */
export function jobsOf(home: Home, by: By): Jobs {
  const place = async (node: string, name: JobName) => {
    const { record, at } = await nodeOf(home, node);
    return { record, at, dir: join(at.jobs, folderOfJob(name)) };
  };
  const stateAt = async (dir: string): Promise<JobState | null> => {
    const record = recordOf(dir);
    if (record === undefined || (await keeperOf(dir)) === null) return null;
    return jobState(dir, record);
  };
  const known = async (node: string, name: JobName): Promise<{ dir: string; state: JobState }> => {
    const { dir } = await place(node, name);
    const state = await stateAt(dir);
    if (state !== null) return { dir, state };
    throw new PgdbaError("step_failed", `There is no job ${name} on ${node}`, {
      hint: "It was never started, or what was kept of it was removed.",
    });
  };
  return {
    async start(node, name, argv, options = {}) {
      const { record, at, dir } = await place(node, name);
      const user = options.user === undefined ? home.user : await accountOf(options.user);
      const env = { ...(await nodeEnv(home, record, at)), ...options.env };
      const program = resolved(argv, env, by);
      const digest = digestOfJob(argv, options);
      const labels = { run: by.run, path: by.path };
      await exclusively(
        join(home.dir, `jobs-${node}.lock`),
        { what: node, waitMs: LOCK_MS, signal: by.signal },
        async () => {
          const before = recordOf(dir);
          // A job that was never started has no right to the name.
          const started = before !== undefined && (await withdraw(dir));
          if (started && before.digest !== digest) {
            throw new PgdbaError("step_refused", `Another program runs as job ${name}`, {
              hint: `It is ${before.argv[0]}; a job's name stands for one program.`,
              nothingDone: true,
            });
          }
          const record = { name, labels, argv: [...argv], digest };
          const { stdin = "" } = options;
          if (!started) await makeJobDir(home, at, dir, { record, stdin, user });
          await startDetached(dir, program, { user, env, cwd: options.cwd ?? at.dir });
        },
      );
      return (await stateAt(dir))!;
    },
    async find(node, name) {
      const { dir } = await place(node, name);
      // A job that was about to start when its engine died does not start any more, so that the answer stays true.
      return (await withdraw(dir)) ? stateAt(dir) : null;
    },
    async list(node, which) {
      const { at } = await nodeOf(home, node);
      const names = (await readdir(at.jobs).catch(() => [])).filter((one) =>
        /^[0-9a-f]+$/.test(one),
      );
      const all = await Promise.all(names.map((one) => stateAt(join(at.jobs, one))));
      return all.filter(
        (one) => one !== null && (!which || one.labels.run === which.run),
      ) as JobState[];
    },
    async follow(node, name, options = {}) {
      const { dir } = await known(node, name);
      const record = recordOf(dir)!;
      const signal = AbortSignal.any([by.signal, ...(options.signal ? [options.signal] : [])]);
      const streams = [
        { file: join(dir, "stdout"), at: options.from?.stdout ?? 0, sink: options.onStdout },
        { file: join(dir, "stderr"), at: options.from?.stderr ?? 0, sink: options.onStderr },
      ];
      for (;;) {
        const state = await jobState(dir, record);
        for (const stream of streams)
          if (stream.sink) stream.at = await handOut(stream.file, stream.at, stream.sink, signal);
        // All that it wrote before it ended was there when it was read.
        if (state.state === "ended") return state;
        signal.throwIfAborted();
        await Bun.sleep(POLL_MS);
      }
    },
    async stop(node, name, { graceMs = GRACE_MS } = {}) {
      const { dir } = await known(node, name);
      await endJob(dir, graceMs, `job ${name}`);
      return jobState(dir, recordOf(dir)!);
    },
    async forget(node, name) {
      const { dir } = await place(node, name);
      const state = await stateAt(dir);
      if (state?.state === "running") {
        throw new PgdbaError("step_refused", `Job ${name} still runs`, {
          hint: "Stop it first, or wait for its end.",
          nothingDone: true,
        });
      }
      await withdraw(dir);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Ends all of it; its keeper is left to the last, for it writes down how the program ended. */
export async function endJob(dir: string, graceMs: number, what: string): Promise<void> {
  await withdraw(dir);
  const others = async () => (await leftOf(dir)).others;
  for (const { pid } of await others()) signalProcess(pid, "SIGTERM");
  const deadline = performance.now() + graceMs;
  while ((await others()).length > 0 && performance.now() < deadline) {
    // A stopped process would not hear the signal.
    for (const { pid, state } of await others()) if (state === "T") signalProcess(pid, "SIGCONT");
    await Bun.sleep(POLL_MS);
  }
  await signalAll(others, "SIGKILL", () => false, { withinMs: KILL_MS, what });
  const end = performance.now() + GRACE_MS;
  while ((await leftOf(dir)).keeper !== undefined && performance.now() < end) await Bun.sleep(5);
  const rest = async () => {
    const left = await leftOf(dir);
    return left.keeper === undefined ? left.others : [left.keeper, ...left.others];
  };
  await signalAll(rest, "SIGKILL", () => false, { withinMs: KILL_MS, what });
}

/** By its full path: a shell must not take it for a word of its own. */
function resolved(argv: readonly string[], env: Record<string, string>, by: By): string[] {
  checkArgv(argv, by.forbid);
  const [program = "", ...rest] = argv;
  const path = Bun.which(program, { PATH: env["PATH"] ?? "" });
  if (path === null) {
    throw new PgdbaError("command_failed", `command not found: ${program}`, {
      hint: "Install it, or give its full path; PATH is searched.",
      nothingDone: true,
    });
  }
  return [path, ...rest];
}

/** Whole or not at all: a folder with a record has all that the job needs. */
async function makeJobDir(
  home: Home,
  at: Place,
  dir: string,
  job: { record: JobRecord; stdin: string; user: { uid: number; gid: number } | null },
): Promise<void> {
  const { record, stdin, user } = job;
  const draft = join(at.jobs, `.${basename(dir)}.${crypto.randomUUID()}`);
  const owner = user ?? undefined;
  const service = home.user;
  await mkdir(at.jobs, { recursive: true, mode: 0o700 });
  if (service !== null) await lchown(at.jobs, service.uid, service.gid);
  await mkdir(draft, { mode: 0o700 });
  await writeWhole(join(draft, "stdin"), stdin, { owner });
  await writeWhole(join(draft, "job.json"), JSON.stringify(record), { owner });
  if (user !== null) await lchown(draft, user.uid, user.gid);
  await rm(dir, { recursive: true, force: true });
  await rename(draft, dir);
}

function recordOf(dir: string): JobRecord | undefined {
  const text = readTextIfThere(join(dir, "job.json"), { maxBytes: MAX_RECORD });
  return text === undefined ? undefined : (JSON.parse(text) as JobRecord);
}

async function jobState(dir: string, record: JobRecord): Promise<JobState> {
  const { name, labels } = record;
  // Asked in this order: one that ends in between has ended, and has written how.
  const { keeper, others } = await leftOf(dir);
  const exit = await exitOf(dir);
  const size = async (file: string): Promise<number> =>
    (await stat(join(dir, file)).catch(() => ({ size: 0 }))).size;
  const written = { stdout: await size("stdout"), stderr: await size("stderr") };
  if (keeper !== undefined || others.length > 0)
    return { name, labels, state: "running", exit_code: null, signal: null, written };
  if (exit === null) {
    return {
      name,
      labels,
      state: "ended",
      exit_code: null,
      signal: null,
      unknown: "it was killed together with what would have written down how it ended",
      written,
    };
  }
  const signal = exit > 128 ? SIGNALS[exit - 128] : undefined;
  return signal === undefined
    ? { name, labels, state: "ended", exit_code: exit, signal: null, written }
    : { name, labels, state: "ended", exit_code: null, signal, written };
}

/** All that the file has from `at` on, and where that ends. */
async function handOut(file: string, at: number, sink: Sink, signal: AbortSignal): Promise<number> {
  const handle = await open(file, "r").catch(() => null);
  if (handle === null) return at;
  try {
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead, buffer } = await handle.read(new Uint8Array(CHUNK), 0, CHUNK, at);
      if (bytesRead === 0) return at;
      await sink(buffer.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}
