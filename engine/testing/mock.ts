import { EXIT_BY_CODE, type ErrorCode, PgdbaError } from "../errors.ts";
import type { Clock, Json, StepContext, StepRegistry, StepType, Target } from "../types.ts";
import type { Fixture, TestCase } from "./case.ts";

export interface Mocked {
  registry: StepRegistry;
  /** Steps that were called and have no fixture. */
  missing: string[];
}

/** The registry with every step type that touches the outside answered by fixtures; pure ones run for real. */
export function mockRegistry(
  real: StepRegistry,
  fixtures: NonNullable<TestCase["fixtures"]>,
): Mocked {
  const calls = new Map<string, number>();
  const missing: string[] = [];

  const answer = async (ctx: StepContext): Promise<Json> => {
    const key = [ctx.step.path, ctx.step.id].find((name) => Object.hasOwn(fixtures, name));
    if (key === undefined) {
      missing.push(ctx.step.path);
      throw new PgdbaError("test_failed", `${ctx.step.path} was called and has no fixture`, {
        hint: `Add \`${ctx.step.id}\` under fixtures.`,
      });
    }
    const list = [fixtures[key]!].flat();
    const call = calls.get(key) ?? 0;
    calls.set(key, call + 1);
    return play(list[Math.min(call, list.length - 1)]!, ctx.step.path);
  };

  const mock = (type: StepType): StepType => {
    if (type.pure) return type;
    const { plan, probe, ...rest } = type;
    return {
      ...rest,
      run: answer,
      ...(plan ? { plan: async () => null } : {}),
      ...(probe ? { probe: async () => ({ state: "unknown" as const, reason: "mocked" }) } : {}),
      ...(type.undo ? { undo: async () => {} } : {}),
    };
  };

  return {
    missing,
    registry: {
      names: () => real.names(),
      has: (type) => real.has(type),
      get: async (type) => mock(await real.get(type)),
    },
  };
}

function play(fixture: Fixture, path: string): Json {
  if (!fixture.error) return fixture.output ?? null;
  const {
    code = "step_failed",
    message = `${path} failed by its fixture`,
    retryable = false,
  } = fixture.error;
  throw new PgdbaError(
    Object.hasOwn(EXIT_BY_CODE, code) ? (code as ErrorCode) : "step_failed",
    message,
    { retryable },
  );
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

/** A target that has what the runbook needs, or what the case says. */
export function mockTarget(test: TestCase, needs: readonly string[]): Target {
  const {
    name = "test",
    cluster = "test",
    labels = [],
    capabilities,
    identity = "1",
    facts = {},
  } = test.target ?? {};
  return {
    name,
    cluster,
    labels,
    ownership: "managed",
    expectedIdentity: null,
    connection: null,
    facts: async () => ({ identity, capabilities: capabilities ?? [...needs], facts }),
    close: async () => {},
  };
}
