import { validate } from "../check/validate.ts";
import { declarationsOf } from "../declared.ts";
import { PgdbaError } from "../errors.ts";
import type { Clock, Json, ProbeResult, StepContext, StepRegistry, StepType } from "../types.ts";
import type { Fixture, TestCase } from "./case.ts";
import { relaxed } from "./relaxed.ts";
import type { MockTarget } from "./target.ts";

type Fixtures = NonNullable<TestCase["fixtures"]>;

/** The world of one case: it outlives the processes that die in it. */
export class Mock {
  /** Calls that have no fixture, or one that the step type could not give. */
  readonly problems: string[] = [];
  readonly registry: StepRegistry;
  readonly #fixtures: Fixtures;
  readonly #target: MockTarget;
  readonly #calls = new Map<string, number>();
  /** Jobs that were told to end. */
  readonly #stopped = new Set<string>();
  /** The step at which this process dies, by id or path. */
  #crashAt: string | undefined;
  #dead = false;

  constructor(real: StepRegistry, fixtures: Fixtures, target: MockTarget) {
    this.#fixtures = fixtures;
    this.#target = target;
    this.registry = {
      capabilities: real.capabilities,
      names: () => real.names(),
      has: (type) => real.has(type),
      get: async (type) => this.#mocked(await real.get(type)),
    };
  }

  /** Begins a process, which dies in the step `crashAt`. */
  begin(crashAt: string | undefined): void {
    this.#crashAt = crashAt;
    this.#dead = false;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Every step type that touches the outside is answered by fixtures; pure ones run for real. */
  #mocked(type: StepType): StepType {
    if (type.pure) return type;
    const { plan, probe, undo, forget, stop, ...rest } = type;
    return {
      ...rest,
      // A fixture may hold the parts that matter.
      output: {},
      run: (ctx, input) => this.#run(type, ctx, input),
      ...(plan ? { plan: async () => null } : {}),
      ...(probe ? { probe: (ctx, input) => this.#probe(type, ctx, input) } : {}),
      ...(undo ? { undo: (ctx) => this.#undo(ctx) } : {}),
      ...(forget ? { forget: async () => {} } : {}),
      ...(stop ? { stop: async (ctx) => void this.#stopped.add(ctx.step.path) } : {}),
    };
  }

  async #run(type: StepType, ctx: StepContext, input: Json): Promise<Json> {
    const { path, id } = ctx.step;
    this.#dieAt(path, id, () => {
      const note = this.#all(ctx)?.find((one) => one.note !== undefined)?.note;
      if (note !== undefined) ctx.note(note);
    });
    const declared = declarationsOf(type, input);
    if (!ctx.run.plan) this.#target.assertHas(declared.needs, path);
    const key = this.#keyOf(ctx);
    if (key === undefined) {
      this.problems.push(`${path} was called, but has no fixture`);
      throw new PgdbaError("test_failed", `${path} was called, but has no fixture`, {
        hint: `Add \`${id}\` under fixtures.`,
      });
    }
    const fixture = this.#next(key, [this.#fixtures[key]!].flat());
    if (fixture.note !== undefined) ctx.note(fixture.note);
    const output = play(fixture, path);
    this.#checkOutput(type, output, key);
    if (!ctx.run.plan) this.#target.done(declared);
    return output;
  }

  async #probe(type: StepType, ctx: StepContext, input: Json): Promise<ProbeResult> {
    this.#assertAlive();
    const told = this.#all(ctx)?.find((one) => one.probe !== undefined)?.probe;
    if (told === undefined)
      return { state: "unknown", reason: "its fixture does not say what its `probe` answers" };
    const key = `${this.#keyOf(ctx)}~probe`;
    const { state, output = null, reason = "mocked", note, error } = this.#next(key, [told].flat());
    if (state === "running") {
      if (this.#stopped.has(ctx.step.path)) return { state: "not_done" };
      return note === undefined ? { state } : { state, note };
    }
    if (state === "unknown") return { state, reason };
    if (state === "not_done") return { state };
    if (state === "failed") return { state, error: failureOf(error ?? {}, key) };
    this.#checkOutput(type, output, key);
    this.#target.done(declarationsOf(type, input));
    return { state, output };
  }

  async #undo(ctx: StepContext): Promise<void> {
    const { path, id } = ctx.step;
    this.#dieAt(`${path}~undo`, `${id}~undo`);
    const undo = this.#all(ctx)?.find((one) => one.undo !== undefined)?.undo;
    if (undo?.error) play({ error: undo.error }, `${path}~undo`);
    if (undo?.unchanged) ctx.unchanged();
  }

  #keyOf({ step }: StepContext): string | undefined {
    return [step.path, step.id].find((name) => Object.hasOwn(this.#fixtures, name));
  }

  #all(ctx: StepContext): Fixture[] | undefined {
    const key = this.#keyOf(ctx);
    return key === undefined ? undefined : [this.#fixtures[key]!].flat();
  }

  /** The answer to this call; the last one holds for all further ones. */
  #next<T>(key: string, list: readonly T[]): T {
    const call = this.#calls.get(key) ?? 0;
    this.#calls.set(key, call + 1);
    return list[Math.min(call, list.length - 1)]!;
  }

  #checkOutput(type: StepType, output: Json, key: string): void {
    for (const { message } of validate(relaxed(type.output), output, `fixture of ${key}`))
      this.problems.push(`${type.type} can't give this: ${message}`);
  }

  #dieAt(path: string, id: string, before: () => void = () => {}): void {
    this.#assertAlive();
    if (this.#crashAt !== path && this.#crashAt !== id) return;
    before();
    this.#dead = true;
    this.#assertAlive();
  }

  /** Nobody records an error that is thrown here, so the journal stays as a killed process leaves it. */
  #assertAlive(): void {
    if (this.#dead) throw new PgdbaError("journal_failed", "The case lets the process die here");
  }
}

function play({ output, error }: Pick<Fixture, "output" | "error">, path: string): Json {
  if (!error) return output ?? null;
  throw failureOf(error, path);
}

function failureOf(error: NonNullable<Fixture["error"]>, path: string): PgdbaError {
  const {
    code = "step_failed",
    message = `${path} failed by its fixture`,
    retryable = false,
    data,
  } = error;
  return new PgdbaError(code, message, { retryable, data });
}

/** A clock on which sleeping takes no time. */
export function leapingClock(real: Clock): Clock {
  let ahead = 0;
  return {
    now: () => new Date(real.now().getTime() + ahead),
    monotonic: () => real.monotonic() + ahead,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      ahead += ms;
    },
  };
}
