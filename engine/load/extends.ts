import { RISKS, type Diagnostic, type Risk } from "../types.ts";
import { mergeSteps } from "./extends-steps.ts";
import { child, fault, type Tree, type TreeMap } from "./tree.ts";

/** The keys of a document that speak of that document alone, or only to the merge. */
const OWN = new Set(["name", "extends", "drop", "part"]);
const MERGED = new Set(["params", "output", "output_schema"]);

/**
 * `over` laid on the `base` that it extends: `params`, `output` and `output_schema` are merged map by map, `steps` by id (see
 * `mergeSteps`), everything else of `over` wins. Neither tree is changed. Faults go to `faults`.
 */
export function extendTree(over: Tree, base: Tree, faults: Diagnostic[]): Tree {
  const mine = over.value as TreeMap;
  const theirs = base.value as TreeMap;
  const merged: TreeMap = new Map([...theirs].filter(([key]) => !OWN.has(key)));
  for (const [key, value] of mine) {
    const below = merged.get(key);
    if (key === "extends" || key === "drop" || key === "steps") continue;
    merged.set(key, below && MERGED.has(key) ? mergeMaps(value, below) : value);
  }
  const kind = mine.get("kind");
  const baseKind = theirs.get("kind")?.value ?? "runbook";
  if (kind && kind.value !== baseKind) {
    faults.push(
      fault(
        kind,
        "kind-changed",
        `this document extends one of kind ${String(baseKind)}`,
        "Remove the line; the kind is inherited.",
      ),
    );
  }
  checkParams(over, base, faults);
  const steps = mergeSteps(over, base, faults);
  if (steps) merged.set("steps", steps);
  return { ...over, value: merged };
}

function mergeMaps(over: Tree, base: Tree): Tree {
  if (!(over.value instanceof Map) || !(base.value instanceof Map)) return over;
  const merged: TreeMap = new Map(base.value);
  for (const [key, value] of over.value) {
    const below = merged.get(key);
    merged.set(key, below ? mergeMaps(value, below) : value);
  }
  return { ...over, value: merged };
}

/** `warning: 70` for `warning: {default: 70}` is the likely slip; merged, it would replace the whole declaration. */
function checkParams(over: Tree, base: Tree, faults: Diagnostic[]): void {
  const params = child(over, "params")?.value;
  const declared = child(base, "params");
  if (!(params instanceof Map) || !declared) return;
  for (const [name, spec] of params) {
    if (spec.value instanceof Map || !child(declared, name)) continue;
    const hint =
      spec.value === null || typeof spec.value === "object"
        ? "{default: …}"
        : `{default: ${spec.value}}`;
    faults.push(
      fault(
        spec,
        "param-not-a-map",
        `the param "${name}" needs a map`,
        `Write ${name}: ${hint} to change its default.`,
      ),
    );
  }
}

/** Reports a document whose risk, once `merged` with what it extends, is lower than that of one it replaces or extends. */
export function checkRisk(
  own: Tree,
  merged: Tree,
  lower: Tree,
  described: string,
  faults: Diagnostic[],
): boolean {
  const risk = child(merged, "risk");
  const floor = child(lower, "risk");
  // A word that is no risk is refused by the structure check.
  if (!risk || !floor || rank(risk) < 0 || rank(risk) >= rank(floor)) return true;
  const place = child(own, "risk") ?? child(own, "extends") ?? own;
  const message = `the risk "${String(risk.value)}" is lower than "${String(floor.value)}" of ${described}`;
  faults.push(
    fault(
      place,
      "risk-lowered",
      message,
      `What replaces or extends a document may raise its risk, never lower it: write risk: ${String(floor.value)}.`,
    ),
  );
  return false;
}

function rank(risk: Tree): number {
  return RISKS.indexOf(risk.value as Risk);
}
