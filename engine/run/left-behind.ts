import { readdirSync, readFileSync } from "node:fs";
import { PgdbaError } from "../errors.ts";
import { type Child, livingChildren } from "../journal/children.ts";
import type { Journal } from "../journal/journal.ts";
import type { Clock, StepRegistry } from "../types.ts";
import { procStat } from "../shared/proc-stat.ts";

/** The variable in which programs of a step find the id of their run. It also helps to find those that have left their parents behind. */
export const RUN_VARIABLE = "PGDBA_RUN";

/** The keeper of a process that was killed ends its programs in this time, ms. */
const KEEPER_MS = 3_000;
const POLL_MS = 50;
const MAX_NAMED = 5;

const NONE: ReadonlySet<string> = new Set();

/** Paths of the steps of a run whose jobs go on by themselves: a resumed run attaches to them. */
export async function jobPaths(
  journal: Journal,
  registry: StepRegistry,
  run: string,
): Promise<ReadonlySet<string>> {
  const paths = new Set<string>();
  for (const { path, type, result } of journal.steps(run))
    if (result === null && registry.has(type) && (await registry.get(type)).job) paths.add(path);
  return paths;
}

/**
 * Programs of dead runs that still run although their process is gone. Those that are just being ended are waited for, and those of
 * the steps at `jobs` are left out.
 * @throws PgdbaError journal_failed
 */
async function atWork(
  journal: Journal,
  clock: Clock,
  runs: readonly string[],
  jobs: ReadonlySet<string>,
): Promise<Child[]> {
  const look = () => livingChildren(journal, runs).filter(({ path }) => !jobs.has(path));
  const end = clock.monotonic() + KEEPER_MS;
  let living = look();
  while (living.length > 0 && clock.monotonic() < end) {
    await clock.sleep(POLL_MS);
    living = look();
  }
  return living;
}

/** @throws PgdbaError lock_held: a run can't go on beside what it has started before */
export async function assertNothingAtWork(
  journal: Journal,
  clock: Clock,
  run: string,
  jobs: ReadonlySet<string>,
): Promise<void> {
  const living = await atWork(journal, clock, [run], jobs);
  if (living.length === 0) return;
  const pids = living.map(({ pid }) => pid);
  throw new PgdbaError("lock_held", `What run ${run} had started still runs: ${namesOf(living)}`, {
    retryable: true,
    hint: `Wait for it to end, or end it (kill ${pids.slice(0, MAX_NAMED).join(" ")}), then \`pgdba resume ${run}\` again.`,
    data: { pids },
  });
}

/** Says of what dead runs have left that it still runs: programs, and what those have made of themselves. One line for each run. */
export async function leftBehind(
  journal: Journal,
  clock: Clock,
  runs: readonly string[],
  jobs = NONE,
): Promise<string[]> {
  const living = await atWork(journal, clock, runs, jobs);
  const known = new Set(living.map(({ pid }) => pid));
  // A program that has left its parents behind does not tell its step: it may be a job.
  const others = jobs.size > 0 ? [] : strays(runs);
  const all = [...living, ...others.filter(({ pid }) => !known.has(pid))];
  return [...Map.groupBy(all, ({ run }) => run)].map(
    ([run, left]) =>
      `Run ${run} has left behind what still runs: ${namesOf(left)}. Look at it; \`kill ${left[0]!.pid}\` ends the first.`,
  );
}

function namesOf(left: readonly Child[]): string {
  const named = left.slice(0, MAX_NAMED).map(({ program, pid }) => `${program} (pid ${pid})`);
  return [...named, ...(left.length > MAX_NAMED ? [`${left.length - MAX_NAMED} more`] : [])].join(
    ", ",
  );
}

/** Processes with the id of one of these runs in their environment, wherever they stand: on Linux, and of our own user. */
function strays(runs: readonly string[]): Child[] {
  const own = ancestry();
  return processes()
    .filter((pid) => !own.has(pid))
    .flatMap((pid) => {
      const environment = textOf(`/proc/${pid}/environ`).split("\0");
      const run = runs.find((id) => environment.includes(`${RUN_VARIABLE}=${id}`));
      const program = textOf(`/proc/${pid}/comm`).trim();
      return run === undefined || program === "" ? [] : [{ run, path: "", pid, program }];
    });
}

function processes(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** This process and those that it was started by: they may be what a run has started, and are no strays. */
function ancestry(): Set<number> {
  const own = new Set<number>();
  for (let pid = process.pid; pid > 0 && !own.has(pid);) {
    own.add(pid);
    pid = procStat(textOf(`/proc/${pid}/stat`))?.parent ?? 0;
  }
  return own;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
