import { amount } from "../../../engine/shared/amount.ts";
import type { Snapshot } from "../collect/shape.ts";
import { size, span } from "../collect/units.ts";
import { bar, legend } from "./charts.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import { day, facts, grouped, table } from "./table.ts";

const COLORS = ["c1", "c2", "c3", "c4", "c5"] as const;

export function connectionsSection({ connections }: Snapshot): Html {
  if (connections === null) return html`<p class="dim">Not visible.</p>`;
  const { used, max, reserved, by_state: states } = connections;
  const parts = states.map(({ name, count }, n) => ({
    name: `${name} ${count}`,
    value: count,
    color: COLORS[Math.min(n, COLORS.length - 1)] ?? "c5",
  }));
  const groups = [
    ["by database", connections.by_database],
    ["by user", connections.by_user],
    ["by application", connections.by_application],
  ] as const;
  return html`<p>${used} of ${max} (${reserved} kept for superusers)</p>
    <div class="bar" style="width:100%">${bar(parts, max)}</div>
    ${legend(parts)}
    ${facts([
      ["oldest transaction", seconds(connections.oldest_transaction_seconds)],
      ["oldest running query", seconds(connections.oldest_query_seconds)],
      ["waiting for a lock", connections.waiting_for_locks],
    ])}
    <div class="columns">
      ${groups.map(
        ([title, rows]) =>
          html`<div>
            <h3>${title}</h3>
            ${table(rows, [
              { title: "name", kind: "name", cell: ({ name }) => name },
              { title: "sessions", kind: "n", cell: ({ count }) => count },
              {
                title: "",
                kind: "bar",
                cell: ({ name, count }) =>
                  bar([{ name, value: count, color: "c1" }], rows[0]?.count ?? 1),
              },
            ])}
          </div>`,
      )}
    </div>`;
}

export function replicationSection({ server, replication }: Snapshot): Html {
  const { standbys, receiver, slots, subscriptions } = replication;
  return html`${
      server.role === "primary" || receiver === null
        ? null
        : html`<h3>This standby</h3>
            ${facts([
              [
                "receives from",
                receiver.sender_host === null
                  ? "nobody"
                  : `${receiver.sender_host}:${receiver.sender_port ?? ""}`,
              ],
              ["status", receiver.status],
              ["slot", receiver.slot_name],
              ["replayed up to", receiver.replay_lsn],
              [
                "not replayed yet",
                receiver.replay_lag_bytes === null ? null : size(receiver.replay_lag_bytes),
              ],
              ["behind", seconds(receiver.replay_lag_seconds)],
              ["replay", receiver.replay_paused ? "paused" : "running"],
            ])}`
    }
    <h3>Standbys and other receivers</h3>
    ${table(
      standbys,
      [
        { title: "name", kind: "name", cell: ({ name }) => name },
        { title: "address", cell: ({ address }) => address },
        { title: "state", cell: ({ state }) => state },
        { title: "sync", cell: ({ sync_state }) => sync_state },
        {
          title: "behind",
          kind: "n",
          cell: ({ lag_bytes }) => (lag_bytes === null ? null : size(lag_bytes)),
        },
        {
          title: "replay lag",
          kind: "n",
          cell: ({ replay_lag_seconds }) => seconds(replay_lag_seconds),
        },
      ],
      "No standby receives WAL from this server.",
    )}
    <h3>Slots</h3>
    ${table(slots, [
      { title: "name", kind: "name", cell: ({ name }) => name },
      {
        title: "type",
        cell: ({ type, plugin }) => (plugin === null ? type : `${type} (${plugin})`),
      },
      {
        title: "read by",
        cell: ({ active, consumer, inactive_since }) =>
          active
            ? (consumer ?? "somebody")
            : `nobody${inactive_since === null ? "" : ` since ${day(inactive_since)}`}`,
      },
      {
        title: "WAL",
        cell: ({ wal_status, invalidation_reason }) => invalidation_reason ?? wal_status,
      },
      {
        title: "held back",
        kind: "n",
        cell: ({ retained_bytes }) => (retained_bytes === null ? null : size(retained_bytes)),
      },
      {
        title: "unread",
        kind: "n",
        cell: ({ unread_bytes }) => (unread_bytes === null ? null : size(unread_bytes)),
      },
    ])}
    ${
      subscriptions.length === 0
        ? null
        : html`<h3>Subscriptions</h3>
            ${table(subscriptions, [
              { title: "name", kind: "name", cell: ({ name }) => name },
              { title: "running", cell: ({ running }) => (running ? "yes" : "no") },
              { title: "received", cell: ({ received_lsn }) => received_lsn },
              { title: "behind", kind: "n", cell: ({ behind_seconds }) => seconds(behind_seconds) },
            ])}`
    }`;
}

