import { isMapping } from "../json.ts";
import { toPgdbaError } from "../errors.ts";
import type { Scope } from "../expr/infer.ts";
import type {
  Diagnostic,
  Doc,
  Json,
  JsonObject,
  JsonSchema,
  Library,
  Risk,
  Runbook,
  Shown,
  Step,
  StepRegistry,
  StepType,
} from "../types.ts";
import { checkDanger } from "./check-danger.ts";
import { checkSteps } from "./check-steps.ts";
import { isRunbook } from "./calls.ts";
import { checkParams, checkSchema, warnUnused } from "./declarations.ts";
import { ANYTHING, type ExpressionChecker } from "./expressions.ts";
import { inferOutput } from "./infer-output.ts";
import { normalise } from "./normalise.ts";
import { saidIn } from "./danger.ts";
import { createReport, type Report } from "./report.ts";
import { RUNBOOK } from "./structure.ts";
import { didYouMean } from "./messages.ts";
import { validate } from "./validate.ts";

export interface CompileDeps {
  registry: StepRegistry;
  library: Library;
}

/**
 * A runbook from its document: its shape, the input of every step and every expression checked, before anything runs. All faults are
 * found at once, in the order of the file. @returns `runbook: null` when there is any error; warnings alone don't prevent it
 */
export async function compile(
  doc: Doc,
  { registry, library }: CompileDeps,
): Promise<{ runbook: Runbook | null; diagnostics: Diagnostic[] }> {
  const report = createReport(doc);
  const { data } = doc;
  report.addSchema([], validate(RUNBOOK, data, "runbook"));
  checkName(doc, report);

  const params = checkParams(data["params"], report);
  for (const [name, spec] of Object.entries(params))
    if (spec.runbook !== undefined)
      isRunbook(library, spec.runbook, ["params", name, "runbook"], report);
  const raw = Array.isArray(data["steps"]) ? data["steps"] : [];
  const { steps, places } = normalise(raw, report, registry);
  for (const key of ["needs", "gives"] as const) checkWords(key, data[key], registry, report);
  const types = await loadTypes(steps, registry, report);
  const { expressions, scope } = await checkSteps(
    {
      report,
      library,
      registry,
      name: doc.name,
      types,
      places,
      params,
      watches: data["watches"] === true,
    },
    steps,
  );
  const { hazards, needs, locks } = await checkDanger(doc, { registry, library, report });
  const outputSchema = await checkOutput(data, report, expressions, scope);
  const shown = checkShown(data, report);
  warnUnused(params, [data["steps"], data["output"]], report);

  const diagnostics = report.sorted();
  if (diagnostics.some(({ severity }) => severity === "error"))
    return { runbook: null, diagnostics };
  const { summary, description, risk, output } = data as {
    summary: string;
    description?: string;
    risk: Risk;
    output?: JsonObject;
  };
  const runbook: Runbook = {
    name: doc.name,
    summary,
    ...(description === undefined ? {} : { description }),
    risk,
    hazards,
    needs,
    locks,
    gives: saidIn(data).gives,
    params,
    steps,
    output: output ?? {},
    outputSchema,
    ...(shown === undefined ? {} : { shown }),
    ...(data["watches"] === true ? { watches: true } : {}),
    ...(data["part"] === true ? { part: true } : {}),
    tags: (data["tags"] as string[] | undefined) ?? [],
    doc,
  };
  return { runbook, diagnostics };
}

/** A need that nothing can have would refuse every run. */
function checkWords(
  key: "needs" | "gives",
  words: Json | undefined,
  { capabilities }: StepRegistry,
  report: Report,
): void {
  if (!Array.isArray(words) || !capabilities) return;
  for (const [at, word] of words.entries()) {
    if (typeof word !== "string" || capabilities.includes(word)) continue;
    report.add([key, at], {
      rule: "unknown-capability",
      message: `no target has the capability \`${word}\``,
      hint: didYouMean(word, capabilities),
    });
  }
}

