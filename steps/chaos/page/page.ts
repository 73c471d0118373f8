import { html, type Html } from "../../../engine/shared/markup.ts";
import { pageOf } from "../../../engine/shared/page.ts";
import { lsnText } from "../../../providers/postgres/lsn.ts";
import { differences, type Reported } from "../drills/kept.ts";
import type { Result } from "../drills/result.ts";
import type { Found } from "../judge/judge.ts";
import { STYLE } from "./style.ts";
import { heatMap } from "./heat.ts";
import { timeline } from "./timeline.ts";

/** Drills as one self-contained page: nothing is loaded from anywhere and no script runs. All data is escaped. */
export function page(drills: readonly Reported[]): string {
  const worst = ["invalid", "unknown", "valid", "skipped"].find((verdict) =>
    drills.some((one) => verdictIn(one) === verdict),
  );
  const names = [...new Set(drills.map(({ drill }) => drill.name))].join(", ");
  return pageOf({
    title: `${worst} – ${names}`,
    style: STYLE,
    body: html`${drills.map((one) => article(one))}
      <footer>pgdba chaos/report</footer>`,
  });
}

function verdictIn({ result }: { result: Result | undefined }): string {
  return result?.verdict ?? "unknown";
}

function article(reported: Reported): Html {
  const { drill, result, earlier } = reported;
  const verdict = verdictIn(reported);
  return html`<article>
    <header class="verdict ${verdict}">
      <h1>${drill.name} <span class="dim">on ${drill.cluster}</span></h1>
      <p>
        <strong>${verdict}</strong
        >${result === undefined ? html`: the drill did not come to its check` : wrong(result)}
      </p>
    </header>
    <p class="dim small">
      ${[time(drill.began), `drill ${drill.id}`, drill.seed === null ? "no seed" : `seed ${drill.seed}`].join(" · ")}
    </p>
    <pre>${drill.command}</pre>
    ${result === undefined || result.skipped !== undefined ? null : found(result)}
    <h2>Earlier runs of this drill</h2>
    ${earlier.length === 0 ? html`<p class="dim">None is kept.</p>` : compared(reported)}
    <h2>Settings in force</h2>
    <div class="columns">
      ${halves(Object.entries({ ...workload(reported), ...drill.settings })).map((part) =>
        table(["name", "value"], part),
      )}
    </div>
  </article>`;
}

function wrong({ hypotheses, skipped }: Result): Html | null {
  if (skipped !== undefined) return html`: ${skipped}`;
  const not = hypotheses.filter(({ held }) => held !== true);
  if (not.length === 0) return html`: all ${hypotheses.length} claims hold`;
  return html`:
  ${not.map(({ name, held }) => `${held === null ? "not known" : "does not hold"}: ${name}`).join(" · ")}`;
}

