import { toPgdbaError } from "../errors.ts";
import { classify } from "../expr/languages.ts";
import type {
  Doc,
  DocPath,
  Json,
  JsonSchema,
  Library,
  Step,
  StepRegistry,
  StepType,
} from "../types.ts";
import { normalise } from "./normalise.ts";
import { createReport } from "./report.ts";
import { schemaAt, texts } from "./scope.ts";

/** How deep runbooks may call runbooks. */
export const MAX_CALL_DEPTH = 8;

interface Graph {
  registry: StepRegistry;
  library: Library;
}

/** A text of an input that names a runbook, with its path. */
export interface Named {
  path: DocPath;
  text: string;
}

/** The runbooks that a step calls: a step type that calls some marks the texts that name them with `format: runbook`. */
export function namedIn(type: StepType, input: Json): Named[] {
  return [...texts(input)].filter(
    ({ path, text }) => isName(schemaAt(type.input, path)) && classify(text) === "literal",
  );
}

function isName(schema: JsonSchema | undefined): boolean {
  return (
    schema?.format === "runbook" ||
    [...(schema?.anyOf ?? []), ...(schema?.oneOf ?? [])].some(isName)
  );
}

/** The names of the runbooks that steps call, those of their undo, rescue and always included. */
export async function calledBy(
  steps: readonly Step[],
  registry: StepRegistry,
): Promise<Set<string>> {
  const names = new Set<string>();
  for (const step of steps) {
    const inner =
      step.kind === "block"
        ? [...step.block, ...(step.rescue ?? []), ...(step.always ?? [])]
        : step.undo || [];
    for (const name of await calledBy(inner, registry)) names.add(name);
    if (step.kind !== "action" || !registry.has(step.type)) continue;
    for (const { text } of namedIn(await registry.get(step.type), step.input)) names.add(text);
  }
  return names;
}

/** A way from `name` by way of its call of `first` back to `name`, the shortest there is: its names, first and last the same. */
export async function ringThrough(
  name: string,
  first: string,
  graph: Graph,
): Promise<string[] | undefined> {
  const from = new Map([[first, name]]);
  // A map is walked in the order in which its keys came in, those that come in on the way included.
  for (const [at] of from) {
    if (at === name) {
      const ring = [name];
      for (let back = from.get(name)!; back !== name; back = from.get(back)!) ring.unshift(back);
      return [name, ...ring];
    }
    for (const next of await callsOf(at, graph)) if (!from.has(next)) from.set(next, at);
  }
  return undefined;
}

/** The depth of the calls of the runbook `name`; another check reports circles. */
export async function callDepth(
  name: string,
  graph: Graph,
  depths = new Map<string, number>(),
): Promise<number> {
  const known = depths.get(name);
  if (known !== undefined) return known;
  let depth = 0;
  depths.set(name, depth);
  for (const next of await callsOf(name, graph))
    depth = Math.max(depth, 1 + (await callDepth(next, graph, depths)));
  depths.set(name, depth);
  return depth;
}

const known = new WeakMap<Doc, Promise<ReadonlySet<string>>>();

/** The runbooks that `name` calls; none when it can't be loaded, which is reported at the call. */
async function callsOf(name: string, { library, registry }: Graph): Promise<ReadonlySet<string>> {
  let doc: Doc;
  try {
    doc = await library.load(name);
  } catch (thrown) {
    if (["invalid_runbook", "unknown_runbook"].includes(toPgdbaError(thrown).code))
      return new Set();
    throw thrown;
  }
  const steps = doc.data["steps"];
  let found = known.get(doc);
  if (found === undefined) {
    const list = normalise(Array.isArray(steps) ? steps : [], createReport(doc), registry).steps;
    // Its own check reports its faults.
    found = calledBy(list, registry).catch(() => new Set<string>());
    known.set(doc, found);
  }
  return found;
}
