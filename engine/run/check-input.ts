import { validate } from "../check/validate.ts";
import { PgdbaError } from "../errors.ts";
import { classify } from "../expr/languages.ts";
import type { ActionStep, Json, StepType } from "../types.ts";

const templated = new WeakMap<object, boolean>();

/**
 * Checks a rendered input against its type's schema. An input written without templates was checked when the runbook was
 * compiled, so ajv isn't even loaded for it. @throws PgdbaError invalid_param
 */
export function checkInput(type: StepType, step: ActionStep, input: Json, path: string): void {
  if (!hasTemplate(step.input)) return;
  const problems = validate(type.input, input, type.type);
  if (problems.length === 0) return;
  const said = problems.map((problem) => problem.message).join("; ");
  throw new PgdbaError("invalid_param", `The input of ${path} is not valid: ${said}`, {
    step: path,
    hint: `\`pgdba help ${type.type}\` shows what it takes.`,
  });
}

/**
 * Holds a step type to the output it promises: expressions were checked against it, so what breaks it would fail further on, or act
 * on something else than was meant. @throws PgdbaError step_failed
 */
export function checkOutput(type: StepType, output: Json, path: string): void {
  const problems = validate(type.output, output, "output");
  if (problems.length === 0) return;
  const said = problems.slice(0, 5).map((problem) => problem.message);
  throw new PgdbaError(
    "step_failed",
    `${path} (${type.type}) gave an output that its step type does not promise: ${said.join("; ")}`,
    {
      step: path,
      hint: `Mend \`output\` or \`run\` of the step type; \`pgdba help ${type.type}\` shows what it promises.`,
    },
  );
}

function hasTemplate(input: Json): boolean {
  if (typeof input === "string") return classify(input) !== "literal";
  if (input === null || typeof input !== "object") return false;
  const known = templated.get(input);
  if (known !== undefined) return known;
  const found = Object.values(input).some((item) => hasTemplate(item as Json));
  templated.set(input, found);
  return found;
}
