import { isMapping } from "../json.ts";
import { PgdbaError } from "../errors.ts";
import { evaluate } from "../expr/cel.ts";
import { UnknownValue } from "../expr/unknown.ts";
import type { Doc, DocPath, Json, JsonObject, Runbook, Variables } from "../types.ts";

/**
 * The values of the expressions under an `output:`, which stands at `place`; what can't be known yet is what `unknown` gives, or
 * left out. `onValue` has the last word on each value. @throws PgdbaError expression_failed, with the place of the expression
 */
export function outputOf(
  template: JsonObject,
  place: { doc: Doc; path: DocPath },
  vars: Variables,
  unknown?: (key: string, why: string) => Json | undefined,
  onValue: (value: Json) => Json = (value) => value,
): JsonObject {
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(template)) {
    const path = [...place.path, key];
    try {
      if (typeof value === "string") out[key] = onValue(evaluate(value, vars));
      else if (isMapping(value))
        out[key] = outputOf(value, { ...place, path }, vars, unknown, onValue);
      else out[key] = value;
    } catch (thrown) {
      if (thrown instanceof PgdbaError && !thrown.where) {
        const { file, line, column } = place.doc.at(path);
        thrown.where = { file, line, column };
      }
      if (!unknown || !(thrown instanceof UnknownValue)) throw thrown;
      const stand = unknown(key, thrown.why);
      if (stand !== undefined) out[key] = stand;
    }
  }
  return out;
}

/** The part of a runbook's output that is known although the run failed; null when there is none. */
export function partialOutput(
  { output, doc }: Runbook,
  vars: Variables,
  onValue?: (value: Json) => Json,
): Json {
  const out: JsonObject = {};
  for (const [key, value] of Object.entries(output)) {
    try {
      Object.assign(
        out,
        outputOf({ [key]: value }, { doc, path: ["output"] }, vars, undefined, onValue),
      );
    } catch {
      // A field that needs a step that did not run has no value.
    }
  }
  return Object.keys(out).length === 0 ? null : out;
}
