import { type Html, html } from "../shared/markup.ts";
import { STEP_MARKS } from "./marks.ts";
import type { RunRecord, StepRecord } from "./run-record.ts";
import { count, clip, duration, largest } from "./text.ts";

const WIDTH = 960;
const LABEL = 260;
const ROW = 20;
const AXIS = 24;
/** Rows drawn; a loop over thousands makes no readable picture, and the table below has every step. */
const MAX_ROWS = 200;

/** A bar for each step over the time of the run, as SVG; steps of the undo phase are drawn hatched, below the others. */
export function timeline(run: RunRecord): Html {
  const timed = run.steps.filter((step) => Number.isFinite(Date.parse(step.started_at)));
  if (timed.length === 0) return html`<p class="note">No step was started.</p>`;
  const start = timed.reduce(
    (first, step) => Math.min(first, began(step)),
    Date.parse(run.started_at) || Infinity,
  );
  const end = Math.max(
    largest(timed.map((step) => began(step) + step.duration_ms)),
    start + (run.duration_ms ?? 0),
    start + 1,
  );
  const rows = timed.slice(0, MAX_ROWS);
  const scale = (WIDTH - LABEL - 70) / (end - start);
  const x = (ms: number) => round(LABEL + (ms - start) * scale);
  const height = AXIS + rows.length * ROW + 6;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => start + (end - start) * part);
  return html`<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Timeline of the steps">
      ${ticks.map(
        (at) =>
          html`<line x1="${x(at)}" y1="${AXIS - 6}" x2="${x(at)}" y2="${height}" /><text
              class="axis"
              x="${x(at)}"
              y="12"
              text-anchor="middle"
              >${duration(at - start)}</text
            > `,
      )}${rows.map((step, n) => bar(step, AXIS + n * ROW, x(began(step)), round(Math.max(2, step.duration_ms * scale))))}</svg
    >${
      timed.length > MAX_ROWS
        ? html`<p class="note">
            ${count(timed.length - MAX_ROWS, "more step")} in the table below.
          </p>`
        : null
    }`;
}

function bar(step: StepRecord, y: number, x: number, width: number): Html {
  const undo = step.phase === "undo";
  const { color, mark } = STEP_MARKS[step.status];
  const attempts = step.attempts > 1 ? `, ${step.attempts} attempts` : "";
  const name = `${undo ? "↩ " : ""}${step.path}`;
  const title = `${name} (${step.type}): ${step.status}, ${duration(step.duration_ms)}${attempts}`;
  // Attempts share the bar: the record has their number, not their times.
  const cuts = Array.from({ length: Math.min(step.attempts, 20) - 1 }, (_, n) =>
    round(x + (width * (n + 1)) / step.attempts),
  );
  return html`<g
    ><title>${title}</title><text x="0" y="${y + 14}">${mark} ${clip(name, 32)}</text
    ><rect
      class="${color}${undo ? " undo" : ""}"
      x="${x}"
      y="${y + 4}"
      width="${width}"
      height="12"
      rx="2"
    />${cuts.map(
      (at) => html`<line class="attempt" x1="${at}" y1="${y + 4}" x2="${at}" y2="${y + 16}" />`,
    )}<text class="axis" x="${round(x + width + 5)}" y="${y + 14}"
      >${duration(step.duration_ms)}${step.attempts > 1 ? ` ×${step.attempts}` : ""}</text
    ></g
  > `;
}

function began(step: StepRecord): number {
  return Date.parse(step.started_at);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
