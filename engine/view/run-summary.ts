import { isMapping } from "../json.ts";
import type { Json, JsonObject } from "../types.ts";
import { markOf } from "./marks.ts";
import {
  count,
  clip,
  duration,
  indent,
  largest,
  pad,
  printable,
  singleLine,
  width,
  wrap,
} from "./text.ts";
import { type Canvas, narrowed } from "./canvas.ts";
import { renderValue } from "./value.ts";

/** `data.run` or `error.run` as lines: how it ended, its warnings, and each step with its mark and duration. */
export function renderRun(run: JsonObject, canvas: Canvas): string[] {
  const { paint } = canvas;
  const { mark, color } = markOf(run["status"]);
  const facts = [run["runbook"], run["status"], took(run["duration_ms"]), run["id"]]
    .filter((fact) => typeof fact === "string" && fact !== "")
    .map((fact) => printable(String(fact)));
  const warnings = Array.isArray(run["warnings"]) ? run["warnings"] : [];
  return [
    `${paint[color](mark)} ${facts.join(" · ")}`,
    ...warnings.flatMap((warning) => {
      const text = typeof warning === "string" ? warning : JSON.stringify(warning);
      const [first = "", ...rest] = wrap(printable(text), canvas.columns - 4);
      return [`  ${paint.yellow("▲")} ${first}`, ...indent(rest, "    ")];
    }),
    ...renderGate(run["gate"], canvas),
    ...renderSteps(stepRows(run["steps"]), canvas),
    ...(typeof run["steps_not_listed"] === "number"
      ? [paint.dim(`  … ${count(run["steps_not_listed"], "more step")}`)]
      : []),
    ...renderUndo(run["undo"], canvas),
  ];
}

/** What a plan's run will be asked. */
function renderGate(gate: Json | undefined, { paint, columns }: Canvas): string[] {
  if (!isMapping(gate)) return [];
  const what = gate["answer"] === "refuse" ? "would be refused" : "needs a person's word";
  const opens = Array.isArray(gate["opens"]) && gate["opens"].length > 0 ? gate["opens"] : [];
  const by = opens.length === 0 ? "" : ` (${opens.join(" ")})`;
  const [first = "", ...rest] = wrap(
    printable(`The run ${what}${by}: ${String(gate["message"])}`),
    columns - 4,
  );
  return [`  ${paint.yellow("◇")} ${first}`, ...indent(rest, "    ")];
}

/** The results of undoing; a person must look at an undo that failed. */
function renderUndo(undo: Json | undefined, { paint }: Canvas): string[] {
  if (!isMapping(undo)) return [];
  const failed = Array.isArray(undo["failed"]) ? undo["failed"].filter(isMapping) : [];
  return [
    ...(typeof undo["undone"] === "number"
      ? [paint.yellow(`  ↩ ${count(undo["undone"], "step")} undone`)]
      : []),
    ...failed.map(({ path, error }) => {
      const message = isMapping(error) ? `: ${singleLine(String(error["message"]))}` : "";
      return paint.red(`  ✖ undo of ${singleLine(String(path))} failed${message}`);
    }),
  ];
}

function took(ms: Json | undefined): string {
  return typeof ms === "number" ? duration(ms) : "";
}

/** Steps given as a list, or as results by id or path. */
function stepRows(steps: Json | undefined): { name: string; step: JsonObject }[] {
  const entries = Array.isArray(steps)
    ? steps.map(
        (step) => [isMapping(step) ? String(step["path"] ?? step["id"] ?? "") : "", step] as const,
      )
    : isMapping(steps)
      ? Object.entries(steps)
      : [];
  return entries.flatMap(([name, step]) =>
    isMapping(step) ? [{ name: printable(name), step }] : [],
  );
}

function renderSteps(rows: { name: string; step: JsonObject }[], canvas: Canvas): string[] {
  const { paint } = canvas;
  const names = Math.min(40, largest(rows.map(({ name }) => width(name))));
  return rows.flatMap(({ name, step }) => {
    const { mark, color } = markOf(step["status"]);
    const attempts =
      typeof step["attempts"] === "number" && step["attempts"] > 1
        ? `${step["attempts"]} attempts`
        : "";
    const notes = [
      String(step["status"] ?? ""),
      step["changed"] === true ? "changed" : "",
      attempts,
    ].filter(Boolean);
    const error = step["error"];
    const line = `  ${paint[color](mark)} ${pad(name, names)}  ${pad(took(step["duration_ms"]), 6, true)}  ${paint.dim(notes.join(", "))}`;
    const fault = isMapping(error)
      ? [paint.red(clip(singleLine(String(error["message"])), canvas.columns - 6))]
      : [];
    const preview = step["preview"];
    const planned = isMapping(preview) ? renderValue(preview, narrowed(canvas, 6)) : [];
    return [line.trimEnd(), ...indent([...fault, ...planned], "      ")];
  });
}
