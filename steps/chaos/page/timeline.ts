import { html, type Html } from "../../../engine/shared/markup.ts";
import type { Result } from "../drills/result.ts";
import type { Letter } from "../observe/sample.ts";
import { axisOf, LEFT, RIGHT, round, WIDTH } from "./axis.ts";

const ROW = 26;
const LABEL = 13;
const CHART = 54;

/** Of a row of so many: how high each state is, so that paper without colour tells them apart. */
const HEIGHTS: Record<Letter, number> = { W: 16, U: 16, S: 8, D: 3, N: 3 };
const WORDS: Record<Letter, string> = {
  W: "writable",
  U: "unfenced: out of recovery, acknowledges nothing",
  S: "standby",
  D: "down",
  N: "no answer",
};

/** Phases, writes by each way, and the state of each node, over one axis of time. */
export function timeline(result: Result): Html {
  const { x, ticks } = axisOf(result);
  const marks = placed(result.phases, x);
  const top = LABEL * (Math.max(0, ...marks.map(({ line }) => line)) + 1) + 8;
  const charts = top + result.waits.length * (CHART + 10);
  const strips = result.nodes?.strips ?? [];
  const bottom = charts + strips.length * ROW + 6;
  return html`<figure>
    <svg viewBox="0 0 ${WIDTH} ${bottom + 18}" role="img" aria-label="Timeline of the drill">
      ${ticks.map(
        (at) =>
          html`<line class="grid" x1="${x(at)}" x2="${x(at)}" y1="${top}" y2="${bottom}" /><text
              x="${x(at)}"
              y="${bottom + 14}"
              text-anchor="middle"
              >${at / 1000} s</text
            >`,
      )}
      ${result.waits.map((one, n) => writes(one, top + n * (CHART + 10), x))}
      ${strips.map(
        ({ node, stretches }, n) =>
          html`<text class="name" x="0" y="${charts + n * ROW + 16}">${node}</text>${stretches.map(
              ({ from, to, is }) =>
                html`<rect
                  class="${is}"
                  x="${x(from)}"
                  y="${charts + n * ROW + 20 - HEIGHTS[is]}"
                  width="${Math.max(0.4, Math.round((x(to) - x(from)) * 10) / 10)}"
                  height="${HEIGHTS[is]}"
                  ><title>${node} ${WORDS[is]}, ${from / 1000} to ${to / 1000} s</title></rect
                >`,
            )}`,
      )}
      ${marks.map(
        ({ at, name, line, left }) =>
          html`<line
              class="mark"
              x1="${at}"
              x2="${at}"
              y1="${LABEL * line + 4}"
              y2="${bottom}"
            /><text
              class="phase"
              x="${left ? at - 3 : at + 3}"
              text-anchor="${left ? "end" : "start"}"
              y="${LABEL * line + 11}"
              >${name}</text
            >`,
      )}
    </svg>
    <p class="legend">
      ${(Object.keys(WORDS) as Letter[]).map(
        (is) =>
          html`<span
            ><svg viewBox="0 0 16 16">
              <rect class="${is}" y="${16 - HEIGHTS[is]}" width="16" height="${HEIGHTS[is]}" /></svg
            >${WORDS[is]}</span
          > `,
      )}
      <span
        ><svg viewBox="0 0 16 16"><rect class="okay" width="16" height="16" /></svg>acknowledged in
        time, each second</span
      >
      <span
        ><svg viewBox="0 0 16 16"><rect class="missed" width="16" height="16" /></svg>late, failed
        or not sent</span
      >
    </p>
  </figure>`;
}

function writes(
  { way, seconds }: Result["waits"][number],
  top: number,
  x: (ms: number) => number,
): Html {
  const most = Math.max(1, ...seconds.ok.map((ok, n) => ok + (seconds.missed[n] ?? 0)));
  const bar = (kind: string, second: number, from: number, count: number) => {
    const height = (CHART * count) / most;
    const y = top + CHART - (CHART * from) / most - height;
    const width = Math.max(0.4, x((second + 1) * 1000) - x(second * 1000) - 0.4);
    return count === 0
      ? null
      : html`<rect
          class="${kind}"
          x="${x(second * 1000)}"
          y="${round(y)}"
          width="${round(width)}"
          height="${round(height)}"
        />`;
  };
  return html`<text class="name" x="0" y="${top + 16}">${way}</text
    ><text x="0" y="${top + 30}">writes/s</text
    ><text x="${LEFT - 6}" y="${top + 10}" text-anchor="end">${most}</text
    ><line
      class="grid"
      x1="${LEFT}"
      x2="${WIDTH - RIGHT}"
      y1="${top + CHART}"
      y2="${top + CHART}"
    />
    ${seconds.ok.map((ok, n) => [
      bar("okay", n, 0, ok),
      bar("missed", n, ok, seconds.missed[n] ?? 0),
    ])}`;
}

/** About as wide as its name is drawn. */
function width(name: string): number {
  return name.length * 6.5 + 8;
}

/** Each name in the first line where it does not lie over another one. */
function placed(phases: Result["phases"], x: (ms: number) => number) {
  const ends: number[] = [];
  return phases
    .filter(({ name }) => name !== "event")
    .map(({ at_ms, name }) => {
      const at = x(at_ms);
      const left = at + width(name) > WIDTH;
      const from = left ? at - width(name) : at;
      const free = ends.findIndex((end) => end <= from);
      const line = free === -1 ? ends.length : free;
      ends[line] = left ? at : at + width(name);
      return { at, name, line, left };
    });
}
