import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compileClosure } from "../../../engine/cli/closure.ts";
import { makeRegistry } from "../../../engine/cli/library.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { Journal, type RunRow } from "../../../engine/journal/journal.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import { executeRun } from "../../../engine/run.ts";
import type { Host, RunOutcome, RunRequest } from "../../../engine/run/request.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type {
  Clock,
  Event,
  Json,
  JsonObject,
  StepContext,
  StepType,
  Target,
} from "../../../engine/types.ts";
import { loaders } from "../../../steps/_registry.ts";

/** What a fake step does when it is called; without one it gives `{path}`. */
export type Behaviour = (ctx: StepContext, input: any) => Json | Promise<Json>;

export interface Options {
  params?: JsonObject;
  plan?: boolean;
  target?: Partial<Target>;
  flags?: Partial<RunRequest["asked"]["flags"]>;
  asked?: Partial<RunRequest["asked"]>;
  stop?: Stop;
  clock?: Clock;
  lockWaitMs?: number;
  maxSteps?: number;
  others?: readonly Target[];
  resume?: { assumed?: Record<string, "done" | "not_done"> };
}

export interface StepLine {
  path: string;
  id: string;
  type: string;
  status: string;
  changed: boolean;
  attempts: number;
  error: { code: string; message: string } | null;
  preview?: Json;
}

/** An outcome, with what tests look at most. */
export interface Ran extends Omit<RunOutcome, "error"> {
  data: JsonObject;
  error: NonNullable<RunOutcome["envelope"]["error"]> | null;
  run: JsonObject & { warnings: string[] };
  steps: StepLine[];
  /** `path status`, in the order in which the steps ended. */
  ended: string[];
}

/** A clock that stands still but for those who sleep; `slept` holds for how long each did, ms. */
export function leaping(): Clock & { slept: number[] } {
  let at = 1_000;
  const slept: number[] = [];
  return {
    slept,
    now: () => new Date(Date.UTC(2026, 0, 1) + at),
    monotonic: () => at,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      slept.push(ms);
      at += ms;
      await Bun.sleep(0);
      signal?.throwIfAborted();
    },
  };
}

function target(more: Partial<Target> = {}): Target {
  return {
    name: "drill",
    cluster: "drill",
    labels: [],
    ownership: "managed",
    expectedIdentity: null,
    facts: async () => ({
      state: "up",
      identity: "7",
      capabilities: ["postgres"],
      facts: { version: 18 },
    }),
    close: async () => {},
    ...more,
  };
}

/** One state folder, a set of fake step types, and a log of everything that they were told to do. */
export class Harness {
  readonly dir = mkdtempSync(join(tmpdir(), "pgdba-run-"));
  readonly secrets = new Secrets();
  /** What runs work on, where they say nothing else of their target. */
  target: Partial<Target> = {};
  readonly journal = new Journal(join(this.dir, "state"), this.secrets);
  readonly clock = leaping();
  /** `verb path`, where verb is `look`, `act`, `undo`, `plan`, ... */
  readonly calls: string[] = [];
  readonly events: Event[] = [];
  /** By step id: what a fake step does, and `<id>~undo` for its undo. */
  on: Record<string, Behaviour> = {};
  #runs = 0;

  readonly types: StepType[] = [
    this.type("fake.look", { effect: "read", idempotent: true }, "look"),
    this.type("fake.act", {
      undo: async (ctx, _input, output) => {
        this.calls.push(`undo ${ctx.step.path}${output === undefined ? " unfinished" : ""}`);
        await this.on[`${ctx.step.id}~undo`]?.(ctx, output);
      },
    }),
    this.type("fake.keep", {}),
    this.type("fake.free", { locks: "none", idempotent: true }),
    this.type("fake.again", { idempotent: true }),
    this.type("fake.shown", {
      idempotent: true,
      plan: async (ctx, input) => {
        this.calls.push(`plan ${ctx.step.path}`);
        return { would: input };
      },
    }),
    this.type("fake.call", {
      effect: "read",
      idempotent: true,
      input: {
        type: "object",
        properties: { runbook: { type: "string", format: "runbook", "x-lang": "static" } },
      },
      run: async (ctx, input) => {
        const output = await ctx.call(input.runbook, {});
        await this.on[ctx.step.id]?.(ctx, input);
        return output;
      },
    }),
    this.type("fake.make", {
      gives: ["postgres"],
      probe: async () => ({ state: "not_done" }),
    }),
    this.type("fake.needs", { effect: "read", idempotent: true, needs: ["postgres"] }, "look"),
    this.type("fake.take", { takes: ["postgres"] }),
    this.type("fake.cuttable", {
      interruptible: true,
      undo: async (ctx) => void this.calls.push(`undo ${ctx.step.path}`),
    }),
    // Their probes answer as they are told to.
    this.type("fake.job", {
      ...this.#job(),
      stop: async (ctx) => void (await this.on[`${ctx.step.id}~stop`]?.(ctx, null)),
    }),
    this.type("fake.lasting", this.#job()),
    this.type("fake.probed", {
      probe: async (ctx) => {
        this.calls.push(`probe ${ctx.step.path}`);
        const state = await this.on[`${ctx.step.id}~probe`]?.(ctx, null);
        if (state instanceof Error) throw state;
        if (state === "done") return { state, output: { probed: true } };
        if (state === "partly") return { state: "not_done", partly: true };
        return state === "not_done" ? { state } : { state: "unknown", reason: "no trace of it" };
      },
    }),
  ];

  readonly registry = makeRegistry({
    ...loaders,
    ...Object.fromEntries(this.types.map((type) => [type.type, async () => ({ default: type })])),
  });

  #job(): Partial<StepType> {
    return {
      job: true,
      probe: async (ctx) => (await this.on[`${ctx.step.id}~probe`]?.(ctx, null)) as never,
      undo: async (ctx, _input, output) =>
        void (await this.on[`${ctx.step.id}~undo`]?.(ctx, output)),
    };
  }

