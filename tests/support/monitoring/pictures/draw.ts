/** Panels as SVG and HTML, from what Prometheus has of them: a picture of the data, not of Grafana. Pure. */
import { inUnit } from "./units.ts";

export interface Series {
  name: string;
  /** Seconds since 1970, and the value. */
  values: [number, number][];
  labels: Record<string, string>;
  /** Of the query, as `A`. */
  ref: string;
}

export interface Panel {
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig?: {
    defaults: {
      unit?: string;
      min?: number;
      max?: number;
      custom?: {
        stacking?: { mode: string };
        scaleDistribution?: { type: string; linearThreshold?: number };
      };
      mappings?: { options: Record<string, { text: string; color: string }> }[];
      thresholds?: { steps: { value: number | null; color: string }[] };
    };
    overrides?: {
      matcher: { options: string };
      properties: { id: string; value: unknown }[];
    }[];
  };
  options?: { textMode?: string };
  transformations?: {
    id: string;
    options: {
      excludeByName?: Record<string, boolean>;
      renameByName?: Record<string, string>;
    };
  }[];
  targets?: { expr: string; legendFormat: string; refId: string; instant?: boolean }[];
}

export interface Window {
  from: number;
  to: number;
}

const COLORS = [
  "#7eb26d",
  "#eab839",
  "#6ed0e0",
  "#ef843c",
  "#e24d42",
  "#1f78c1",
  "#ba43a9",
  "#705da0",
];
const LIMITS: Record<string, string> = { "warning from": "orange", "critical from": "red" };

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

const defaultsOf = (panel: Panel) => panel.fieldConfig?.defaults ?? {};
const mappedOf = (panel: Panel, value: number): { text: string; color: string } | undefined =>
  defaultsOf(panel).mappings?.[0]?.options[String(value)];

/** The body of a panel of so many pixels. */
function bodyOf(
  panel: Panel,
  series: Series[],
  window: Window,
  size: { width: number; height: number },
): string {
  if (panel.type === "stat") return statOf(panel, series);
  if (panel.type === "table") return tableOf(panel, series);
  if (series.length === 0) return `<p class="none">No data</p>`;
  return panel.type === "state-timeline"
    ? timelineOf(panel, series, window, size)
    : graphOf(panel, series, window, size);
}

function statOf(panel: Panel, series: Series[]): string {
  const [first] = series;
  const value = first?.values.at(-1)?.[1];
  if (first === undefined || value === undefined) return `<p class="stat">unknown</p>`;
  const { unit = "none", thresholds } = defaultsOf(panel);
  const step = thresholds?.steps.filter((one) => one.value === null || value >= one.value).at(-1);
  const text =
    panel.options?.textMode === "name"
      ? first.name
      : (mappedOf(panel, value)?.text ?? inUnit(value, unit));
  return `<p class="stat" style="color:${step?.color ?? "blue"}">${escaped(text)}</p>`;
}

function tableOf(panel: Panel, series: Series[]): string {
  const organize = panel.transformations?.find(({ id }) => id === "organize")?.options ?? {};
  const { excludeByName: hidden = {}, renameByName: names = {} } = organize;
  const isJoined = panel.transformations?.some(({ id }) => id === "joinByField") === true;
  const isOne = (panel.targets ?? []).length === 1;
  const rows = new Map<string, Map<string, string>>();
  for (const [index, { labels, values, ref }] of series.entries()) {
    const key = isJoined ? (labels["instance"] ?? "") : String(index);
    const row = rows.get(key) ?? new Map<string, string>();
    for (const [name, value] of Object.entries(labels)) row.set(name, value);
    const column = isOne ? "Value" : `Value #${ref}`;
    row.set(column, cellOf(panel, names[column] ?? column, values.at(-1)?.[1] ?? NaN));
    rows.set(key, row);
  }
  const columns = [...new Set([...rows.values()].flatMap((row) => [...row.keys()]))]
    .filter((name) => hidden[name] !== true)
    .toSorted((a, b) => (a in names ? 0 : 1) - (b in names ? 0 : 1));
  const cells = (tag: string, all: string[]): string =>
    `<tr>${all.map((one) => `<${tag}>${escaped(one)}</${tag}>`).join("")}</tr>`;
  const body = [...rows.values()].map((row) =>
    cells(
      "td",
      columns.map((name) => row.get(name) ?? ""),
    ),
  );
  return `<table>${cells(
    "th",
    columns.map((name) => names[name] ?? name),
  )}${body.join("")}</table>`;
}

