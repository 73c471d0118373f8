import type { Scope } from "../expr/infer.ts";
import { describe, elementOf, mayBe } from "../expr/schema-types.ts";
import { RESERVED } from "../expr/syntax/words.ts";
import type { ActionStep, BlockStep, JsonSchema, Step, StepType } from "../types.ts";
import { absencesAfter, absencesInside, absencesOfRescue } from "./absent.ts";
import { calledOutput, checkCalls } from "./calls.ts";
import { ANYTHING, createExpressionChecker, type ExpressionChecker } from "./expressions.ts";
import { inferOutput } from "./infer-output.ts";
import {
  closed,
  ERROR_SCHEMA,
  paramsScope,
  resultSchema,
  ROOTS,
  RUN_SCHEMA,
  TARGET_SCHEMA,
} from "./scope.ts";
import {
  checkEffect,
  checkFresh,
  checkKeep,
  checkRepeatedCalls,
  explainInvisible,
  type StepsJob,
  type View,
} from "./step-rules.ts";
import { checkTemplated } from "./templated.ts";
import { validate } from "./validate.ts";

/**
 * Checks inputs and expressions of all steps, in the order in which they run, so that each sees what has run before it.
 * @returns the checker and the scope for the runbook's `output`, which sees them all
 */
export async function checkSteps(
  job: StepsJob,
  steps: readonly Step[],
): Promise<{ expressions: ExpressionChecker; scope: Scope }> {
  const view: View = { steps: Object.create(null), extra: {}, absent: {}, guarded: false };
  const checker = new StepsChecker(job, steps, view);
  await checker.walk(steps, view);
  return { expressions: checker.expressions, scope: checker.scopeOf(view) };
}

class StepsChecker {
  readonly expressions: ExpressionChecker;
  readonly #job: StepsJob;
  /** The steps of the runbook that stand in no other. */
  readonly #outermost: readonly Step[];
  readonly #params: JsonSchema;
  /** The view of the expression that is being checked, for its messages. */
  #current: View;

