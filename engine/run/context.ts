import { evaluate, explain } from "../expr/cel.ts";
import { renderText } from "../expr/template/render.ts";
import { childEnded, childStarted } from "../journal/children.ts";
import { cut } from "../shared/cut.ts";
import { spawnProcess } from "../spawn.ts";
import type {
  Access,
  AccessFor,
  Attached,
  Json,
  JsonObject,
  StepContext,
  StepType,
} from "../types.ts";
import { PgdbaError } from "../errors.ts";
import { declarationsOf, isOwn } from "../declared.ts";
import { checkedLibrary } from "./checked-library.ts";
import { RUN_VARIABLE } from "./left-behind.ts";
import { notedBy, takeNote } from "./notes.ts";
import { progressOf } from "./progress.ts";
import { askOrWait } from "./question.ts";
import { type Watch, withMore } from "./sensitive.ts";
import { type RunState, type Scope, variables } from "./state.ts";

export interface Calls {
  /** Runs `runbook` inside this run; given by the interpreter, which this file must not import. */
  call(runbook: string, params: JsonObject): Promise<Json>;
}

/** The context of one attempt of a step, and a record of what the step reported while it ran. */
export function makeContext(
  state: RunState,
  scope: Scope,
  at: {
    id: string;
    path: string;
    attempt: number;
    signal: AbortSignal;
    /** As written or rendered; what the type declares may depend on it. */
    input: Json;
    /** The name of the job that it starts, or has started. */
    job: string;
    /** The job that it goes on with. */
    attached?: Attached | undefined;
    /** Is called when the step reads sensitive data. */
    watch: Watch;
    /** True when the messages of the step may stand in no artifact, as far as is known. */
    hidden(): boolean;
  },
  type: StepType,
  calls: Calls,
): { ctx: StepContext; told: { unchanged: boolean } } {
  const told = { unchanged: false };
  const vars = variables(state, scope, at.watch);
  const { secrets } = state;
  const ctx: StepContext = {
    run: {
      id: state.id,
      runbook: scope.runbook.name,
      plan: state.plan,
      readOnly: state.readOnly,
      stateDir: state.stateDir,
    },
    step: { id: at.id, path: at.path, attempt: at.attempt, job: at.job },
    target: state.target,
    use: (what) => use(state, type, at, what),
    signal: at.signal,
    clock: state.clock,
    env: state.env,
    cwd: state.cwd,
    library: type.document ? checkedLibrary(state.library, type.document) : state.library,
    get attached() {
      return at.attached;
    },
    get noted() {
      return notedBy(state, at.path);
    },
    note: (value) => takeNote(state, at.path, value, at.hidden()),
    progress: progressOf(state, at),
    log(message, level = "info") {
      if (at.hidden()) return;
      state.emit({ kind: "step.log", path: at.path, level, message: cut(message) });
    },
    evaluate: (cel, extra) => evaluate(cel, withMore(vars, extra)),
    explain: (cel, extra) => explain(cel, withMore(vars, extra), (text) => secrets.redact(text)),
    render: (text, extra) => renderText(text, withMore(vars, extra)),
    async spawn(argv, options = {}) {
      const result = await spawnProcess(argv, {
        ...options,
        env: { [RUN_VARIABLE]: state.id, ...options.env },
        onStart: (pid) =>
          childStarted(state.journal, { run: state.id, path: at.path, pid, program: argv[0]! }),
        onEnd: (pid) => childEnded(state.journal, state.id, pid),
        baseEnv: state.env,
        cwd: options.cwd ?? state.stateDir,
        signal: at.signal,
        forbid: (text) => secrets.exposedIn(text),
      });
      if (!result.truncated) return result;
      // The cut may go through a secret, and what is left of that could not be told any more.
      const stdout = secrets.withoutCut(result.stdout, "end");
      return { ...result, stdout, stderr: secrets.withoutCut(result.stderr, "start") };
    },
    resource: (key, open) => sharedResource(state, key, open),
    secret: (value) => secrets.add(value),
    holdsSecret: (text) => at.hidden() || secrets.heldIn(text),
    call: calls.call,
    unchanged: () => {
      told.unchanged = true;
    },
    warn(said) {
      const message = at.hidden()
        ? `A warning of ${at.path} is withheld, for it is sensitive`
        : cut(said);
      state.warnings.push(message);
      state.emit({ kind: "step.log", path: at.path, level: "warn", message });
    },
    ask: (question, expect) => askOrWait(state, at.path, secrets.redact(question), expect ?? null),
  };
  return { ctx, told };
}

/** @throws PgdbaError step_refused for what the type does not declare | no_target */
async function use<K extends keyof Access>(
  { id, target, plan }: RunState,
  type: StepType,
  at: { path: string; input: Json; signal: AbortSignal },
  what: K,
): Promise<Access[K]> {
  const { needs, uses, effect, hazards } = declarationsOf(type, at.input);
  if (!needs.includes(what) && !uses.includes(what)) {
    throw new PgdbaError("step_refused", `${type.type} uses ${what} and does not declare it`, {
      hint: `Add \`needs: ["${what}"]\` to the step type.`,
    });
  }
  if (!target.use) {
    throw new PgdbaError("no_target", `This step needs ${what}, and no target was named`, {
      hint: "Name one with --cluster NAME, --host HOST, or PGDBA_PG_HOST; `--cluster lab` starts one for trying things out.",
    });
  }
  const on: AccessFor = {
    run: id,
    path: at.path,
    // A plan looks, and changes nothing.
    effect: plan ? "read" : effect,
    needs,
    rollsBack: type.rollsBack === true,
    own: isOwn(type),
    hazards,
    signal: at.signal,
  };
  return (await target.use(what, on)) as Access[K];
}

/** Opened once per key and run; closed with the run. A failed opening is not remembered. */
async function sharedResource<T>(
  state: RunState,
  key: string,
  open: () => Promise<{ value: T; close(): Promise<void> }>,
): Promise<T> {
  const known = state.resources.get(key);
  if (known) return known as Promise<T>;
  const opening = open().then(({ value, close }) => {
    state.releasers.push(close);
    return value;
  });
  state.resources.set(key, opening);
  try {
    return await opening;
  } catch (error) {
    state.resources.delete(key);
    throw error;
  }
}

/** Time that work has to end by itself once its signal was aborted, and once the run was told to end at once, ms. */
const GRACE_MS = 5_000;
const HARD_GRACE_MS = 500;

/** Settles with `work`, or rejects with the reason of the first signal that aborted when `work` did not end within its grace. */
export function settleOrAbort<T>(
  work: Promise<T>,
  signals: readonly AbortSignal[],
  hard: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const releases: (() => void)[] = [];
    const watch = (signal: AbortSignal, graceMs: number) => {
      const onAbort = () => {
        const timer = setTimeout(() => reject(signal.reason), graceMs);
        releases.push(() => clearTimeout(timer));
      };
      releases.push(() => signal.removeEventListener("abort", onAbort));
      if (signal.aborted) onAbort();
      else signal.addEventListener("abort", onAbort, { once: true });
    };
    for (const signal of signals) watch(signal, GRACE_MS);
    watch(hard, HARD_GRACE_MS);
    work.then(resolve, reject).finally(() => {
      for (const release of releases) release();
    });
  });
}

export function timeoutError(path: string, timeout: string): PgdbaError {
  return new PgdbaError("timeout", `${path} did not end within ${timeout}`, {
    hint: "Give it more time with `timeout:`, or find out what it was waiting for.",
    retryable: true,
  });
}
