import type { Trends } from "../trends/trends.ts";
import { short, signed, size, span } from "../collect/units.ts";
import { lineChart } from "./charts.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import { day, table } from "./table.ts";

export function trendsSection(trends: Trends): Html {
  const { series, since, seconds } = trends;
  if (since === null || seconds === null) {
    return html`<p class="dim">
      This is the first report of this server that is kept; the next one shows what has changed.
    </p>`;
  }
  const points = (value: (point: Trends["series"][number]) => number | null) =>
    series.map((point) => ({ at: Date.parse(point.taken_at), value: value(point) }));
  const one = (name: string, value: (point: Trends["series"][number]) => number | null) => [
    { name, points: points(value) },
  ];
  const gone = trends.findings.gone;
  return html`<p class="dim">
      ${trends.snapshots} earlier report${trends.snapshots === 1 ? "" : "s"}; figures of change are
      since ${day(since)}, ${span(seconds * 1000)}
      ago${trends.size?.bytes_per_day === null ? ", too short a time for a rate per day" : ""}.
    </p>
    <div class="charts">
      ${lineChart(
        "Size of all databases",
        one("size", ({ bytes }) => bytes),
        size,
        1024,
      )}
      ${lineChart(
        "Transactions per second",
        one("transactions/s", (p) => p.transactions_per_second),
        short,
      )}
      ${lineChart(
        "Cache hit, %",
        one("cache hit", (p) => p.cache_hit_percent),
        short,
      )}
      ${lineChart(
        "WAL per second",
        one("WAL/s", (p) => p.wal_bytes_per_second),
        size,
        1024,
      )}
      ${lineChart(
        "Connections",
        one("connections", (p) => p.connections),
        short,
      )}
      ${lineChart(
        "Findings: critical / warning / info",
        (["critical", "warning", "info"] as const).map((tone) => ({
          name: tone,
          tone,
          points: points((p) => p[tone]),
        })),
        short,
      )}
    </div>
    <div class="columns">
      ${growth("Databases that grew most", trends.databases)}
      ${growth("Tables that grew most", trends.relations)}
    </div>
    ${
      gone.length === 0
        ? null
        : html`<h3>No longer found</h3>
            <ul>
              ${gone.slice(0, 50).map(
                ({ severity, check, object }) =>
                  html`<li>
                    ${check}${object === null ? "" : `: ${object}`}
                    <span class="dim">(${severity})</span>
                  </li> `,
              )}
            </ul>`
    }`;
}

function growth(title: string, rows: Trends["relations"]): Html | null {
  if (rows.length === 0) return null;
  return html`<div>
    <h3>${title}</h3>
    ${table(rows.slice(0, 10), [
      { title: "name", kind: "name", cell: ({ name }) => name },
      { title: "now", kind: "n", cell: ({ bytes }) => size(bytes) },
      {
        title: "change",
        kind: "n",
        cell: ({ grown_bytes }) => signed(grown_bytes),
      },
    ])}
  </div>`;
}
