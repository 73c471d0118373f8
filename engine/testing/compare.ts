import { isMapping } from "../json.ts";
import type { DocPath, Json } from "../types.ts";
import type { Expectation, ExpectedError, ExpectedStep } from "./case.ts";

/** The end of a case. */
export interface Actual {
  exit: number | null;
  status: string;
  error: { code: string; message: string; hint: string | null; step: string | null } | null;
  output: Json;
  steps: ActualStep[];
  undone: string[];
  kept: string[];
}

export interface ActualStep {
  path: string;
  status: string;
  changed: boolean;
  attempts: number;
  output: Json;
  error: Actual["error"];
}

/** A difference; `path` leads to what was expected, below `expect`. */
export interface Difference {
  path: DocPath;
  message: string;
}

/** The differences between the expectations of a case and its end. */
export function compare(expect: Expectation, actual: Actual): Difference[] {
  const { error, steps, undone, kept, output, ...plain } = expect;
  const silent = error === undefined && plain.status === undefined && plain.exit === undefined;
  return [
    ...parts(plain as Json, { status: actual.status, exit: actual.exit }, []).map((one) =>
      actual.error === null || error !== undefined
        ? one
        : { ...one, message: `${one.message} (${actual.error.code}: ${actual.error.message})` },
    ),
    ...(silent && actual.error !== null
      ? [differs([], "error", "none", `${actual.error.code}: ${actual.error.message}`)]
      : []),
    ...(error === undefined ? [] : ofError(error, actual.error, ["error"])),
    ...Object.entries(steps ?? {}).flatMap(([path, step]) =>
      ofStep(
        step,
        actual.steps.findLast((one) => one.path === path),
        path,
      ),
    ),
    ...(undone === undefined ? [] : parts(undone, actual.undone, ["undone"])),
    ...(kept === undefined ? [] : parts(kept, actual.kept, ["kept"])),
    ...(output === undefined ? [] : parts(output, actual.output, ["output"])),
  ];
}

function ofError(
  wanted: string | ExpectedError,
  actual: Actual["error"],
  path: DocPath,
): Difference[] {
  const what = path.join(".");
  if (typeof wanted === "string")
    return wanted === actual?.code ? [] : [differs(path, what, wanted, actual?.code ?? null)];
  if (actual === null) return [differs(path, what, wanted as Json, null)];
  return Object.entries(wanted).flatMap(([key, value]): Difference[] => {
    const found = actual[key as keyof ExpectedError];
    const fits =
      key === "message" || key === "hint" ? found?.includes(String(value)) : found === value;
    return fits ? [] : [differs([...path, key], `${what}.${key}`, value, found)];
  });
}

function ofStep(
  wanted: string | ExpectedStep,
  actual: ActualStep | undefined,
  name: string,
): Difference[] {
  const path = ["steps", name];
  const { error, ...plain } = typeof wanted === "string" ? { status: wanted } : wanted;
  const found = actual ?? { status: "not reached", error: null };
  return [
    ...parts(plain as Json, found as unknown as Json, path),
    ...(error === undefined ? [] : ofError(error, found.error, [...path, "error"])),
  ];
}

/** The places where `actual` lacks the `wanted` parts. Other keys of objects don't matter; other items of lists do. */
function parts(wanted: Json, actual: Json | undefined, path: DocPath): Difference[] {
  if (Array.isArray(wanted)) {
    if (Array.isArray(actual) && actual.length === wanted.length)
      return wanted.flatMap((item, at) => parts(item, actual[at], [...path, at]));
    return [differs(path, path.join("."), wanted, actual)];
  }
  if (wanted !== null && typeof wanted === "object") {
    if (!isMapping(actual)) return [differs(path, path.join("."), wanted, actual)];
    return Object.entries(wanted).flatMap(([key, value]) =>
      parts(value, actual[key], [...path, key]),
    );
  }
  return Object.is(wanted, actual ?? null) ? [] : [differs(path, path.join("."), wanted, actual)];
}

function differs(path: DocPath, what: string, wanted: Json, actual: Json | undefined): Difference {
  const shown = (value: Json | undefined): string =>
    typeof value === "string" ? value : JSON.stringify(value ?? null);
  return { path, message: `${what}: expected ${shown(wanted)}, got ${shown(actual)}` };
}