/** As the column's own unit and mappings have it. */
function cellOf(panel: Panel, column: string, value: number): string {
  const own = panel.fieldConfig?.overrides?.find(({ matcher }) => matcher.options === column);
  const of = (id: string): unknown => own?.properties.find((one) => one.id === id)?.value;
  const mappings = of("mappings") as { options: Record<string, { text: string }> }[] | undefined;
  return mappings?.[0]?.options[String(value)]?.text ?? inUnit(value, String(of("unit") ?? "none"));
}

const LEFT = 70;
const BOTTOM = 18;

function timeAxis({ from, to }: Window, width: number, height: number): string {
  const ticks = 5;
  return Array.from({ length: ticks }, (_, index) => {
    const at = from + ((to - from) * index) / (ticks - 1);
    const x = LEFT + ((width - LEFT - 20) * index) / (ticks - 1);
    const text = new Date(at * 1000).toISOString().slice(11, 19);
    return `<text x="${x}" y="${height - 4}" text-anchor="${index === 0 ? "start" : index === ticks - 1 ? "end" : "middle"}">${text}</text>`;
  }).join("");
}

function graphOf(
  panel: Panel,
  series: Series[],
  window: Window,
  { width, height: all }: { width: number; height: number },
): string {
  const { unit = "none", min: given, max, custom } = defaultsOf(panel);
  const isStacked = custom?.stacking?.mode === "normal";
  const height = all - 22;
  const sums = new Map<number, number>();
  const drawn = series.map((one) => ({
    ...one,
    values: one.values.map(([at, value]): [number, number] => {
      if (!isStacked || one.name in LIMITS) return [at, value];
      const sum = (sums.get(at) ?? 0) + value;
      sums.set(at, sum);
      return [at, sum];
    }),
  }));
  const values = drawn.flatMap((one) => one.values.map(([, value]) => value));
  const min = given ?? Math.min(...values, max ?? Infinity);
  const top = max ?? (Math.max(...values, min) * 1.05 || 1);
  const x = (at: number): number =>
    LEFT + ((at - window.from) / (window.to - window.from)) * (width - LEFT - 20);
  const { type, linearThreshold = 1 } = custom?.scaleDistribution ?? { type: "linear" };
  // Nearly linear below the threshold, logarithmic above it.
  const bent = (value: number): number =>
    type === "symlog" ? Math.log1p(value / linearThreshold) : value;
  const straight = (value: number): number =>
    type === "symlog" ? Math.expm1(value) * linearThreshold : value;
  const share = (value: number): number => (bent(value) - bent(min)) / (bent(top) - bent(min));
  const y = (value: number): number => height - BOTTOM - share(value) * (height - BOTTOM - 8);
  const grid = Array.from({ length: 5 }, (_, index) => {
    const value = straight(bent(min) + ((bent(top) - bent(min)) * index) / 4);
    return `<line x1="${LEFT}" x2="${width - 20}" y1="${y(value)}" y2="${y(value)}" stroke="#333"/><text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${inUnit(value, unit)}</text>`;
  }).join("");
  const color = (index: number): string =>
    LIMITS[series[index]!.name] ?? COLORS[index % COLORS.length]!;
  const lines = drawn.map(({ name, values: all }, index) => {
    const points = all.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    return `<polyline fill="none" stroke="${color(index)}" stroke-width="1.5" ${name in LIMITS ? 'stroke-dasharray="8 6"' : ""} points="${points}"/>`;
  });
  const legend = series.map(({ name, values: all }, index) => {
    const last = all.at(-1)?.[1];
    return `<span><i style="background:${color(index)}"></i>${escaped(name)} <b>${last === undefined ? "" : inUnit(last, unit)}</b></span>`;
  });
  return `<svg width="${width}" height="${height}">${grid}${timeAxis(window, width, height)}${lines.join("")}</svg><div class="legend">${legend.join("")}</div>`;
}