  private type(type: string, about: Partial<StepType>, verb = "act"): StepType {
    return {
      type,
      summary: type,
      example: "",
      effect: "change",
      idempotent: false,
      input: { type: "object" },
      output: {},
      run: async (ctx: StepContext, input: Json) => {
        this.calls.push(`${verb} ${ctx.step.path}`);
        return (await this.on[ctx.step.id]?.(ctx, input)) ?? { path: ctx.step.path };
      },
      ...about,
    };
  }

  host(clock: Clock = this.clock): Host {
    const { journal, registry, secrets, dir } = this;
    return {
      journal,
      registry,
      secrets,
      clock,
      library: this.library(),
      env: {},
      cwd: dir,
      stateDir: join(dir, "state"),
      listener: (event) => void this.events.push(event),
      newRunId: () => `run-${++this.#runs}`,
    };
  }

  library() {
    return openLibrary([{ name: "project", dir: join(this.dir, "runbooks") }]);
  }

  write(name: string, text: string): void {
    const file = join(this.dir, "runbooks", `${name}.yaml`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  /** Runs `text` as the runbook `demo/one` (or `name`), with the head `summary` and `risk: change` when it has none. */
  async run(text: string, options: Options = {}, name = "demo/one"): Promise<Ran> {
    this.write(name, text.includes("risk:") ? text : `summary: A test.\nrisk: change\n${text}`);
    const host = this.host(options.clock);
    if (options.maxSteps !== undefined) host.maxSteps = options.maxSteps;
    const { runbook, runbooks, backups } = await compileClosure(name, host.library, host.registry);
    const row = options.resume && (this.journal.runs(1)[0] as RunRow);
    const outcome = await executeRun(host, {
      command: "test",
      runbook,
      runbooks,
      params: options.params ?? {},
      recordedParams: options.params ?? {},
      target: target({ ...this.target, ...options.target }),
      ...(options.others ? { others: async () => options.others! } : {}),
      targetFlags: {},
      backups,
      plan: options.plan ?? false,
      lockWaitMs: options.lockWaitMs ?? 0,
      stop: options.stop ?? new Stop(),
      asked: {
        flags: {
          yes: false,
          confirm: null,
          iKnowWhatIAmDoing: false,
          explicitCluster: true,
          withoutBackup: null,
          ...options.flags,
        },
        caller: { name: "test", by: null },
        policy: [],
        confirm: undefined,
        ...options.asked,
      },
      ...(row
        ? { resume: { row, assumed: new Map(Object.entries(options.resume?.assumed ?? {})) } }
        : {}),
    });
    const { run: inData, ...data } = (outcome.envelope.data ?? {}) as JsonObject;
    const run = (inData ?? outcome.envelope.error?.run) as Ran["run"];
    const steps = run["steps"] as unknown as StepLine[];
    return {
      ...outcome,
      data,
      error: outcome.envelope.error,
      run,
      steps,
      ended: steps.map(({ path, status }) => `${path} ${status}`),
    };
  }

  /** Runs until `id` dies in the middle, then forgets the signals: what a killed process leaves behind. */
  async killedIn(text: string, id: string, nth = 1, options: Options = {}): Promise<Ran> {
    const stop = new Stop();
    this.on[id] = dies(stop, nth);
    const ran = await this.run(text, { ...options, stop });
    delete this.on[id];
    this.journal.db.run("UPDATE run SET cancelled = NULL");
    this.calls.length = 0;
    return ran;
  }

  /** Goes on with the last run. */
  resume(text: string, assumed: Record<string, "done" | "not_done"> = {}): Promise<Ran> {
    this.calls.length = 0;
    return this.run(text, { resume: { assumed } });
  }

  close(): void {
    this.journal.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs `work` with a harness of its own. */
export async function withHarness(work: (harness: Harness) => Promise<void>): Promise<void> {
  const harness = new Harness();
  try {
    await work(harness);
  } finally {
    harness.close();
  }
}

/** Waits for its signal, as a good step does. */
export const untilAborted: Behaviour = (ctx) =>
  new Promise((_, reject) =>
    ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason), { once: true }),
  );

/** Dies in the step when it is called for the `nth` time, as far as the journal can tell: two signals come, and all stays open. */
function dies(stop: Stop, nth: number): Behaviour {
  let calls = 0;
  return (ctx, input) => {
    const waiting = untilAborted(ctx, input);
    if (++calls < nth) return waiting;
    stop.request("a test");
    stop.request("a test");
    return waiting;
  };
}

export function fail(message = "as it should", retryable = false): Behaviour {
  return () => {
    throw new PgdbaError("step_failed", message, { retryable });
  };
}

/** Fails `times` times, retryably, then gives `output`. */
export function failing(times: number, output: Json = { done: true }): Behaviour {
  let left = times;
  return () => {
    if (left-- > 0)
      throw new PgdbaError("connection_failed", `failure, ${left} left`, { retryable: true });
    return output;
  };
}

/** Gives the outputs one after the other, the last one for ever. */
export function sequence(...outputs: Json[]): Behaviour {
  let at = 0;
  return () => outputs[Math.min(at++, outputs.length - 1)]!;
}

/** The code of what `work` throws. */
export async function codeOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string | undefined; gate: unknown }> {
  try {
    await work;
  } catch (thrown) {
    if (!(thrown instanceof PgdbaError)) throw thrown;
    return {
      code: thrown.code,
      message: thrown.message,
      hint: thrown.hint,
      gate: (thrown.data as JsonObject | undefined)?.["gate"],
    };
  }
  throw new Error("nothing was thrown");
}
