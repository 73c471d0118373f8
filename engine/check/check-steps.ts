import { classify, langAt } from "../expr/languages.ts";
import type { Scope } from "../expr/infer.ts";
import { describe, elementOf, mayBe } from "../expr/schema-types.ts";
import { RESERVED } from "../expr/syntax/words.ts";
import type { ActionStep, BlockStep, Json, JsonSchema, Step, StepType } from "../types.ts";
import { absencesAfter, absencesInside, absencesOfRescue } from "./absent.ts";
import { calledOutput, checkCalls } from "./calls.ts";
import { ANYTHING, createExpressionChecker, type ExpressionChecker } from "./expressions.ts";
import { inferOutput } from "./infer-output.ts";
import {
  closed,
  ERROR_SCHEMA,
  literalSchema,
  paramsScope,
  resultSchema,
  ROOTS,
  RUN_SCHEMA,
  schemaAt,
  TARGET_SCHEMA,
  texts,
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
import { validate } from "./validate.ts";

/**
 * Checks inputs and expressions of all steps, in the order in which they run, so that each sees what has run before it.
 * @returns the checker and the scope for the runbook's `output`, which sees them all
 */
export async function checkSteps(
  job: StepsJob,
  steps: readonly Step[],
): Promise<{ expressions: ExpressionChecker; scope: Scope }> {
  const params = paramsScope(job.params);
  const { report, types } = job;
  const view: View = { steps: Object.create(null), extra: {}, absent: {}, guarded: false };
  let current = view;
  const expressions = createExpressionChecker(report, {
    invisible: (id) => explainInvisible(id, job.places.get(id), current),
    absent: (id) => (current.guarded ? undefined : current.absent[id]),
  });

  const scopeOf = (view: View, extra: Record<string, JsonSchema> = {}): Scope => {
    current = view;
    return {
      params,
      steps: closed({ ...view.steps }),
      target: TARGET_SCHEMA,
      run: RUN_SCHEMA,
      ...view.extra,
      ...extra,
    };
  };

  const walk = async (list: readonly Step[], view: View): Promise<void> => {
    for (const step of list) {
      const output = await oneStep(step, view);
      if (view.undoOf === undefined) view.steps[step.id] = resultSchema(output);
      Object.assign(view.absent, absencesAfter(step));
    }
  };

  const oneStep = async (step: Step, outer: View): Promise<JsonSchema> => {
    let view = step.foreach === undefined ? outer : await loopView(step, outer);
    if (step.when !== undefined) {
      await expressions.condition([...step.at, "when"], step.when, scopeOf(view));
      view = { ...view, guarded: true };
    }
    if (step.retry?.on !== undefined) {
      await expressions.condition(
        [...step.at, "retry", "on"],
        step.retry.on,
        scopeOf(view, { error: ERROR_SCHEMA }),
      );
    }
    // The rounds of a runbook that watches are many, and each is meant to act.
    const isRound = job.watches && steps.includes(step);
    if (step.until !== undefined && !isRound) view = { ...view, repeated: true };
    checkKeep(job, step, view);
    const output = step.kind === "block" ? await block(step, view) : await action(step, view);
    if (step.until !== undefined) {
      await expressions.condition(
        [...step.at, "until"],
        step.until,
        scopeOf(view, { output, attempt: { type: "integer" } }),
      );
    }
    return step.foreach === undefined ? output : { type: "array", items: output };
  };

  const loopView = async (step: Step, outer: View): Promise<View> => {
    const name = step.as ?? "item";
    if ((ROOTS as readonly string[]).includes(name) || RESERVED.includes(name)) {
      report.add([...step.at, "as"], {
        rule: "reserved-name",
        message: `\`${name}\` has a meaning of its own in expressions`,
        hint: "Choose another name for the loop variable.",
      });
    }
    const path = [...step.at, "foreach"];
    let list: JsonSchema;
    if (typeof step.foreach === "string") {
      list = await expressions.cel(path, step.foreach, scopeOf(outer));
      if (!mayBe(list, "array"))
        report.add(path, {
          rule: "type-mismatch",
          message: `\`foreach\` needs a list; this gives ${describe(list)}`,
        });
    } else {
      list = await templated(step.foreach ?? [], {}, path, scopeOf(outer));
    }
    return {
      ...outer,
      steps: Object.assign(Object.create(null), outer.steps),
      absent: { ...outer.absent },
      extra: { ...outer.extra, [name]: elementOf(list), index: { type: "integer" } },
    };
  };

  const block = async (step: BlockStep, view: View): Promise<JsonSchema> => {
    checkFresh(job, step, [], view);
    await walk(step.block, view);
    // Same `steps`: what ran in the block, or in its rescue, is seen afterwards.
    const after = { ...view, absent: { ...view.absent, ...absencesInside(step) } };
    if (step.rescue) {
      const extra = { ...view.extra, error: ERROR_SCHEMA };
      await walk(step.rescue, { ...after, absent: { ...after.absent }, extra });
    }
    if (step.always) await walk(step.always, { ...after, closing: true });
    Object.assign(view.absent, absencesOfRescue(step));
    if (step.output === undefined) return { type: "null" };
    return inferOutput(expressions, step.output, [...step.at, "output"], scopeOf(view));
  };

  const action = async (step: ActionStep, view: View): Promise<JsonSchema> => {
    const type = types.get(step.type);
    const output = type === undefined ? ANYTHING : await input(step, type, view);
    // Rendered before the step acts, all at once: it sees neither the step nor itself.
    if (step.undo) await walk(step.undo, { ...view, undoOf: step.id, repeated: false });
    return output;
  };

  const input = async (step: ActionStep, type: StepType, view: View): Promise<JsonSchema> => {
    const path = [...step.at, type.type];
    const problems = validate(type.input, step.input, type.type, { templates: true });
    report.addSchema(path, problems);
    checkEffect(job, step, type, view);
    if (problems.length === 0) {
      for (const { path: below, ...finding } of (await type.lint?.(step.input)) ?? [])
        report.add([...path, ...below], finding);
    }
    const inferred = await templated(step.input, type.input, path, scopeOf(view));
    const called = await checkCalls(job, type, step.input, path);
    if (view.repeated) checkRepeatedCalls(job, step, type, called);
    checkFresh(job, step, called, view);
    if (called.length === 1 && called[0]) return calledOutput(called[0]);
    return problems.length > 0
      ? type.output
      : refined(type.outputFor?.(step.input) ?? type.output, inferred);
  };

  /** Checks every text of `value` in its language. @returns the schema of the value when it is rendered */
  const templated = async (
    value: Json,
    schema: JsonSchema,
    path: readonly (string | number)[],
    scope: Scope,
  ): Promise<JsonSchema> => {
    const inferred = literalSchema(value);
    const kept: { path: readonly (string | number)[]; text: string }[] = [];
    for (const { path: below, text } of texts(value)) {
      const at = [...path, ...below];
      if (langAt(schema, below) !== undefined) kept.push({ path: below, text });
      else if (classify(text) !== "cel") await expressions.text(at, text, scope);
      else {
        const expected = schemaAt(schema, below);
        replaceAt(
          inferred,
          below,
          await expressions.value(
            at,
            text,
            scope,
            expected?.type === undefined ? undefined : expected,
          ),
        );
      }
    }
    // The input of a step as written may use the step's own variables, so these come first.
    const own = ownVariables(schema, inferred);
    for (const { path: below, text } of kept) {
      const at = [...path, ...below];
      const lang = langAt(schema, below);
      if (lang === "static") expressions.fixed(at, text, scope);
      else if (own === undefined) continue;
      else if (lang === "text") await expressions.text(at, text, { ...scope, ...own });
      else if (schemaAt(schema, below)?.format === "condition")
        await expressions.condition(at, text, { ...scope, ...own });
      else replaceAt(inferred, below, await expressions.cel(at, text, { ...scope, ...own }));
    }
    return inferred;
  };

  await walk(steps, view);
  return { expressions, scope: scopeOf(view) };
}

/**
 * The variables that an input adds for its own CEL and text: those of the mapping that its type marks with `format: variables`.
 * Undefined when they can't be known before it is rendered.
 */
function ownVariables(
  schema: JsonSchema,
  inferred: JsonSchema,
): Record<string, JsonSchema> | undefined {
  const [name] =
    Object.entries(schema.properties ?? {}).find(([, one]) => one.format === "variables") ?? [];
  const given = name === undefined ? undefined : inferred.properties?.[name];
  return given === undefined ? {} : given.properties;
}

/** Puts `found` where `path` leads in a schema that `literalSchema` made. */
function replaceAt(
  schema: JsonSchema,
  path: readonly (string | number)[],
  found: JsonSchema,
): void {
  const last = path.at(-1);
  const parent = schemaAt(schema, path.slice(0, -1));
  if (last === undefined || parent === undefined) return;
  // The items of a list share one schema: one that isn't known makes none known.
  if (typeof last === "number") parent.items = ANYTHING;
  else if (parent.properties !== undefined)
    parent.properties[last] = path.some((part) => typeof part === "number") ? ANYTHING : found;
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
