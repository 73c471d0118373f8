import { isMapping } from "../json.ts";
import type { Json, JsonObject } from "../types.ts";
import { indent, printable, wrap } from "./text.ts";
import { type Canvas, narrowed } from "./canvas.ts";
import { renderValue } from "./value.ts";

/** An ErrorRecord as lines: message, place, source frame, evidence, and what to do next. Reads it from JSON too. */
export function renderError(error: JsonObject, canvas: Canvas): string[] {
  const { paint } = canvas;
  const [first = "", ...rest] = wrap(
    printable(String(error["message"] ?? "failed")),
    canvas.columns - 2,
  );
  const step = typeof error["step"] === "string" ? ` at step ${printable(error["step"])}` : "";
  const retry = error["retryable"] === true ? ", it may succeed later without a change" : "";
  return [
    `${paint.red("✖")} ${paint.bold(first)}`,
    ...indent(rest, "  "),
    paint.dim(
      `  ${printable(String(error["code"] ?? "unknown"))}${step}${place(error["where"])}${retry}`,
    ),
    ...indent(renderEvidence(error["data"], narrowed(canvas, 2)), "  "),
    ...hint(error, canvas),
  ];
}

function hint(error: JsonObject, canvas: Canvas): string[] {
  if (typeof error["hint"] !== "string") return [];
  const [first = "", ...rest] = wrap(printable(error["hint"]), canvas.columns - 2);
  return [`${canvas.paint.cyan("→")} ${first}`, ...indent(rest, "  ")];
}

function place(where: Json | undefined): string {
  return isMapping(where)
    ? `, ${printable(String(where["file"]))}:${where["line"]}:${where["column"]}`
    : "";
}

/** Diagnostics and frames as they are meant to be read; anything else as data. */
function renderEvidence(data: Json | undefined, canvas: Canvas): string[] {
  if (data === undefined || data === null) return [];
  if (!isMapping(data)) return renderValue(data, canvas);
  const { diagnostics, frame, text, ...more } = data;
  const cases = casesOf(more);
  const rest = cases === undefined ? more : without(more, "cases");
  return [
    ...[frame, text].flatMap((block) =>
      typeof block === "string" ? printable(block).trimEnd().split("\n") : [],
    ),
    ...(Array.isArray(diagnostics)
      ? diagnostics.flatMap((item) => renderDiagnostic(item, canvas))
      : []),
    ...(cases ?? []).flatMap((item) => renderCase(item, canvas)),
    // `parts` is what `text` was made of.
    ...renderRest(typeof text === "string" ? without(rest, "parts", "value") : rest, canvas),
  ];
}

function without(object: JsonObject, ...keys: string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

function renderRest(rest: JsonObject, canvas: Canvas): string[] {
  return Object.keys(rest).length === 0 ? [] : renderValue(rest, canvas);
}

/** The cases of `pgdba test`, where these are the evidence. */
function casesOf({ cases }: JsonObject): JsonObject[] | undefined {
  if (!Array.isArray(cases)) return undefined;
  const tests = cases.filter(isMapping).filter((item) => Array.isArray(item["problems"]));
  return tests.length === cases.length ? tests : undefined;
}

/** A case that failed; those that passed are only counted. */
function renderCase(item: JsonObject, canvas: Canvas): string[] {
  if (item["passed"] === true) return [];
  const { paint, columns } = canvas;
  const problems = Array.isArray(item["problems"]) ? item["problems"] : [];
  return [
    ...wrap(
      `${paint.red("failed")} ${printable(`${String(item["runbook"])}: ${String(item["name"])}`)}`,
      columns,
    ),
    ...problems.flatMap((problem) => indent(wrap(printable(String(problem)), columns - 2), "  ")),
  ];
}

function renderDiagnostic(item: Json, canvas: Canvas): string[] {
  if (!isMapping(item)) return renderValue(item, canvas);
  const { paint } = canvas;
  const color = item["severity"] === "warning" ? paint.yellow : paint.red;
  const head = `${color(String(item["severity"] ?? "error"))}${place(item["where"]).replace(/^,/, "")}: ${printable(String(item["message"]))}`;
  const frame =
    item["frame"] !== "" && typeof item["frame"] === "string"
      ? printable(item["frame"]).trimEnd().split("\n")
      : [];
  return [
    ...wrap(`${head} ${paint.dim(`[${printable(String(item["rule"] ?? ""))}]`)}`, canvas.columns),
    ...indent(frame, "  "),
    ...hint(item, canvas).map((line) => `  ${line}`),
  ];
}
