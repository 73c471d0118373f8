import { constants } from "node:os";
import { PgdbaError } from "../../../engine/errors.ts";
import { checkArgv } from "../../../engine/spawn.ts";
import type { Sink } from "../../../engine/types.ts";
import type { By, JobName, Jobs, JobState } from "../contract.ts";
import type { At } from "./at.ts";
import { accountOn, nodeEnv } from "./account.ts";
import { answerOf, execIn } from "./exec.ts";
import script from "./node/jobs.py" with { type: "text" };
import { digestOfJob, folderOfJob } from "../job-names.ts";

const GRACE_MS = 2_000;
/** How often a line that breaks is taken up again while the node is there. */
const FOLLOW_AGAIN_MS = 250;

const SIGNALS = Object.fromEntries(
  Object.entries(constants.signals).map(([name, number]) => [number, name]),
) as Record<number, string | undefined>;

interface Told {
  name: JobName;
  labels: { run: string; path: string };
  running: boolean;
  code: number | null;
  written: JobState["written"];
}

/** A job is a folder on the node, in its volume where it has one: it outlives the container. At a stopped node it runs in a helper of it. */
export function jobsOf(by: By, at: (node: string) => Promise<At>): Jobs {
  const asked = async <T>(node: string, question: object): Promise<T> =>
    (await at(node)).work(false, (place) => answerOf<T>(place, script, question));
  const folderOf = async (node: string, name: JobName): Promise<string> =>
    `${baseOf((await at(node)).layout.home)}/${folderOfJob(name)}`;
  const find = async (node: string, name: JobName): Promise<JobState | null> => {
    const told = await asked<Told | null>(node, {
      verb: "find",
      folder: await folderOf(node, name),
    });
    return told === null ? null : stateOf(told);
  };
  const known = async (node: string, name: JobName): Promise<JobState> => {
    const state = await find(node, name);
    if (state !== null) return state;
    throw new PgdbaError("step_failed", `There is no job ${name} on ${node}`, {
      hint: "It was never started, or what was kept of it was removed.",
    });
  };
  return {
    async start(node, name, argv, options = {}) {
      checkArgv(argv, by.forbid);
      const on = await at(node);
      const user = options.user ?? on.layout.user;
      await accountOn(on, user);
      const { cwd = on.layout.home, stdin = "" } = options;
      const digest = digestOfJob(argv, options);
      const labels = { run: by.run, path: by.path };
      const env = { ...nodeEnv(on), ...options.env };
      const folder = await folderOf(node, name);
      const question = { verb: "start", folder, name, labels, argv, digest, user, cwd, env, stdin };
      const answer = await asked<{
        taken?: string;
        state?: Told;
        error?: { cwd?: string; program?: string };
      }>(node, question);
      if (answer.taken !== undefined) {
        throw new PgdbaError("step_refused", `Another program runs as job ${name}`, {
          hint: `It is ${answer.taken}; a job's name stands for one program.`,
          nothingDone: true,
        });
      }
      if (answer.state !== undefined) return stateOf(answer.state);
      const { cwd: folderError, program = "" } = answer.error ?? {};
      throw new PgdbaError(
        "command_failed",
        folderError === undefined
          ? `could not start ${argv[0]}: ${program}`
          : `${cwd} can't be entered: ${folderError}`,
        {
          hint: "Correct it, or give the node what is missing; PATH is searched.",
          nothingDone: true,
        },
      );
    },
    find,
    async list(node, which) {
      const { home } = (await at(node)).layout;
      const all = await asked<Told[]>(node, { verb: "list", base: baseOf(home) });
      return all
        .filter(({ labels }) => which === undefined || labels.run === which.run)
        .map(stateOf);
    },
    async follow(node, name, options = {}) {
      await known(node, name);
      const folder = await folderOf(node, name);
      const offsets = { stdout: 0, stderr: 0, ...options.from };
      const counted = (stream: "stdout" | "stderr", sink: Sink | undefined): Sink => {
        return async (bytes) => {
          await sink?.(bytes);
          offsets[stream] += bytes.length;
        };
      };
      const signal = AbortSignal.any([by.signal, ...(options.signal ? [options.signal] : [])]);
      for (;;) {
        const question = JSON.stringify({ verb: "follow", folder, from: offsets });
        const { exit_code } = await (
          await at(node)
        ).work(false, (place) =>
          execIn({ ...place, by: { signal } }, ["python3", "-I", "-S", "-c", script], {
            user: "0",
            cwd: "/",
            stdin: question,
            onStdout: counted("stdout", options.onStdout),
            onStderr: counted("stderr", options.onStderr),
          }),
        );
        signal.throwIfAborted();
        const state = await known(node, name);
        if (exit_code === 0 && state.state === "ended") return state;
        await Bun.sleep(FOLLOW_AGAIN_MS);
      }
    },
    async stop(node, name, { graceMs = GRACE_MS } = {}) {
      await known(node, name);
      const folder = await folderOf(node, name);
      const told = await asked<Told>(node, { verb: "stop", folder, grace: graceMs / 1000 });
      return stateOf(told);
    },
    async forget(node, name) {
      const folder = await folderOf(node, name);
      const { running } = await asked<{ running?: true }>(node, { verb: "forget", folder });
      if (!running) return;
      throw new PgdbaError("step_refused", `Job ${name} still runs`, {
        hint: "Stop it first, or wait for its end.",
        nothingDone: true,
      });
    },
  };
}

const baseOf = (home: string): string => `${home}/jobs`;

function stateOf({ name, labels, running, code, written }: Told): JobState {
  const how = { exit_code: null, signal: null };
  if (running) return { name, labels, state: "running", ...how, written };
  if (code === null) {
    const unknown = "it was killed together with what would have written down how it ended";
    return { name, labels, state: "ended", ...how, unknown, written };
  }
  const signal = code > 128 ? SIGNALS[code - 128] : undefined;
  return signal === undefined
    ? { name, labels, state: "ended", exit_code: code, signal: null, written }
    : { name, labels, state: "ended", exit_code: null, signal, written };
}