function found(result: Result): Html {
  const { judged, waits, redundancy, nodes } = result;
  const fault = result.phases.some(({ name }) => name === "inject");
  const tone = (bad: boolean | null) => (bad === null ? "unknown" : bad ? "invalid" : "valid");
  return html`<div class="tiles">
      ${tile("lost", judged?.lost.count ?? "?", tone(judged === null ? null : judged.lost.count > 0))}
      ${tile("acknowledged", judged?.operations.ok ?? "?")}
      ${waits.map(({ way, longest_gap_ms, failed_ms }) =>
        tile(
          `longest gap, ${way}`,
          span(longest_gap_ms),
          undefined,
          `${span(failed_ms)} failed in all`,
        ),
      )}
      ${
        fault
          ? tile(
              "redundancy back after",
              redundancy === null
                ? "?"
                : redundancy.restored_ms === null
                  ? "never"
                  : span(redundancy.restored_ms),
              redundancy?.restored_ms === null ? "invalid" : undefined,
            )
          : null
      }
      ${tile("writable nodes, most", nodes?.most_writable ?? "?", tone(nodes === null ? null : nodes.most_writable > 1))}
    </div>
    ${timeline(result)} ${heatMap(result)}
    <h2>Claims</h2>
    <table>
      ${result.hypotheses.map(
        ({ name, held, said }) =>
          html`<tr class="${tone(held === null ? null : !held)}">
            <td class="sign tone">${held === null ? "?" : held ? "✔" : "✖"}</td>
            <td class="claim">${name}</td>
            <td>${said}</td>
          </tr>`,
      )}
    </table>
    <div class="columns">
      ${fault ? wayBack(result) : null}
      <div>
        <h2>As clients saw it</h2>
        ${table(
          ["", ...waits.map(({ way }) => way)],
          (
            [
              ["acknowledged", ({ acknowledged }) => acknowledged],
              ["longest gap", ({ longest_gap_ms }) => span(longest_gap_ms)],
              ["began at", ({ gap_began_ms }) => span(gap_began_ms)],
              ["failed time", ({ failed_ms }) => span(failed_ms)],
              ["half within", ({ p50_ms }) => maybe(p50_ms)],
              ["99 % within", ({ p99_ms }) => maybe(p99_ms)],
              ["connections refused", ({ refused }) => refused],
            ] as [string, (one: Result["waits"][number]) => string | number][]
          ).map(([name, of]) => [name, ...waits.map(of)]),
          true,
        )}
      </div>
    </div>
    <h2>Writes</h2>
    ${judged === null ? html`<p>What is there could not be compared.</p>` : counts(judged)}
    ${
      result.reasons.length === 0
        ? null
        : html`<h2>Errors</h2>
            ${table(
              ["reason", "times"],
              result.reasons.slice(0, 12).map(({ reason, times }) => [reason, times]),
              true,
            )}`
    }
    <h2>Events</h2>
    ${table(["at", "what"], eventsIn(result))}
    ${
      (result.history ?? []).length === 0
        ? null
        : html`<h2>Patroni's history</h2>
            ${table(
              ["timeline", "ended", "at", "the next one began by", "for"],
              result.history!.map(({ timeline: of, lsn, reason, at, leader }): Row => [
                of,
                at === null ? "" : at.slice(0, 19).replace("T", " "),
                lsnText(BigInt(lsn)),
                leader ?? "",
                reason,
              ]),
            )}`
    }
    ${result.stalled_ms === 0 ? null : html`<p class="dim">pgdba itself stood still for ${span(result.stalled_ms)} in all: gaps are the longer for it.</p>`}`;
}

function wayBack({ recovery, redundancy, waits }: Result): Html {
  return html`<div>
    <h2>The way back</h2>
    ${table(
      ["from the fault on", "time"],
      [
        ["detect: the leader key is nobody's, or another one's", maybe(recovery?.detect_ms)],
        ["elect: from then, until somebody holds it", maybe(recovery?.elect_ms)],
        ["promote: from then, until a server is out of recovery", maybe(recovery?.promote_ms)],
        ...waits.map(({ way, up_after_ms }): Row => [
          `${way}: writes go on, from the fault`,
          maybe(up_after_ms),
        ]),
        ["redundancy is back, from the fault", maybe(redundancy?.restored_ms)],
        ["leader", `${recovery?.leader_before ?? "?"} → ${recovery?.leader_after ?? "?"}`],
        ["timeline", `${recovery?.timeline_before ?? "?"} → ${recovery?.timeline_after ?? "?"}`],
      ],
      true,
    )}
  </div>`;
}