function timelineOf(
  panel: Panel,
  series: Series[],
  window: Window,
  { width, height }: { width: number; height: number },
): string {
  const row = (height - BOTTOM) / series.length;
  const x = (at: number): number =>
    LEFT + ((at - window.from) / (window.to - window.from)) * (width - LEFT - 20);
  const rows = series.map(({ name, values }, index) => {
    const y = index * row + row * 0.1;
    const bands: string[] = [];
    for (let from = 0; from < values.length;) {
      let to = from;
      while (to + 1 < values.length && values[to + 1]![1] === values[from]![1]) to++;
      const [at, value] = values[from]!;
      const end = values[to + 1]?.[0] ?? values[to]![0];
      const mapped = mappedOf(panel, value);
      const text = mapped?.text ?? inUnit(value, defaultsOf(panel).unit ?? "none");
      bands.push(
        `<rect x="${x(at)}" y="${y}" width="${Math.max(1, x(end) - x(at))}" height="${row * 0.8}" fill="${mapped?.color ?? "gray"}" opacity="0.7"/><text x="${x(at) + 4}" y="${y + row * 0.5}">${escaped(text)}</text>`,
      );
      from = to + 1;
    }
    return `<text x="${LEFT - 6}" y="${y + row * 0.5}" text-anchor="end">${escaped(name)}</text>${bands.join("")}`;
  });
  return `<svg width="${width}" height="${height}">${rows.join("")}${timeAxis(window, width, height)}</svg>`;
}

const STYLE = `body{margin:0;background:#111217;color:#ccccdc;font:12px sans-serif}
.panel{position:absolute;background:#181b1f;border:1px solid #2c3235;box-sizing:border-box;overflow:hidden;padding:4px}
h2{font-size:13px;margin:0 0 4px}h1{font-size:15px;margin:6px}svg text{fill:#9fa7b3;font:11px sans-serif}
.stat{font-size:30px;text-align:center;margin:12px}.none{color:#f55;font-size:20px;text-align:center}
.legend{white-space:nowrap;font-size:11px}.legend span{margin-right:12px}.legend i{display:inline-block;width:12px;height:3px;margin-right:4px;vertical-align:middle}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:2px 8px;border-bottom:1px solid #2c3235}`;

const ROW = 38;

/** A dashboard as Grafana would lay it out, on a page of `width` pixels. Gives its height, too. */
export function pageOf(
  title: string,
  panels: { panel: Panel; series: Series[] }[],
  window: Window,
  width: number,
): { html: string; height: number } {
  const column = width / 24;
  const boxes = panels.map(({ panel, series }) => {
    const { x, y, w, h } = panel.gridPos;
    const box = `left:${x * column}px;top:${y * ROW + 30}px;width:${w * column - 6}px;height:${h * ROW - 6}px`;
    if (panel.type === "row")
      return `<h1 style="position:absolute;${box}">${escaped(panel.title)}</h1>`;
    const size = { width: w * column - 18, height: h * ROW - 40 };
    const body = bodyOf(panel, series, window, size);
    return `<div class="panel" style="${box}"><h2>${escaped(panel.title)}</h2>${body}</div>`;
  });
  const height =
    Math.max(...panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h)) * ROW + 50;
  return {
    html: `<!doctype html><meta charset="utf-8"><style>${STYLE}</style><h1>${escaped(title)}</h1>${boxes.join("")}`,
    height,
  };
}
