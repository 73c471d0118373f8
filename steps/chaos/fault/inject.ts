import { PgdbaError } from "../../../engine/errors.ts";
import { parseDuration } from "../../../engine/shared/units.ts";
import type { FromSchema } from "../../../engine/shared/from-schema.ts";
import type { JsonSchema, ProbeResult, StepContext } from "../../../engine/types.ts";
import type { Deadline, Fault, Inverse, Nodes } from "../../../providers/nodes/contract.ts";
import { assertHealed } from "../heal.ts";
import { lasts } from "./left.ts";

const MAX_MS = 15 * 60_000;
/** The label of clusters that may be broken on purpose. Nothing gives it but a person. */
const TEST = "test";

export const NODE = { type: "string", minLength: 1, description: "Name of the node" } as const;

export const FOR = {
  type: "string",
  format: "duration",
  default: "2m",
  description: "The fault ends after this at the latest, whatever becomes of pgdba; at most 15m",
} as const satisfies JsonSchema;

/** What every fault gives. */
export const INJECTED = {
  type: "object",
  additionalProperties: false,
  required: ["id", "node", "took", "evidence", "deadline", "began"],
  properties: {
    id: { type: "string", description: "By which `chaos.heal` takes it back" },
    node: { type: "string" },
    took: {
      type: ["boolean", "null"],
      description:
        "An independent probe has seen that it bit; null where it can't tell. What is not proven proves nothing",
    },
    evidence: { type: "string", description: "What the probe has seen" },
    deadline: { type: "string", description: "When it ends at the latest" },
    began: { type: "string", description: "Right before it was done; the proof comes later" },
  },
} as const satisfies JsonSchema;

export type Injected = FromSchema<typeof INJECTED>;

export interface Proof {
  took: boolean | null;
  evidence: string;
}

export interface Plan {
  /** One word that people find it by. */
  kind: string;
  node: string;
  /** The step's own `for`. */
  lasts: string | undefined;
  /** What takes it back; without one the provider's verb arms its own. */
  inverse?: Inverse;
  /** Looks before the fault; the proof is found by comparing. */
  act(until: Deadline): Promise<(Proof & { deadline?: string }) | Fault>;
}

interface Note {
  id: string;
}

/**
 * A fault is armed before it is done, its healer stands outside of what it heals, and it is proven when this returns.
 * @throws PgdbaError step_refused: the cluster is no test cluster, or another fault is in force there
 */
export async function inject(ctx: StepContext, nodes: Nodes, plan: Plan): Promise<Injected> {
  const afterMs = parseDuration(plan.lasts ?? FOR.default);
  try {
    assertBounded(afterMs);
    assertTest(ctx);
    await assertAlone(ctx, nodes);
  } catch (error) {
    ctx.unchanged();
    throw error;
  }
  const id = idOf(ctx, plan.kind);
  ctx.note({ id } satisfies Note);
  const until = { id, afterMs };
  const armed = plan.inverse === undefined ? undefined : await nodes.arm(plan.inverse, until);
  const began = ctx.clock.now().toISOString();
  const done = await plan.act(until);
  if (plan.inverse !== undefined) await assertInTime(nodes, plan.inverse, until);
  if (done.took !== true)
    ctx.warn(`Nothing proves that the fault on ${plan.node} took effect: ${done.evidence}`);
  return {
    id,
    node: plan.node,
    took: done.took,
    evidence: done.evidence,
    deadline: done.deadline ?? armed!.deadline,
    began,
  };
}

/**
 * Where all stood still between the two, the healer has done its work before there was any: it is armed anew, so that what was done is taken back.
 * @throws PgdbaError step_failed
 */
async function assertInTime(nodes: Nodes, inverse: Inverse, until: Deadline): Promise<void> {
  const armed = (await nodes.armed()).find(({ id }) => id === until.id);
  if (armed !== undefined && armed.state !== "healed") return;
  await nodes.arm(inverse, until);
  throw new PgdbaError(
    "step_failed",
    `The fault was done only when it was to be over, ${until.afterMs / 1000} s after it was armed`,
    { hint: "It is taken back now. The machine is very busy: give a longer `for`." },
  );
}

function assertBounded(afterMs: number): void {
  if (afterMs > 0 && afterMs <= MAX_MS) return;
  throw new PgdbaError("invalid_param", "A fault lasts for 15 minutes at most", {
    hint: "Give a shorter `for`, such as 2m.",
    nothingDone: true,
  });
}

/** @throws PgdbaError step_refused */
export function assertTest({ target }: Pick<StepContext, "target">): void {
  if (target.labels.includes(TEST)) return;
  throw new PgdbaError(
    "step_refused",
    `${target.name} is not labelled ${TEST}: only such a cluster is broken on purpose`,
    {
      hint: `If nobody depends on it: pgdba cluster label --add ${TEST} --cluster ${target.name}.`,
      nothingDone: true,
    },
  );
}

/** Several faults of one run are one drill. */
async function assertAlone(ctx: StepContext, nodes: Nodes): Promise<void> {
  const others = (await nodes.armed()).filter((one) => lasts(one) && one.labels.run !== ctx.run.id);
  const [first] = others;
  if (first === undefined) return;
  throw new PgdbaError(
    "step_refused",
    `Another fault is in force on ${first.node}: ${first.id} of run ${first.labels.run}, until ${first.deadline}`,
    {
      hint: `Wait for its end, or take it back: pgdba chaos heal --all --cluster ${ctx.target.name}.`,
      nothingDone: true,
    },
  );
}

/** The same in every process, for the same step of the same run. */
export const wordOf = (ctx: StepContext): string =>
  Bun.hash(ctx.step.job).toString(36).slice(0, 12);

const idOf = (ctx: StepContext, kind: string): string => `${kind}-${wordOf(ctx)}`;

/** The part of a step type that all faults share. */
export const FAULT = {
  effect: "change",
  idempotent: false,
  risk: "disruptive",
  takeBack: "chaos heal --run",
  /** What is armed is taken back, and nothing is gone on with: the clients of the drill have ended with its process. */
  async probe(ctx: StepContext): Promise<ProbeResult> {
    const note = ctx.noted as Note | undefined;
    if (note === undefined) return { state: "not_done" };
    const armed = (await (await ctx.use("nodes")).armed()).find(({ id }) => id === note.id);
    const said =
      armed === undefined
        ? "before it broke anything, or the fault was taken back since"
        : `while it broke ${armed.node}, so that nobody knows what followed; the fault ${armed.state === "healed" ? "has ended by its deadline" : "is taken back"}`;
    return {
      state: "failed",
      error: new PgdbaError("step_failed", `The run was killed ${said}`, {
        hint: "Give the same command again: a drill is not gone on with.",
      }),
    };
  },
  async undo(ctx: StepContext): Promise<void> {
    const note = ctx.noted as Note | undefined;
    const done = note === undefined ? [] : await (await ctx.use("nodes")).heal({ id: note.id });
    if (done.length === 0) ctx.unchanged();
    assertHealed(done);
  },
} as const;
