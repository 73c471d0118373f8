import { toPgdbaError } from "../errors.ts";
import type { Doc, JsonObject, Library, Runbook, Step, StepRegistry } from "../types.ts";
import { normalise } from "./normalise.ts";
import { createReport } from "./report.ts";

/** A document and its steps, whether it is sound or not. */
export interface Outline {
  name: string;
  data: JsonObject;
  steps: readonly Step[];
  /** The outlines of the documents that it extends or replaces. */
  below: readonly Outline[];
}

/** By the name of a runbook; undefined when there is none that can be read. */
export type Outlines = (name: string) => Promise<Outline | undefined>;

const known = new WeakMap<StepRegistry, WeakMap<Doc, Outline>>();

export function outlineOf(doc: Doc, registry: StepRegistry): Outline {
  const outlines = known.get(registry) ?? new WeakMap<Doc, Outline>();
  known.set(registry, outlines);
  const before = outlines.get(doc);
  if (before) return before;
  const outline = (name: string, data: JsonObject): Outline => {
    const { steps } = data;
    // Its own check reports its faults.
    const report = createReport(doc);
    const list = normalise(Array.isArray(steps) ? steps : [], report, registry).steps;
    return { name, data, steps: list, below: [] };
  };
  const made = {
    ...outline(doc.name, doc.data),
    below: (doc.below ?? []).map(({ name, data }) => outline(name, data)),
  };
  outlines.set(doc, made);
  return made;
}

/** Finds the outlines of the runbooks of a run as they are in it, and of others as the library has them. */
export function outlinesOf(
  library: Library,
  registry: StepRegistry,
  runbooks?: ReadonlyMap<string, Runbook>,
): Outlines {
  return async (name) => {
    const mine = runbooks?.get(name);
    if (mine) return outlineOf(mine.doc, registry);
    try {
      const doc = await library.load(name);
      return doc.kind === "runbook" ? outlineOf(doc, registry) : undefined;
    } catch (thrown) {
      if (["invalid_runbook", "unknown_runbook"].includes(toPgdbaError(thrown).code))
        return undefined;
      throw thrown;
    }
  };
}
