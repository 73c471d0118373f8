import { validate } from "../check/validate.ts";
import { PgdbaError } from "../errors.ts";
import type {
  Clock,
  Json,
  JsonSchema,
  StepContext,
  StepRegistry,
  StepType,
  Target,
} from "../types.ts";
import type { Fixture, TestCase } from "./case.ts";

export interface Mocked {
  registry: StepRegistry;
  /** Calls that have no fixture, or one that the step type could not give. */
  problems: string[];
}

/** The registry with every step type that touches the outside answered by fixtures; pure ones run for real. */
export function mockRegistry(
  real: StepRegistry,
  fixtures: NonNullable<TestCase["fixtures"]>,
): Mocked {
  const calls = new Map<string, number>();
  const problems: string[] = [];

  const answer = async (type: StepType, ctx: StepContext): Promise<Json> => {
    const key = [ctx.step.path, ctx.step.id].find((name) => Object.hasOwn(fixtures, name));
    if (key === undefined) {
      problems.push(`${ctx.step.path} was called, but has no fixture`);
      throw new PgdbaError("test_failed", `${ctx.step.path} was called, but has no fixture`, {
        hint: `Add \`${ctx.step.id}\` under fixtures.`,
      });
    }
    const list = [fixtures[key]!].flat();
    const call = calls.get(key) ?? 0;
    calls.set(key, call + 1);
    const fixture = list[Math.min(call, list.length - 1)]!;
    const output = play(fixture, ctx.step.path);
    for (const { message } of validate(relaxed(type.output), output, `fixture of ${key}`))
      problems.push(`${type.type} can't give this: ${message}`);
    return output;
  };

  const mock = (type: StepType): StepType => {
    if (type.pure) return type;
    const { plan, probe, ...rest } = type;
    return {
      ...rest,
      // A fixture may hold the parts that matter.
      output: {},
      run: (ctx) => answer(type, ctx),
      ...(plan ? { plan: async () => null } : {}),
      ...(probe ? { probe: async () => ({ state: "unknown" as const, reason: "mocked" }) } : {}),
      ...(type.undo ? { undo: async () => {} } : {}),
      ...(type.forget ? { forget: async () => {} } : {}),
    };
  };

  return {
    problems,
    registry: {
      names: () => real.names(),
      capabilities: real.capabilities,
      has: (type) => real.has(type),
      get: async (type) => mock(await real.get(type)),
    },
  };
}

/** The schema of what may stand in a fixture: all that the type gives, or a part of it; null when it did not run. */
function relaxed(schema: JsonSchema): JsonSchema {
  const known = relaxedSchemas.get(schema);
  if (known) return known;
  const { required: _, minItems: __, minProperties: ___, ...rest } = schema;
  const out: JsonSchema = { ...rest };
  if (schema.type !== undefined) out.type = [...new Set([schema.type, "null"].flat())];
  if (schema.items) out.items = relaxed(schema.items);
  if (schema.properties)
    out.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([key, inner]) => [key, relaxed(inner)]),
    );
  for (const key of ["anyOf", "oneOf", "allOf"] as const)
    if (schema[key]) out[key] = schema[key].map(relaxed);
  relaxedSchemas.set(schema, out);
  return out;
}

const relaxedSchemas = new WeakMap<JsonSchema, JsonSchema>();

function play(fixture: Fixture, path: string): Json {
  if (!fixture.error) return fixture.output ?? null;
  const {
    code = "step_failed",
    message = `${path} failed by its fixture`,
    retryable = false,
  } = fixture.error;
  throw new PgdbaError(code, message, { retryable });
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
    facts: async () => ({ state: "up", identity, capabilities: capabilities ?? [...needs], facts }),
    close: async () => {},
  };
}
