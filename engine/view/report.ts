import { isMapping } from "../json.ts";
import type { Json, JsonObject } from "../types.ts";
import { renderAlike, renderConsequences } from "./consequences.ts";
import { bySeverity, severityMark } from "./marks.ts";
import { asFinding, type Finding, findingTitle } from "./finding.ts";
import { count, indent, printable, wrap } from "./text.ts";
import { type Canvas, isScalar, narrowed, scalarText } from "./canvas.ts";
import { renderValue } from "./value.ts";

/** Data with a `summary` and `findings`, each with `severity` and `message`, reads as a report, whichever runbook made it. */
export interface Report {
  summary: Json;
  findings: Finding[];
  /** The fields beside `summary` and `findings`. */
  rest: JsonObject;
}

/** Evidence rows shown on a terminal; the JSON has them all. */
const EVIDENCE_ROWS = 5;

export function asReport(data: Json): Report | null {
  if (!isMapping(data)) return null;
  const { summary, findings, ...rest } = data;
  if (summary === undefined || !Array.isArray(findings)) return null;
  const list = findings.map(asFinding);
  return list.every((finding) => finding !== null) ? { summary, findings: list, rest } : null;
}

/** Findings by severity, the worst first, each with its evidence and, indented, what to do. */
export function renderReport(report: Report, canvas: Canvas): string[] {
  const rest =
    Object.keys(report.rest).length === 0 ? [] : ["", ...renderValue(report.rest, canvas)];
  const summary = wrap(summaryText(report.summary), canvas.columns);
  const counted = isMapping(report.summary) ? report.summary : {};
  return [...summary, "", ...renderFindings(report.findings, canvas, counted), ...rest];
}

/** With `evidence` false only what it means and what to do. `counted`: how many there are of a severity, where the list was cut. */
export function renderFindings(
  list: readonly Finding[],
  canvas: Canvas & { evidence?: boolean },
  counted: JsonObject = {},
): string[] {
  const { paint } = canvas;
  const groups = bySeverity([...list]).flatMap(([severity, findings]) => {
    const { mark, color } = severityMark(severity);
    const said = severity === "ok" ? 0 : Number(counted[severity]);
    const all = said > findings.length ? said : findings.length;
    const head = paint[color](paint.bold(`${mark} ${all} ${printable(severity)}`));
    const cut = all === findings.length ? [] : [paint.dim(`… and ${all - findings.length} more`)];
    if (severity === "ok") {
      const names = findings
        .map((finding) => printable(findingTitle(finding) ?? finding.message))
        .join(", ");
      return ["", head, ...indent(wrap(names, canvas.columns - 2), "  ")];
    }
    return [
      "",
      head,
      ...findings.flatMap((finding) =>
        indent(renderFinding(finding, { ...canvas, ...narrowed(canvas, 2) }), "  "),
      ),
      ...indent(cut, "  "),
    ];
  });
  return list.length === 0 ? [paint.green("✔ no findings")] : groups.slice(1);
}

/** A summary on one line: `worst critical · counts critical 2, warning 3`. */
export function summaryText(summary: Json): string {
  if (isScalar(summary)) return scalarText(summary);
  if (Array.isArray(summary)) return summary.map(summaryText).join(", ");
  return Object.entries(summary)
    .map(
      ([key, value]) =>
        `${printable(key)} ${isMapping(value) ? summaryText(value).replaceAll(" · ", ", ") : summaryText(value)}`,
    )
    .join(" · ");
}

function renderFinding(finding: Finding, canvas: Canvas & { evidence?: boolean }): string[] {
  const { paint } = canvas;
  const title = findingTitle(finding);
  const { node, evidence, remedy, advice, alike, consequences } = finding.fields;
  const place = isMapping(node) && typeof node["title"] === "string" ? ` · ${node["title"]}` : "";
  const inner = narrowed(canvas, 2);
  const message = wrap(printable(finding.message), inner.columns);
  return [
    ...(title === null || title === finding.message ? [] : [paint.bold(printable(title + place))]),
    ...indent([...message, ...renderAlike(alike, inner)], "  "),
    ...(canvas.evidence === false
      ? []
      : indent(renderEvidence(evidence, narrowed(inner, 2)), "    ")),
    ...renderRemedy(remedy ?? advice, inner).map((line) => `  ${line}`),
    ...indent(renderConsequences(consequences, inner), "  "),
  ];
}

function renderEvidence(evidence: Json | undefined, canvas: Canvas): string[] {
  if (evidence === undefined || evidence === null) return [];
  if (!Array.isArray(evidence)) return renderValue(evidence, canvas);
  if (evidence.length === 0) return [];
  const more = evidence.length - EVIDENCE_ROWS;
  const note = more > 0 ? [canvas.paint.dim(`… ${count(more, "more row")}`)] : [];
  return [...renderValue(evidence.slice(0, EVIDENCE_ROWS), canvas), ...note];
}

/** The steps of a remedy, as text: a string, a list, or an object such as `{text, sql, command}`, `runbook` and `params` telling what the command runs. */
export function remedyTexts(remedy: Json | undefined): string[] {
  if (remedy === undefined || remedy === null || remedy === "") return [];
  if (Array.isArray(remedy)) return remedy.flatMap(remedyTexts);
  if (isMapping(remedy)) {
    const { runbook, params: _, command = runbook, also, ...rest } = remedy;
    return [...Object.values(rest), command, also].flatMap(remedyTexts);
  }
  return [String(remedy).trimEnd()];
}

function renderRemedy(remedy: Json | undefined, canvas: Canvas): string[] {
  return remedyTexts(remedy).flatMap((text) => {
    const [first = "", ...rest] = wrap(printable(text), canvas.columns - 2);
    return [`${canvas.paint.cyan("→")} ${first}`, ...indent(rest, "  ")];
  });
}
