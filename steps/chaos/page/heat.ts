import { html, type Html } from "../../../engine/shared/markup.ts";
import type { Result } from "../drills/result.ts";
import { HEAT_MS } from "../judge/waits.ts";
import { type Axis, axisOf, LEFT, round, WIDTH } from "./axis.ts";

const ROW = 13;
const HEAD = 6;
/** Of more columns none is wide enough to be seen. */
const MOST_COLUMNS = 240;
/** A single write of many is seen still. */
const FAINTEST = 0.15;

/** The bands from the slowest down, so that slow is above fast. The last one is for what was never acknowledged. */
const BANDS = HEAT_MS.length + 2;

/** How long writes took, second by second: the darker, the more of them. Null for a drill that was kept without it. */
export function heatMap(result: Result): Html | null {
  const ways = result.waits.filter(({ heat }) => heat?.some((second) => second.length > 0));
  if (ways.length === 0) return null;
  const axis = axisOf(result);
  const each = HEAD + BANDS * ROW + 8;
  const bottom = ways.length * each;
  return html`<h2>How long writes took</h2>
    <figure>
      <svg
        viewBox="0 0 ${WIDTH} ${bottom + 18}"
        role="img"
        aria-label="Latency of writes over time"
      >
        ${axis.ticks.map(
          (at) =>
            html`<line
                class="grid"
                x1="${axis.x(at)}"
                x2="${axis.x(at)}"
                y1="0"
                y2="${bottom}"
              /><text x="${axis.x(at)}" y="${bottom + 14}" text-anchor="middle"
                >${at / 1000} s</text
              >`,
        )}
        ${ways.map(({ way, heat }, n) => one(way, heat!, n * each, axis))}
      </svg>
      <p class="legend">
        <span
          >each column is a time, each row a latency, from when a write was due to its
          acknowledgement; the darker, the more of the writes of that time</span
        >
        <span
          ><svg viewBox="0 0 16 16"><rect class="missed" width="16" height="16" /></svg>never
          acknowledged</span
        >
      </p>
    </figure>`;
}

function one(way: string, heat: number[][], top: number, { begin, end, x }: Axis): Html {
  const step = Math.ceil((end - begin) / 1000 / MOST_COLUMNS);
  const first = Math.floor(begin / 1000);
  const columns = Array.from({ length: Math.ceil((end / 1000 - first) / step) }, (_, n) =>
    merged(heat.slice(first + n * step, first + (n + 1) * step)),
  );
  const y = (band: number) => top + HEAD + (BANDS - 1 - band) * ROW;
  return html`<text class="name" x="0" y="${top + 16}">${way}</text> ${labels().map(
      (text, band) =>
        html`<text x="${LEFT - 6}" y="${y(band) + 10}" text-anchor="end">${text}</text>`,
    )}
    ${columns.map((counts, n) => {
      const all = counts.reduce((sum, count) => sum + count, 0);
      const from = x((first + n * step) * 1000);
      const width = Math.max(0.4, x((first + (n + 1) * step) * 1000) - from - 0.3);
      return counts.map((count, band) =>
        count === 0
          ? null
          : html`<rect
              class="${band === BANDS - 1 ? "missed" : "okay"}"
              x="${from}"
              y="${y(band)}"
              width="${round(width)}"
              height="${ROW - 1}"
              fill-opacity="${Math.round((FAINTEST + (1 - FAINTEST) * (count / all)) * 100) / 100}"
            />`,
      );
    })}`;
}

function merged(seconds: readonly number[][]): number[] {
  return Array.from({ length: BANDS }, (_, band) =>
    seconds.reduce((sum, second) => sum + (second[band] ?? 0), 0),
  );
}

function labels(): string[] {
  const text = (ms: number) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`);
  return [...HEAT_MS.map((ms) => `≤ ${text(ms)}`), `> ${text(HEAT_MS.at(-1)!)}`, "never"];
}