function counts(judged: NonNullable<Result["judged"]>): Html {
  const { ok, failed, unknown, unsent, rows } = judged.operations;
  const row = (name: string, { count, ids, from_ms, to_ms }: Found, more = ""): Row => [
    name,
    count,
    from_ms === null || to_ms === null ? "" : `${span(from_ms)} to ${span(to_ms)}`,
    [ids.join(", ") + (count > ids.length ? ", …" : ""), more].filter(Boolean).join("; "),
  ];
  const bytes = judged.lost.wal_bytes;
  return html`<p class="dim">
      ${`${ok} acknowledged, ${failed} failed, ${unknown} unknown, ${unsent} not sent; ${rows} rows are there.`}
    </p>
    ${table(
      ["", "count", "when", "ids"],
      [
        row(
          "lost: acknowledged, and not there",
          judged.lost,
          bytes === null ? "" : `${bytes} bytes of WAL`,
        ),
        row("duplicate: there more than once", judged.duplicate),
        row("dirty: failed, and there", judged.dirty),
        row("phantom: there, and nobody sent it", judged.phantom),
        row("rewound: read, and gone", judged.rewound),
        row("split: acknowledged while another server did", judged.split),
        row("recovered: unknown, and there (nothing wrong)", judged.recovered),
        [
          "forked lists",
          judged.forks.length,
          "",
          judged.forks
            .slice(0, 5)
            .map(({ list, same }) => `list ${list} after ${same} ids`)
            .join(", "),
        ],
      ],
    )}`;
}

function eventsIn({ phases, events }: Result): Row[] {
  return [
    ...phases.map(({ at_ms, name, text }) => ({
      at_ms,
      text: [name === "event" ? "" : `phase: ${name}`, text].filter(Boolean).join(" · "),
    })),
    ...events,
  ]
    .toSorted((a, b) => a.at_ms - b.at_ms)
    .map(({ at_ms, text }): Row => [`${(at_ms / 1000).toFixed(2)} s`, text]);
}

function compared({ drill, result, earlier }: Reported): Html {
  return table(
    [
      "began",
      "verdict",
      "lost",
      "gap direct",
      "gap pooled",
      "detect",
      "elect",
      "promote",
      "redundancy",
      "with other parameters",
    ],
    [{ drill, result }, ...earlier].map((one, n): Row => {
      const gap = (way: string) =>
        maybe(one.result?.waits.find((found) => found.way === way)?.longest_gap_ms);
      return [
        time(one.drill.began) + (n === 0 ? " (this)" : ""),
        verdictIn(one),
        one.result?.judged?.lost.count ?? "?",
        gap("direct"),
        gap("pooled"),
        maybe(one.result?.recovery?.detect_ms),
        maybe(one.result?.recovery?.elect_ms),
        maybe(one.result?.recovery?.promote_ms),
        maybe(one.result?.redundancy?.restored_ms),
        differences(one.drill, drill).join(", "),
      ];
    }),
  );
}

function workload({ drill: { workload: load, members } }: Reported): Record<string, string> {
  return {
    members: members.join(", "),
    load: `${load.rate}/s by ${load.ways.join(" and ")}, ${load.connections} connections each`,
    "synchronous_commit of the load": load.synchronous_commit,
    "deadline of a write": `${load.deadline_ms} ms`,
  };
}

type Row = (string | number)[];

/** `figures`: all columns but the first hold figures. */
function table(heads: string[], rows: Row[], figures = false): Html {
  const kind = (n: number) => (figures && n > 0 ? "n" : "");
  return html`<div class="scroll">
    <table>
      <tr>
        ${heads.map((head, n) => html`<th class="${kind(n)}">${head}</th>`)}
      </tr>
      ${rows.map(
        (row) =>
          html`<tr>
            ${row.map((cell, n) => html`<td class="${kind(n)}">${cell}</td>`)}
          </tr> `,
      )}
    </table>
  </div>`;
}

function tile(label: string, value: string | number, tone = "", note?: string): Html {
  return html`<div class="tile ${tone}">
    <div class="label">${label}</div>
    <div class="value">${value}</div>
    ${note === undefined ? null : html`<div class="note">${note}</div>`}
  </div> `;
}

function halves<T>(all: T[]): T[][] {
  const middle = Math.ceil(all.length / 2);
  return [all.slice(0, middle), all.slice(middle)];
}

function maybe(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? "–" : span(ms);
}

function span(ms: number): string {
  return ms < 1000
    ? `${Math.round(ms * 10) / 10} ms`
    : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

function time(iso: string): string {
  return `${iso.slice(0, 19).replace("T", " ")} UTC`;
}
