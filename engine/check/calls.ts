import { isMapping } from "../json.ts";
import { toPgdbaError } from "../errors.ts";
import type {
  Doc,
  DocPath,
  Json,
  JsonObject,
  JsonSchema,
  Library,
  LibraryEntry,
  ParamSpec,
  StepRegistry,
  StepType,
} from "../types.ts";
import { callDepth, MAX_CALL_DEPTH, type Named, namedIn, ringThrough } from "./call-graph.ts";
import { paramsSchema } from "./params.ts";
import type { Report } from "./report.ts";
import { closed } from "./scope.ts";
import { didYouMean } from "./messages.ts";
import { validate } from "./validate.ts";

interface CallJob {
  report: Report;
  library: Library;
  registry: StepRegistry;
  /** The runbook that calls. */
  name: string;
  watches: boolean;
}

/**
 * Checks the calls of other runbooks. Beside the text that names one, `params` holds the values for its parameters.
 * @returns the runbooks called; undefined for one that can't be loaded
 */
export async function checkCalls(
  job: CallJob,
  type: StepType,
  input: Json,
  path: DocPath,
): Promise<(Doc | undefined)[]> {
  const called: (Doc | undefined)[] = [];
  for (const named of namedIn(type, input)) called.push(await checkCall(job, named, input, path));
  return called;
}

async function checkCall(
  job: CallJob,
  named: Named,
  input: Json,
  path: DocPath,
): Promise<Doc | undefined> {
  const { report, library } = job;
  const at = [...path, ...named.path];
  if (!isRunbook(library, named.text, at, report)) return undefined;
  let doc: Doc;
  try {
    doc = await library.load(named.text);
  } catch (thrown) {
    report.add(at, {
      rule: "invalid-call",
      message: `\`${named.text}\` is not valid itself: ${toPgdbaError(thrown).message}`,
      hint: `Run \`pgdba lint ${named.text}\`.`,
    });
    return undefined;
  }
  const ring = await ringThrough(job.name, named.text, job);
  if (ring !== undefined) {
    report.add(at, {
      rule: "call-circle",
      message: `runbooks call one another in a circle: ${ring.join(" → ")}`,
      hint: "Take one of these calls out; to repeat steps there are `foreach`, `until` and `retry`.",
    });
  } else if ((await callDepth(named.text, job)) >= MAX_CALL_DEPTH) {
    report.add(at, {
      rule: "calls-too-deep",
      message: `runbooks call one another more than ${MAX_CALL_DEPTH} deep from here`,
      hint: "Call the innermost ones from nearer to the top.",
    });
  }
  if (doc.data["watches"] === true && !job.watches) {
    report.add(at, {
      rule: "call-of-watch",
      message: `\`${named.text}\` runs until it is interrupted, and this runbook does not say that it does`,
      hint: "Say `watches: true` here as well, or call what it does in each round.",
    });
  }
  checkArguments(report, doc, input, [...path, ...named.path.slice(0, -1)]);
  return doc;
}

/** Whether there is a runbook of that name; a fault where not. */
export function isRunbook(library: Library, name: string, at: DocPath, report: Report): boolean {
  if (found(library, name)?.kind === "runbook") return true;
  const names = library.entries("runbook").map((entry) => entry.name);
  report.add(at, {
    rule: "unknown-runbook",
    message: `there is no runbook \`${name}\``,
    hint: didYouMean(name, names) ?? "`pgdba list` shows them all.",
  });
  return false;
}

/** `find` refuses what can't be a name, such as `../x`; here that is one more runbook there isn't. */
function found(library: Library, name: string): LibraryEntry | undefined {
  try {
    return library.find(name);
  } catch (thrown) {
    if (toPgdbaError(thrown).code === "unknown_runbook") return undefined;
    throw thrown;
  }
}

function checkArguments(report: Report, doc: Doc, input: Json, path: DocPath): void {
  const specs = doc.data["params"];
  const given = isMapping(input) ? (input["params"] ?? {}) : {};
  if (!isMapping(given) || (specs !== undefined && !isMapping(specs))) return;
  const schema = paramsSchema((specs ?? {}) as Record<string, ParamSpec>);
  const below = isMapping(input) && input["params"] !== undefined ? [...path, "params"] : path;
  report.addSchema(below, validate(schema, given, doc.name, { templates: true }));
}

/** The output of the runbook `doc`, as far as its document tells. */
export function calledOutput(doc: Doc): JsonSchema {
  const output = isMapping(doc.data["output"]) ? doc.data["output"] : {};
  const declared = isMapping(doc.data["output_schema"])
    ? (doc.data["output_schema"] as JsonObject)
    : {};
  const properties: Record<string, JsonSchema> = Object.create(null);
  for (const name of Object.keys(output)) properties[name] = (declared[name] ?? {}) as JsonSchema;
  return closed(properties);
}
