import { amount } from "../../../engine/shared/amount.ts";
import type { Finding } from "../../health/findings/findings.ts";
import type { Failure, Note } from "../../health/examine/select.ts";
import type { Snapshot } from "../collect/shape.ts";
import type { Trends } from "../trends/trends.ts";
import { short, signed, size, span } from "../collect/units.ts";
import { sizesSection, statementsSection } from "./data-sections.ts";
import { findingsSection } from "./findings.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import {
  configurationSection,
  connectionsSection,
  replicationSection,
  walSection,
} from "./server-sections.ts";
import { STYLE } from "./style.ts";
import { day, table } from "./table.ts";
import { trendsSection } from "./trends-section.ts";
import { pageOf } from "../../../engine/shared/page.ts";

/** The output of `health/check`. */
export interface Health {
  summary: {
    worst: string;
    critical: number;
    warning: number;
    info: number;
    ok: number;
    partial: number;
    checks: number;
    skipped: number;
    errors: number;
  };
  findings: Finding[];
  partial: Note[];
  skipped: Note[];
  unexamined_databases: { database: string; checks: number; reason: string; hint: string | null }[];
  errors: Failure[];
  passed: string[];
}

export interface Report {
  /** The target of the report, as the user named it. */
  target: string;
  health: Health;
  snapshot: Snapshot;
  trends: Trends;
}

/** A report as one self-contained page: nothing is loaded from anywhere and no script runs. All data is escaped. */
export function page(report: Report): string {
  const { target, health, snapshot, trends } = report;
  const { server } = snapshot;
  const sections: [id: string, title: string, body: Html][] = [
    ["findings", "Findings", findingsSection(health.findings, trends.findings)],
    ["trends", "Trends", trendsSection(trends)],
    ["statements", "Statements", statementsSection(snapshot, trends)],
    ["sizes", "Sizes", sizesSection(snapshot)],
    ["connections", "Connections", connectionsSection(snapshot)],
    ["replication", "Replication", replicationSection(snapshot)],
    ["wal", "WAL and backups", walSection(snapshot)],
    ["configuration", "Configuration", configurationSection(snapshot)],
    ["unseen", "Not seen", unseen(health, snapshot)],
  ];
  return pageOf({
    title: `${verdict(health)} – ${target}`,
    style: STYLE,
    body: html`
      <header>
        <div class="verdict ${toneOf(health.summary.worst)}">
          <h1>Health report <span class="dim">of ${server.cluster_name ?? target}</span></h1>
          <p><strong>${verdict(health)}</strong></p>
        </div>
        <p class="dim small">
          ${[
            `PostgreSQL ${server.release}`,
            server.role,
            target,
            `database ${server.database}`,
            `up ${span(server.uptime_seconds * 1000)}`,
            ...(server.identity === null ? [] : [`system ${server.identity}`]),
            `read as ${server.user}`,
            day(server.taken_at),
          ].join(" · ")}
        </p>
        <nav>${sections.map(([id, title]) => html`<a href="#${id}">${title}</a> `)}</nav>
      </header>
      <main>
        ${tiles(report)}
        ${sections.map(
          ([id, title, body]) =>
            html`<section id="${id}">
              <h2>${title}</h2>
              ${body}
            </section> `,
        )}
      </main>
      <footer>
        pgdba health/report · ${day(server.taken_at)} · ${amount(health.summary.checks, "check")} ·
        read as ${server.user}
      </footer>
    `,
  });
}

function verdict({ summary }: Health): string {
  const { critical, warning, info } = summary;
  const parts = [
    ...(critical > 0 ? [`${critical} critical`] : []),
    ...(warning > 0 ? [`${warning} warning${warning === 1 ? "" : "s"}`] : []),
    ...(info > 0 ? [`${info} worth mentioning`] : []),
  ];
  if (summary.worst === "unknown") return "Nothing could be examined";
  return parts.length === 0 ? "Nothing found" : parts.join(", ");
}

function toneOf(worst: string): string {
  return worst === "unknown" ? "warning" : worst;
}

interface Tile {
  label: string;
  value: string | number;
  note?: string | null;
  tone?: string;
}

/** Tiles in a line of a wide page. */
const MOST_TILES = 7;