export function walSection({ wal, backups }: Snapshot): Html {
  const { archiver } = backups;
  const { checkpoints, statistics, directory } = wal;
  return html`<div class="columns">
    <div>
      <h3>WAL</h3>
      ${facts([
        ["position", wal.lsn],
        ["level", wal.level],
        ["max_wal_size", wal.max_size],
        [
          "pg_wal",
          directory === null ? null : `${directory.size} in ${amount(directory.files, "file")}`,
        ],
        [
          "written",
          statistics === null
            ? null
            : `${size(statistics.bytes)} since ${day(statistics.stats_reset) ?? "the start"}`,
        ],
        ["full page images", statistics === null ? null : grouped(statistics.full_page_images)],
        ["synchronous standbys", wal.synchronous_standby_names || "none"],
      ])}
    </div>
    <div>
      <h3>Checkpoints</h3>
      ${
        checkpoints === null
          ? html`<p class="dim">Not visible.</p>`
          : facts([
              ["timed", grouped(checkpoints.timed)],
              ["requested", grouped(checkpoints.requested)],
              ["writing", span(checkpoints.write_ms)],
              ["syncing", span(checkpoints.sync_ms)],
              ["counted since", day(checkpoints.stats_reset)],
            ])
      }
    </div>
    <div>
      <h3>Archiving and backups</h3>
      ${facts([
        ["archiving", archiver === null ? null : archiver.mode],
        ["state", archiver === null || archiver.mode === "off" ? null : archived(archiver.failing)],
        ["archived", archiver === null ? null : grouped(archiver.archived)],
        ["last", day(archiver?.last_archived_time)],
        ["failures", archiver === null ? null : grouped(archiver.failed)],
        ["last failure", day(archiver?.last_failed_time)],
        ["backup program", backups.tool ?? "none seen"],
        ["under way", backups.running.map(({ phase }) => phase).join(", ") || "no base backup"],
      ])}
      <p class="dim small">${backups.note}</p>
    </div>
  </div>`;
}

function archived(failing: boolean): Html {
  return failing
    ? html`<span class="critical tone">failing</span>`
    : html`<span class="ok tone">working</span>`;
}

function seconds(value: number | null): string | null {
  return value === null ? null : span(value * 1000);
}

export function configurationSection({ configuration, server }: Snapshot): Html {
  const { settings, role_settings: roles } = configuration;
  return html`<p class="dim">
      ${amount(settings.length, "setting is", "settings are")} not as PostgreSQL ${server.release}
      ships.
    </p>
    ${table(settings, [
      {
        title: "setting",
        kind: "name",
        cell: ({ name, pending_restart }) =>
          pending_restart
            ? html`<code>${name}</code> <span class="badge warning">awaits restart</span>`
            : html`<code>${name}</code>`,
      },
      { title: "value", cell: ({ value }) => html`<code>${value}</code>` },
      {
        title: "default",
        cell: ({ default: usual }) => html`<code class="dim">${usual ?? ""}</code>`,
      },
      {
        title: "from",
        cell: ({ source, where }) => html`<span class="small">${where ?? source}</span>`,
      },
    ])}
    ${
      roles.length === 0
        ? null
        : html`<h3>Set for roles and databases</h3>
            ${table(roles, [
              { title: "database", cell: ({ database }) => database ?? "all" },
              { title: "role", cell: ({ role }) => role ?? "all" },
              { title: "settings", cell: (row) => html`<code>${row.settings.join(", ")}</code>` },
            ])}`
    }`;
}
