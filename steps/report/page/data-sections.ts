import type { Snapshot } from "../collect/shape.ts";
import type { Trends } from "../trends/trends.ts";
import { size, span } from "../collect/units.ts";
import { bar, legend } from "./charts.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import { day, grouped, some, table } from "./table.ts";

export function statementsSection({ statements }: Snapshot, trends: Trends): Html {
  if (!statements.available) {
    return html`<p>${statements.reason}.</p>
      ${statements.hint === null ? null : html`<p>→ ${statements.hint}</p>`}`;
  }
  return html`<p class="dim">
      ${some(statements.entries, "statement")}, ${some(statements.calls, "call")},
      ${span(statements.total_ms)} of
      execution${
        statements.stats_reset === null ? "" : ` since ${day(statements.stats_reset)}`
      }${statements.evicted ? `; ${some(statements.evicted, "eviction")} for lack of room` : ""}${
        statements.hidden > 0
          ? `; ${grouped(statements.hidden)} of other users may not be seen and are not listed`
          : ""
      }.
    </p>
    ${table(statements.top, [
      {
        title: "statement",
        cell: ({ query, database, user }) =>
          html`<div class="query mono">${query}</div>
            <span class="dim small">${user ?? "–"} in ${database ?? "–"}</span>`,
      },
      {
        title: "share",
        kind: "bar",
        cell: (row) =>
          html`${bar(
              [{ name: span(row.total_ms), value: row.total_ms, color: "c1" }],
              statements.total_ms,
            )}<span class="small">${shareOf(row)} %</span>`,
      },
      { title: "total", kind: "n", cell: ({ total_ms }) => span(total_ms) },
      { title: "calls", kind: "n", cell: ({ calls }) => grouped(calls) },
      { title: "mean", kind: "n", cell: ({ mean_ms }) => span(mean_ms) },
      { title: "max", kind: "n", cell: ({ max_ms }) => span(max_ms) },
      { title: "rows", kind: "n", cell: ({ rows }) => grouped(rows) },
      {
        title: "hit",
        kind: "n",
        cell: ({ cache_hit_percent: hit }) => (hit === null ? null : `${hit} %`),
      },
    ])}
    ${
      trends.statements.length === 0
        ? null
        : html`<h3>Since the report of ${day(trends.since)}</h3>
            ${table(trends.statements.slice(0, 10), [
              {
                title: "statement",
                cell: ({ query, queryid }) =>
                  html`<div class="query mono">${query ?? `queryid ${queryid}`}</div>`,
              },
              { title: "total", kind: "n", cell: ({ total_ms }) => span(total_ms) },
              { title: "calls", kind: "n", cell: ({ calls }) => grouped(calls) },
              { title: "mean", kind: "n", cell: ({ mean_ms }) => span(mean_ms) },
            ])}`
    }`;
}

function shareOf({ share_percent: share, total_ms }: Snapshot["statements"]["top"][number]) {
  return share === 0 && total_ms > 0 ? "< 0.1" : share;
}

export function sizesSection({ sizes, server }: Snapshot): Html {
  const { counts, databases, relations, tablespaces } = sizes;
  const largest = databases[0]?.bytes ?? 1;
  const widest = relations[0]?.bytes ?? 1;
  return html`<h3>Databases</h3>
    ${table(databases, [
      { title: "name", kind: "name", cell: ({ name }) => name },
      {
        title: "",
        kind: "bar",
        cell: ({ name, bytes }) =>
          bytes === null ? "not visible" : bar([{ name, value: bytes, color: "c1" }], largest),
      },
      { title: "size", kind: "n", cell: ({ size: text }) => text },
      { title: "sessions", kind: "n", cell: ({ connections }) => connections },
      { title: "commits", kind: "n", cell: ({ commits }) => grouped(commits) },
      { title: "rollbacks", kind: "n", cell: ({ rollbacks }) => grouped(rollbacks) },
      {
        title: "cache hit",
        kind: "n",
        cell: ({ cache_hit_percent: hit }) => (hit === null ? null : `${hit} %`),
      },
      {
        title: "temp files",
        kind: "n",
        cell: ({ temp_bytes }) => (temp_bytes === null ? null : size(temp_bytes)),
      },
      { title: "deadlocks", kind: "n", cell: ({ deadlocks }) => deadlocks },
    ])}
    <h3>Largest tables of ${server.database}</h3>
    ${
      counts === null
        ? null
        : html`<p class="dim">
            ${some(counts.tables, "table")}, ${some(counts.indexes, "index", "indexes")},
            ${some(counts.materialized_views, "materialized view")}.
          </p>`
    }
    ${legend([
      { name: "table", color: "c1" },
      { name: "indexes", color: "c2" },
      { name: "TOAST", color: "c3" },
    ])}
    ${table(relations.slice(0, 30), [
      {
        title: "name",
        kind: "name",
        cell: ({ name, estimated }) => `${name}${estimated ? " (estimated)" : ""}`,
      },
      {
        title: "",
        kind: "bar",
        cell: (row) =>
          bar(
            [
              { name: `table ${size(row.table_bytes)}`, value: row.table_bytes, color: "c1" },
              { name: `indexes ${size(row.index_bytes)}`, value: row.index_bytes, color: "c2" },
              { name: `TOAST ${size(row.toast_bytes)}`, value: row.toast_bytes, color: "c3" },
            ],
            widest,
          ),
      },
      { title: "size", kind: "n", cell: ({ size: text }) => text },
      { title: "rows", kind: "n", cell: ({ rows }) => grouped(rows) },
      { title: "dead rows", kind: "n", cell: ({ dead_rows }) => grouped(dead_rows) },
      { title: "seq scans", kind: "n", cell: ({ seq_scans }) => grouped(seq_scans) },
      { title: "index scans", kind: "n", cell: ({ index_scans }) => grouped(index_scans) },
      { title: "last vacuum", cell: ({ last_vacuum }) => last_vacuum?.slice(0, 10) ?? "never" },
    ])}
    ${
      tablespaces.length === 0
        ? null
        : html`<h3>Tablespaces</h3>
            ${table(tablespaces, [
              { title: "name", kind: "name", cell: ({ name }) => name },
              { title: "location", cell: ({ location }) => html`<code>${location}</code>` },
              { title: "size", kind: "n", cell: ({ size: text }) => text },
            ])}`
    }`;
}