function tiles({ health, snapshot, trends }: Report): Html {
  const { summary } = health;
  const { sizes, connections, server, replication, statements } = snapshot;
  const database = sizes.databases.find(({ name }) => name === server.database);
  const lags = replication.standbys.flatMap(({ lag_bytes }) =>
    lag_bytes === null ? [] : [lag_bytes],
  );
  const all: (Tile | null)[] = [
    { label: "critical", value: summary.critical, tone: summary.critical > 0 ? "critical" : "ok" },
    { label: "warnings", value: summary.warning, tone: summary.warning > 0 ? "warning" : "ok" },
    {
      label: "checks passed",
      value: summary.ok,
      note: `${summary.checks} in all, ${summary.partial} in part, ${summary.skipped} skipped`,
    },
    sizes.total === null
      ? null
      : {
          label: "all databases",
          value: sizes.total,
          note: growthNote(trends),
        },
    connections === null
      ? null
      : { label: "connections", value: connections.used, note: `of ${connections.max}` },
    trends.transactions_per_second === null
      ? null
      : { label: "transactions/s", value: short(trends.transactions_per_second) },
    (trends.cache_hit_percent ?? database?.cache_hit_percent ?? null) === null
      ? null
      : {
          label: "cache hit",
          value: `${trends.cache_hit_percent ?? database?.cache_hit_percent} %`,
        },
    trends.wal_bytes_per_second === null
      ? null
      : { label: "WAL per second", value: size(trends.wal_bytes_per_second) },
    replication.standbys.length === 0
      ? null
      : {
          label: "receivers of WAL",
          value: replication.standbys.length,
          note: lags.length === 0 ? null : `at most ${size(Math.max(...lags))} behind`,
        },
    statements.available
      ? {
          label: "statements",
          value: statements.entries,
          note: `${span(statements.total_ms)} of execution`,
        }
      : null,
  ];
  // As many beside each other as leave no single one in a line of its own.
  const shown = all.filter((tile) => tile !== null);
  const lines = Math.ceil(shown.length / MOST_TILES);
  return html`<div class="tiles of-${Math.ceil(shown.length / lines)}">
    ${shown.map(
      ({ label, value, note, tone }) =>
        html`<div class="tile ${tone ?? ""}">
          <div class="label">${label}</div>
          <div class="value">${value}</div>
          ${note ? html`<div class="note">${note}</div>` : null}
        </div> `,
    )}
  </div>`;
}

function growthNote({ size: grown, seconds }: Trends): string | null {
  if (grown === null || seconds === null) return null;
  const { grown_bytes, bytes_per_day: daily } = grown;
  const since = `${signed(grown_bytes)} in ${span(seconds * 1000)}`;
  return daily === null ? since : `${since}, ${signed(daily)} per day`;
}

/** Why a check says nothing of a server although nothing is hidden. */
const NOT_FOR_THIS = ["version", "role", "extension"];

/** The parts that this user or this server did not let us see: each is named. */
function unseen(health: Health, { missing }: Snapshot): Html {
  const notes = [
    ...missing.map(({ section, reason, hint, partial }) => ({
      what: section,
      reason,
      hint,
      partial,
    })),
    ...health.errors.map(({ check, reason, hint }) => ({
      what: check,
      reason,
      hint,
      partial: false,
    })),
    ...health.partial.map(({ check, object, total, reason, hint }) => ({
      what: [check, ...(object === null ? [] : [object])].join(": "),
      reason: total === null ? reason : `${reason} (one of ${total})`,
      hint,
      partial: object === null,
    })),
    ...health.unexamined_databases.map(({ database, reason, hint }) => ({
      what: `database ${database}`,
      reason,
      hint,
      partial: true,
    })),
    ...health.skipped
      .filter(({ code }) => !NOT_FOR_THIS.includes(code))
      .map(({ check, reason, hint }) => ({ what: check, reason, hint, partial: false })),
  ];
  const grants = [
    ...new Set(notes.flatMap(({ hint }) => (hint?.startsWith("grant ") ? [hint] : []))),
  ];
  const others = health.skipped.filter(({ code }) => NOT_FOR_THIS.includes(code));
  return html`${notes.length === 0 ? html`<p class="ok tone">✔ Everything was examined.</p>` : null}
    ${
      grants.length === 0
        ? null
        : html`<p>These show it:</p>
            <pre>${grants.join("\n")}</pre>`
    }
    ${
      notes.length === 0
        ? null
        : table(notes, [
            { title: "what", kind: "name", cell: ({ what }) => what },
            {
              title: "",
              kind: "short",
              cell: ({ partial }) => (partial ? "in part" : "not at all"),
            },
            { title: "why", cell: ({ reason }) => reason },
            {
              title: "to see it",
              cell: ({ hint }) => (hint === null ? "" : html`<code>${hint}</code>`),
            },
          ])
    }
    <details>
      <summary class="dim">
        ${amount(others.length, "check is", "checks are")} not for this server
      </summary>
      <ul>
        ${others.map(({ check, reason }) => html`<li>${check}: ${reason}</li> `)}
      </ul>
    </details>
    <details>
      <summary class="dim">${amount(health.passed.length, "check")} found nothing</summary>
      <p>${health.passed.join(", ")}</p>
    </details>`;
}