/** A document's `name` is there for its reader; what counts is where the file stands. */
export function checkName({ data, name }: Doc, report: Report): void {
  if (typeof data["name"] !== "string" || data["name"] === name) return;
  report.add(["name"], {
    rule: "wrong-name",
    message: `the document is \`${name}\` by its path, and says \`${data["name"]}\``,
    hint: `Write \`name: ${name}\`, leave the line out, or move the file.`,
  });
}

async function loadTypes(
  steps: readonly Step[],
  registry: StepRegistry,
  report: Report,
): Promise<Map<string, StepType>> {
  const types = new Map<string, StepType>();
  for (const step of actions(steps)) {
    if (types.has(step.type) || !registry.has(step.type)) continue;
    try {
      types.set(step.type, await registry.get(step.type));
    } catch (thrown) {
      const error = toPgdbaError(thrown);
      report.add(
        [...step.at, step.type],
        {
          rule: "broken-type",
          message: `the step type \`${step.type}\` can't be loaded: ${error.message}`,
          hint: error.hint,
        },
        true,
      );
    }
  }
  return types;
}

/** All actions, those of blocks and undos included. */
function* actions(steps: readonly Step[]): Generator<Extract<Step, { kind: "action" }>> {
  for (const step of steps) {
    if (step.kind === "action") {
      yield step;
      if (step.undo) yield* actions(step.undo);
    } else for (const list of [step.block, step.rescue, step.always]) yield* actions(list ?? []);
  }
}

/** Outputs are shown by their names. */
function checkShown(data: JsonObject, report: Report): Shown[] | undefined {
  if (!Array.isArray(data["shown"])) return undefined;
  const known = Object.keys(isMapping(data["output"]) ? data["output"] : {});
  return data["shown"].flatMap((entry, at): Shown[] => {
    const [name, columns] = isMapping(entry) ? (Object.entries(entry)[0] ?? []) : [entry];
    if (typeof name !== "string") return [];
    if (!known.includes(name))
      report.add(["shown", at], {
        rule: "unknown-output",
        message: `there is no output \`${name}\` to be shown`,
        hint: didYouMean(name, known),
      });
    return [{ name, ...(Array.isArray(columns) ? { columns: columns.map(String) } : {}) }];
  });
}

/** Keywords of a schema that allow and forbid nothing. */
const NOTES: ReadonlySet<string> = new Set(["description", "title", "examples"]);

/** Checks `output` against `output_schema`. @returns the schema of what the runbook yields */
async function checkOutput(
  data: JsonObject,
  report: Report,
  expressions: ExpressionChecker,
  scope: Scope,
): Promise<JsonSchema> {
  const output = isMapping(data["output"]) ? data["output"] : {};
  if (Object.hasOwn(output, "run")) {
    report.add(["output", "run"], {
      rule: "reserved-name",
      message: "`run` in the output would hide what the envelope says of the run",
      hint: "Choose another name.",
    });
  }
  const declared = isMapping(data["output_schema"]) ? data["output_schema"] : {};
  for (const name of Object.keys(declared)) {
    if (Object.hasOwn(output, name)) continue;
    report.add(
      ["output_schema", name],
      {
        rule: "unknown-key",
        message: `there is no output \`${name}\``,
        hint: didYouMean(name, Object.keys(output)),
      },
      true,
    );
  }

  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const [name, value] of Object.entries(output)) {
    const schema = declared[name];
    const tighter =
      schema !== undefined && checkSchema(schema, ["output_schema", name], report)
        ? (schema as JsonSchema)
        : undefined;
    const inferred = await inferOutput(expressions, value, ["output", name], scope, tighter);
    // What only says what it is about leaves the rest as it was inferred.
    const isNote = tighter !== undefined && Object.keys(tighter).every((key) => NOTES.has(key));
    properties[name] = isNote ? { ...inferred, ...tighter } : (tighter ?? inferred ?? ANYTHING);
  }
  return {
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}