  constructor(job: StepsJob, outermost: readonly Step[], view: View) {
    this.#job = job;
    this.#outermost = outermost;
    this.#params = paramsScope(job.params);
    this.#current = view;
    this.expressions = createExpressionChecker(job.report, {
      invisible: (id) => explainInvisible(id, job.places.get(id), this.#current),
      absent: (id) => (this.#current.guarded ? undefined : this.#current.absent[id]),
    });
  }

  /** The variables of an expression that sees `view`. */
  scopeOf(view: View, extra: Record<string, JsonSchema> = {}): Scope {
    this.#current = view;
    return {
      params: this.#params,
      steps: closed({ ...view.steps }),
      target: TARGET_SCHEMA,
      run: RUN_SCHEMA,
      ...view.extra,
      ...extra,
    };
  }

  async walk(list: readonly Step[], view: View): Promise<void> {
    for (const step of list) {
      const output = await this.#oneStep(step, view);
      if (view.undoOf === undefined) view.steps[step.id] = resultSchema(output);
      Object.assign(view.absent, absencesAfter(step));
    }
  }

  async #oneStep(step: Step, outer: View): Promise<JsonSchema> {
    let view = step.foreach === undefined ? outer : await this.#loopView(step, outer);
    if (step.when !== undefined) {
      await this.expressions.condition([...step.at, "when"], step.when, this.scopeOf(view));
      view = { ...view, guarded: true };
    }
    if (step.retry?.on !== undefined) {
      await this.expressions.condition(
        [...step.at, "retry", "on"],
        step.retry.on,
        this.scopeOf(view, { error: ERROR_SCHEMA }),
      );
    }
    // The rounds of a runbook that watches are many, and each is meant to act.
    const isRound = this.#job.watches && this.#outermost.includes(step);
    if (step.until !== undefined && !isRound) view = { ...view, repeated: true };
    checkKeep(this.#job, step, view);
    const output =
      step.kind === "block" ? await this.#block(step, view) : await this.#action(step, view);
    if (step.until !== undefined) {
      await this.expressions.condition(
        [...step.at, "until"],
        step.until,
        this.scopeOf(view, { output, attempt: { type: "integer" } }),
      );
    }
    return step.foreach === undefined ? output : { type: "array", items: output };
  }

  async #loopView(step: Step, outer: View): Promise<View> {
    const name = step.as ?? "item";
    if ((ROOTS as readonly string[]).includes(name) || RESERVED.includes(name)) {
      this.#job.report.add([...step.at, "as"], {
        rule: "reserved-name",
        message: `\`${name}\` has a meaning of its own in expressions`,
        hint: "Choose another name for the loop variable.",
      });
    }
    if (typeof step.parallel === "string") await this.#parallel(step, step.parallel, outer);
    const path = [...step.at, "foreach"];
    let list: JsonSchema;
    if (typeof step.foreach === "string") {
      list = await this.expressions.cel(path, step.foreach, this.scopeOf(outer));
      if (!mayBe(list, "array"))
        this.#job.report.add(path, {
          rule: "type-mismatch",
          message: `\`foreach\` needs a list; this gives ${describe(list)}`,
        });
    } else {
      list = await checkTemplated(this.expressions, {
        value: step.foreach ?? [],
        schema: {},
        path,
        scope: this.scopeOf(outer),
      });
    }
    return {
      ...outer,
      steps: Object.assign(Object.create(null), outer.steps),
      absent: { ...outer.absent },
      extra: { ...outer.extra, [name]: elementOf(list), index: { type: "integer" } },
    };
  }

  async #parallel(step: Step, source: string, outer: View): Promise<void> {
    const path = [...step.at, "parallel"];
    const number = await this.expressions.cel(path, source, this.scopeOf(outer));
    if (!mayBe(number, "integer"))
      this.#job.report.add(path, {
        rule: "type-mismatch",
        message: `\`parallel\` needs a whole number; this gives ${describe(number)}`,
      });
  }

  async #block(step: BlockStep, view: View): Promise<JsonSchema> {
    checkFresh(this.#job, step, [], view);
    await this.walk(step.block, view);
    // Same `steps`: what ran in the block, or in its rescue, is seen afterwards.
    const after = { ...view, absent: { ...view.absent, ...absencesInside(step) } };
    if (step.rescue) {
      const extra = { ...view.extra, error: ERROR_SCHEMA };
      await this.walk(step.rescue, { ...after, absent: { ...after.absent }, extra });
    }
    if (step.always) await this.walk(step.always, { ...after, closing: true });
    Object.assign(view.absent, absencesOfRescue(step));
    if (step.output === undefined) return { type: "null" };
    return inferOutput(this.expressions, step.output, [...step.at, "output"], this.scopeOf(view));
  }

  async #action(step: ActionStep, view: View): Promise<JsonSchema> {
    const type = this.#job.types.get(step.type);
    const output = type === undefined ? ANYTHING : await this.#input(step, type, view);
    // Rendered before the step acts, all at once: it sees neither the step nor itself.
    if (step.undo) await this.walk(step.undo, { ...view, undoOf: step.id, repeated: false });
    return output;
  }

  async #input(step: ActionStep, type: StepType, view: View): Promise<JsonSchema> {
    const path = [...step.at, type.type];
    const problems = validate(type.input, step.input, type.type, { templates: true });
    this.#job.report.addSchema(path, problems);
    checkEffect(this.#job, step, type, view);
    if (problems.length === 0) {
      for (const { path: below, ...finding } of (await type.lint?.(step.input)) ?? [])
        this.#job.report.add([...path, ...below], finding);
    }
    const inferred = await checkTemplated(this.expressions, {
      value: step.input,
      schema: type.input,
      path,
      scope: this.scopeOf(view),
    });
    const called = await checkCalls(this.#job, type, step.input, path);
    if (view.repeated) checkRepeatedCalls(this.#job, step, type, called);
    checkFresh(this.#job, step, called, view);
    if (called.length === 1 && called[0]) return calledOutput(called[0]);
    return problems.length > 0
      ? type.output
      : refined(type.outputFor?.(step.input) ?? type.output, inferred);
  }
}

/** An output about which nothing is known, and which has the name of a CEL input, is that expression's value. */
function refined(output: JsonSchema, inferred: JsonSchema): JsonSchema {
  if (output.properties === undefined) return output;
  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const [name, schema] of Object.entries(output.properties)) {
    const known = Object.keys(schema).length === 0 ? inferred.properties?.[name] : undefined;
    properties[name] = known ?? schema;
  }
  return { ...output, properties };
}
