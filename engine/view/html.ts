import { isMapping } from "../json.ts";
import type { ErrorRecord, Json, JsonObject } from "../types.ts";
import { isScalar, scalarText } from "./canvas.ts";
import { SCRIPT, STYLE } from "./html-style.ts";
import { html, type Html } from "../shared/markup.ts";
import { timeline } from "./html-timeline.ts";
import { bySeverity, RUN_MARKS, severityMark, STEP_MARKS } from "./marks.ts";
import { asFinding, findingTitle, type Finding } from "./finding.ts";
import { asReport, remedyTexts, type Report, summaryText } from "./report.ts";
import type { RunRecord, StepRecord } from "./run-record.ts";
import { count, duration } from "./text.ts";
import { pageOf } from "../shared/page.ts";

/** Rows of evidence and of tables in a page; more would make it unreadable, and the JSON has them all. */
const MAX_ROWS = 500;

/** One run as a self-contained page: no external resource, nothing needed to read it but a browser. All data is escaped. */
export function runReport(run: RunRecord): string {
  const { mark, color, said } = RUN_MARKS[run.status];
  const report = asReport(run.output);
  return pageOf({
    title: `${run.runbook} on ${run.target}: ${said}`,
    style: STYLE,
    script: SCRIPT,
    body: html`
      <h1>${run.runbook} <span class="note">on ${run.target}</span></h1>
      <p class="status ${color}">
        ${mark} ${said}${run.plan && run.status !== "planned" ? " (plan)" : ""}
      </p>
      ${facts(run)} ${run.error === null ? null : failure(run.error)}
      ${report === null ? null : findings(report)}
      <h2>Timeline</h2>
      ${timeline(run)}
      <h2>Steps <button id="unfold" type="button">unfold all</button></h2>
      ${steps(run.steps)}
      <h2>Output</h2>
      ${folded("output as JSON", run.output, "raw")} ${folded("parameters", run.params)}
    `,
  });
}

