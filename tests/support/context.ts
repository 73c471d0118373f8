import { PgdbaError } from "../../engine/errors.ts";
import { evaluate, explain } from "../../engine/expr/cel.ts";
import { renderText } from "../../engine/expr/template/render.ts";
import { Releasers } from "../../engine/releasers.ts";
import { Secrets } from "../../engine/secrets.ts";
import { spawnProcess } from "../../engine/spawn.ts";
import type {
  Clock,
  Effect,
  Json,
  JsonObject,
  Progress,
  Library,
  StepContext,
  Target,
  Variables,
} from "../../engine/types.ts";

/** Time that passes only when a test or a `sleep` says so. */
export interface ManualClock extends Clock {
  advance(ms: number): void;
  /** Every `sleep`, in ms. */
  readonly sleeps: number[];
}

export function manualClock(start = "2026-01-01T00:00:00Z"): ManualClock {
  let elapsed = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    advance: (ms) => void (elapsed += ms),
    now: () => new Date(Date.parse(start) + elapsed),
    monotonic: () => elapsed,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      sleeps.push(ms);
      elapsed += ms;
    },
  };
}

/** What a step did with its context. */
export interface Recorded {
  logs: { message: string; level: "info" | "warn" }[];
  warnings: string[];
  secrets: string[];
  notes: Json[];
  progress: Progress[];
  calls: { runbook: string; params: JsonObject }[];
  /** How often the step said that it changed nothing. */
  unchanged: number;
}

export interface FakeContext extends StepContext {
  /** What the step may do to its target; `change` until `runStep` says otherwise. */
  readonly does: { effect: Effect; rollsBack: boolean };
  readonly recorded: Recorded;
  abort(reason?: unknown): void;
  /** Closes the resources, last opened first, as the end of a run does. */
  close(): Promise<void>;
}

export interface Overrides extends Partial<
  Omit<StepContext, "run" | "step" | "target" | "signal" | "evaluate" | "explain" | "render">
> {
  run?: Partial<StepContext["run"]>;
  step?: Partial<StepContext["step"]>;
  target?: Partial<Target>;
  /** What expressions and templates see. */
  vars?: Variables;
}

/**
 * A context for unit tests of step types: expressions, templates, processes and secrets are the real ones; time stands
 * still (`manualClock`) unless a `clock` is given; there is no target, no library and no other runbook unless given.
 */
export function fakeContext(overrides: Overrides = {}): FakeContext {
  const { run, step, target, vars = {}, env = { PATH: process.env.PATH }, ...rest } = overrides;
  const controller = new AbortController();
  const secrets = new Secrets();
  const releasers = new Releasers();
  const opened = new Map<string, Promise<unknown>>();
  const does: FakeContext["does"] = { effect: "change", rollsBack: false };
  const recorded: Recorded = {
    logs: [],
    warnings: [],
    secrets: [],
    notes: [],
    progress: [],
    calls: [],
    unchanged: 0,
  };
  const context: FakeContext = {
    run: {
      id: "run-1",
      runbook: "test/runbook",
      plan: false,
      readOnly: false,
      stateDir: "/nonexistent",
      ...run,
    },
    step: { id: "step", path: "step", attempt: 1, job: "run-1/step", ...step },
    target: { ...noTarget, ...target },
    async use(what) {
      const on = {
        run: context.run.id,
        path: "step",
        ...does,
        hazards: [],
        signal: controller.signal,
      };
      const target = context.target;
      if (!target.use)
        throw new PgdbaError("no_target", "no target in this test", { hint: "Give one." });
      return (await target.use(what, on)) as never;
    },
    signal: controller.signal,
    clock: manualClock(),
    env,
    cwd: process.cwd(),
    library: emptyLibrary,
    attached: undefined,
    get noted() {
      return recorded.notes.at(-1);
    },
    note: (value) => void recorded.notes.push(value),
    progress: (one) => void recorded.progress.push(one),
    ask: async () => null,
    log: (message, level = "info") => void recorded.logs.push({ message, level }),
    evaluate: (cel, extra) => evaluate(cel, { ...vars, ...extra }),
    explain: (cel, extra) => explain(cel, { ...vars, ...extra }),
    render: (text, extra) => renderText(text, { ...vars, ...extra }),
    spawn: (argv, options = {}) =>
      spawnProcess(argv, {
        ...options,
        baseEnv: env,
        signal: controller.signal,
        forbid: (text) => secrets.exposedIn(text),
      }),
    resource<T>(
      key: string,
      open: () => Promise<{ value: T; close(): Promise<void> }>,
    ): Promise<T> {
      const found = opened.get(key) ?? openOnce(open, releasers);
      opened.set(key, found);
      // One that failed is not remembered, as in a run.
      found.catch(() => opened.delete(key));
      return found as Promise<T>;
    },
    secret(value) {
      secrets.add(value);
      recorded.secrets.push(value);
    },
    holdsSecret: (text) => secrets.heldIn(text),
    async call(runbook, params): Promise<Json> {
      recorded.calls.push({ runbook, params });
      throw new PgdbaError("unknown_runbook", `no runbook ${runbook} in this test`, {
        hint: "Override `call`.",
      });
    },
    unchanged: () => void recorded.unchanged++,
    warn: (message) => void recorded.warnings.push(message),
    ...rest,
    recorded,
    does,
    abort: (reason) => controller.abort(reason),
    async close() {
      opened.clear();
      await releasers.releaseAll();
    },
  };
  return context;
}

async function openOnce<T>(
  open: () => Promise<{ value: T; close(): Promise<void> }>,
  releasers: Releasers,
) {
  const { value, close } = await open();
  releasers.push(close);
  return value;
}

const noTarget: Target = {
  name: "none",
  cluster: null,
  labels: [],
  ownership: "none",
  expectedIdentity: null,
  facts: async () => ({ state: "none", identity: null, capabilities: [], facts: {} }),
  close: async () => {},
};

const emptyLibrary: Library = {
  entries: () => [],
  find: () => undefined,
  load: async (name) => {
    throw new PgdbaError("unknown_runbook", `no runbook ${name} in this test`, {
      hint: "Override `library`.",
    });
  },
};
