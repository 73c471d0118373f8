import { html, type Html } from "../../../engine/shared/markup.ts";

/** One figure over time. `at` is ms since 1970; a null value is a gap. */
export interface Series {
  name: string;
  tone?: "critical" | "warning" | "info";
  points: { at: number; value: number | null }[];
}

const WIDTH = 360;
const HEIGHT = 150;
const LEFT = 58;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;

/** Lines over time from zero, with the last value beside the title. Null when there are not two points to draw. */
export function lineChart(
  title: string,
  series: readonly Series[],
  text: (value: number) => string,
  base: 1000 | 1024 = 1000,
): Html | null {
  const known = series.flatMap(({ points }) => points.filter((point) => point.value !== null));
  const times = known.map(({ at }) => at);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  if (!(last > first)) return null;
  const top = ceiling(
    known.reduce((most, { value }) => Math.max(most, value ?? 0), 0),
    base,
  );
  const x = (at: number) => round(LEFT + ((WIDTH - LEFT - RIGHT) * (at - first)) / (last - first));
  const y = (value: number) => round(HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / top);
  const latest = series.map(({ points }) => points.at(-1)?.value ?? null);
  const said = latest.map((value) => (value === null ? "–" : text(value))).join(" / ");
  const ticks = [0, top / 2, top];
  return html`<figure>
    <figcaption><span>${title}</span><b>${said}</b></figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: ${said}">
      ${ticks.map(
        (value) =>
          html`<line
              class="grid"
              x1="${LEFT}"
              x2="${WIDTH - RIGHT}"
              y1="${y(value)}"
              y2="${y(value)}"
            /><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${text(value)}</text>`,
      )}
      <text x="${LEFT}" y="${HEIGHT - 6}">${day(first, last - first)}</text>
      <text x="${WIDTH - RIGHT}" y="${HEIGHT - 6}" text-anchor="end">
        ${day(last, last - first)}
      </text>
      ${series.map((each) => drawn(each, { x, y, text, alone: series.length === 1 }))}
    </svg>
  </figure>`;
}

interface Scale {
  x(at: number): number;
  y(value: number): number;
  text(value: number): string;
  alone: boolean;
}

function drawn({ name, tone, points }: Series, { x, y, text, alone }: Scale): Html {
  const runs: { at: number; value: number }[][] = [[]];
  for (const { at, value } of points) {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push({ at, value });
  }
  const lines = runs.filter((run) => run.length > 0);
  const path = (run: { at: number; value: number }[]) =>
    run.map(({ at, value }, n) => `${n === 0 ? "M" : "L"}${x(at)} ${y(value)}`).join("");
  const last = lines.at(-1)?.at(-1);
  const ends = (run: { at: number }[]) =>
    `L${x(run.at(-1)?.at ?? 0)} ${y(0)}L${x(run[0]?.at ?? 0)} ${y(0)}Z`;
  return html`${alone ? lines.map((run) => html`<path class="area" d="${path(run)}${ends(run)}" />`) : null}${lines.map(
    (run) => html`<path class="line ${tone ?? ""}" d="${path(run)}"><title>${name}</title></path>`,
  )}${points.length <= 40 ? lines.flat().map((point) => dot(point)) : null}${last === undefined ? null : dot(last, 3)}`;

  function dot({ at, value }: { at: number; value: number }, r = 1.7): Html {
    return html`<circle class="dot ${tone ?? ""}" cx="${x(at)}" cy="${y(value)}" r="${r}"
      ><title>${name} ${text(value)}, ${day(at, 0)} UTC</title></circle
    >`;
  }
}

/** Parts of a whole in one bar; what is left of the whole is the empty track. */
export function bar(
  parts: readonly { name: string; value: number; color: string }[],
  whole: number,
): Html {
  let used = 0;
  const scale = whole > 0 ? 100 / whole : 0;
  return html`<svg
    viewBox="0 0 100 10"
    preserveAspectRatio="none"
    role="img"
    aria-label="${parts.map((part) => part.name).join(", ")}"
  >
    <rect class="track" width="100" height="10" />
    ${parts.map(({ name, value, color }) => {
      const from = used;
      used += Math.max(0, value) * scale;
      const width = round(Math.min(used, 100) - Math.min(from, 100));
      return width <= 0
        ? null
        : html`<rect class="${color}" x="${round(Math.min(from, 100))}" width="${width}" height="10"
            ><title>${name}</title></rect
          >`;
    })}
  </svg>`;
}

export function legend(entries: readonly { name: string; color: string }[]): Html {
  return html`<p class="legend">
    ${entries.map(({ name, color }) => html`<span><i class="${color}"></i>${name}</span> `)}
  </p>`;
}

/** The next round number at or above `value`, so that ticks read well: 1, 2, 2.5 or 5 times a power of ten, of the unit of `base`. */
function ceiling(value: number, base: 1000 | 1024): number {
  if (!(value > 0)) return 1;
  const unit = base ** Math.floor(Math.log(value) / Math.log(base));
  const power = 10 ** Math.floor(Math.log10(value / unit)) * unit;
  return (([1, 2, 2.5, 5, 10] as const).find((step) => step * power >= value) ?? 10) * power;
}

function day(at: number, range: number): string {
  const iso = new Date(at).toISOString();
  if (range > 2 * 86_400_000) return iso.slice(0, 10);
  // To the minute both ends would be the same.
  if (range > 0 && range < 600_000) return iso.slice(11, 19);
  return iso.slice(5, 16).replace("T", " ");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