function facts(run: RunRecord): Html {
  const rows: [string, string][] = [
    ["run", run.id],
    ["started", run.started_at],
    ["finished", run.finished_at ?? "not recorded"],
    ["duration", run.duration_ms === null ? "not recorded" : duration(run.duration_ms)],
    ["risk", run.risk],
    ["exit code", run.exit === null ? "none" : String(run.exit)],
    ["run by", run.holder],
    ...(run.caller === null ? [] : [["called by", run.caller] as [string, string]]),
    ["steps", count(run.steps.length, "record")],
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

function failure(error: ErrorRecord): Html {
  const where =
    error.where === null
      ? null
      : html`<p class="mono">${error.where.file}:${error.where.line}:${error.where.column}</p>`;
  return html`<div class="failure">
    <p><strong>${error.message}</strong></p>
    <p class="note">
      ${error.code}${error.step === null ? null : html` at step ${error.step}`}${error.retryable ? ", it may succeed later without a change" : null}
    </p>
    ${where}${evidence(error.data)}${error.hint === null ? null : html`<p>→ ${error.hint}</p>`}
  </div>`;
}

/** Frames and traces of an error as they are meant to be read, the rest folded. */
function evidence(data: Json | undefined): Html | null {
  if (data === undefined || data === null) return null;
  const texts = isMapping(data) ? [data, ...objects(data["diagnostics"])].flatMap(frames) : [];
  return html`${texts.map((text) => html`<pre>${text}</pre>`)}${folded("evidence", data)}`;
}

function frames({ message, frame, text }: JsonObject): string[] {
  const head = typeof frame === "string" && typeof message === "string" ? `${message}\n` : "";
  return [
    ...(typeof frame === "string" ? [head + frame] : []),
    ...(typeof text === "string" ? [text] : []),
  ];
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isMapping) : [];
}

function steps(records: StepRecord[]): Html {
  if (records.length === 0) return html`<p class="note">None.</p>`;
  // The output of a step stands below it, over the whole width: beside it, it would squeeze the names.
  const rows = records.map((step) => {
    const { mark, color } = STEP_MARKS[step.status];
    const detail = step.error === null ? null : failure(step.error);
    const output = step.output === null ? null : folded("output", step.output, kindOf(step.output));
    return html`<tbody>
      <tr>
        <th scope="row">
          ${step.phase === "undo" ? "↩ " : ""}${step.path}
          <span class="note mono">${step.type}</span>
        </th>
        <td class="status ${color}">
          ${mark} ${step.status.replaceAll("_", " ")}${step.changed ? ", changed" : ""}
        </td>
        <td class="n">${step.attempts}</td>
        <td class="n">${duration(step.duration_ms)}</td>
      </tr>
      ${
        detail === null && output === null
          ? null
          : html`<tr class="detail">
              <td colspan="4">${detail}${output}</td>
            </tr>`
      }
    </tbody> `;
  });
  return html`<div class="scroll">
    <table class="steps">
      <thead>
        <tr>
          <th>step</th>
          <th>status</th>
          <th class="n">attempts</th>
          <th class="n">duration</th>
        </tr>
      </thead>
      ${rows}
    </table>
  </div>`;
}

function findings(report: Report): Html {
  const groups = bySeverity(report.findings).map(([severity, list]) => {
    const { mark, color } = severityMark(severity);
    return list.map((item) =>
      finding(item, html`<td class="status ${color}">${mark} ${severity}</td>`),
    );
  });
  return html`<h2>Findings</h2>
    <p>${summaryText(report.summary)}</p>
    ${
      report.findings.length === 0
        ? html`<p class="green">✔ no findings</p>`
        : html`<div class="scroll">
            <table>
              <thead>
                <tr>
                  <th>severity</th>
                  <th>finding</th>
                  <th>what to do</th>
                </tr>
              </thead>
              <tbody>
                ${groups}
              </tbody>
            </table>
          </div>`
    }`;
}

function finding(item: Finding, severity: Html): Html {
  const title = findingTitle(item);
  const why = item.fields["why"];
  const rows = item.fields["evidence"];
  return html`<tr class="finding">
    ${severity}
    <td>
      ${title === null ? null : html`<strong>${title}</strong><br />`}${item.message}${
        typeof why === "string" ? html`<p class="note">${why}</p>` : null
      }${rows === undefined || rows === null ? null : dataTable("evidence", rows)}${consequences(item.fields["consequences"])}
    </td>
    <td>${remedyTexts(item.fields["remedy"]).map((text) => html`<pre>${text}</pre>`)}</td>
  </tr> `;
}

/** The consequences of a finding, folded. */
function consequences(value: Json | undefined): Html | null {
  const list = (Array.isArray(value) ? value : []).map(asFinding).filter((one) => one !== null);
  if (list.length === 0) return null;
  return html`<details>
    <summary>leads to ${count(list.length, "finding")}</summary>
    <ul>
      ${list.map(
        (one) =>
          html`<li>
            <span class="${severityMark(one.severity).color}">${one.severity}</span>
            ${one.message}${consequences(one.fields["consequences"])}
          </li>`,
      )}
    </ul>
  </details>`;
}

function keysAndValues(name: string, data: JsonObject): Html {
  return html`<details>
    <summary>${name}</summary>
    <dl>
      ${Object.entries(data).map(
        ([key, value]) =>
          html`<dt>${key}</dt>
            <dd>${isScalar(value) ? scalarText(value) : ""}</dd>`,
      )}
    </dl>
  </details>`;
}

/** An object as folded keys and values, a list of objects as a folded table, anything else as folded JSON. */
function dataTable(name: string, data: Json): Html {
  if (isMapping(data) && Object.values(data).every(isScalar)) return keysAndValues(name, data);
  const rows = objects(data);
  if (!Array.isArray(data) || rows.length === 0 || rows.length !== data.length)
    return folded(name, data);
  const shown = rows.slice(0, MAX_ROWS);
  const keys = [...new Set(shown.flatMap((row) => Object.keys(row)))];
  const cell = (value: Json | undefined) =>
    value === undefined ? "" : isScalar(value) ? scalarText(value) : JSON.stringify(value);
  return html`<details>
    <summary>${name} (${count(rows.length, "row")})</summary>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            ${keys.map((key) => html`<th>${key}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (row) =>
              html`<tr>
                ${keys.map((key) => html`<td>${cell(row[key])}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </details>`;
}

/** Characters of JSON beyond which an output is left out on paper; it would take page after page. */
const MAX_PRINTED = 2_000;

function kindOf(data: Json): string {
  return JSON.stringify(data).length > MAX_PRINTED ? "raw" : "";
}

/** A fold of the class `raw` stays folded on paper. */
function folded(name: string, data: Json, kind = ""): Html {
  return html`<details class="${kind}">
    <summary>${name}</summary>
    <pre>${JSON.stringify(data, null, 2) ?? "null"}</pre>
  </details>`;
}
