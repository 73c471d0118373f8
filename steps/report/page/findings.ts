import type { Finding } from "../../health/findings/findings.ts";
import type { Trends } from "../trends/trends.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";

/** Lines of one finding that are shown; the others are folded. */
const SHOWN = 8;
/** Lines of one finding in the page at all; the JSON has every one. */
const MOST = 200;

/** Findings by check, the worst check first as they come; `changes` marks what the last report did not have. */
export function findingsSection(findings: readonly Finding[], changes: Trends["findings"]): Html {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = `${finding.severity} ${finding.check}`;
    groups.set(key, [...(groups.get(key) ?? []), finding]);
  }
  const fresh = new Set(changes.new.map(({ severity, check }) => `${severity} ${check}`));
  if (groups.size === 0) return html`<p class="ok tone">✔ Nothing found.</p>`;
  return html`${[...groups].map(([key, group]) => card(group, fresh.has(key)))}`;
}

function card(group: readonly Finding[], fresh: boolean): Html | null {
  const [first] = group;
  if (first === undefined) return null;
  const { severity, title, check, why, total, partial, estimated } = first;
  const found = total === null ? group.reduce((sum, { count }) => sum + count, 0) : total;
  const texts = distinct(group.map(({ remedy }) => remedy.text));
  const statements = distinct(group.map(({ remedy }) => remedy.sql));
  const commands = distinct(
    group.flatMap(({ remedy }) => [
      remedy.command,
      remedy.by_hand,
      ...remedy.also.map(({ command }) => command),
    ]),
  );
  const notes = [
    check,
    ...(found > 1 ? [`${found} found`] : []),
    ...(estimated ? ["estimated"] : []),
    ...(partial ? ["not everything was visible"] : []),
  ];
  return html`<article class="finding ${severity}${group.length > SHOWN ? " long" : ""}">
    <span class="badge">${severity}</span>
    <h3>${title}</h3>
    ${fresh ? html`<span class="badge ok">new</span> ` : null}<span class="dim small"
      >${notes.join(" · ")}</span
    >
    <p class="dim">${why}</p>
    ${folding(
      group.flatMap(({ message, alike }) => [message, ...alike.map((one) => one.message)]),
      (lines) =>
        lines.length === 1
          ? html`<p>${lines}</p>`
          : html`<ul>
              ${lines.map((line) => html`<li>${line}</li>`)}
            </ul>`,
    )}
    ${texts.map((text) => html`<p>→ ${text}</p>`)}
    ${statements.length === 0 ? null : folding(statements, (lines) => html`<pre>${lines.join("\n")}</pre>`)}
    ${commands.map((command) => html`<p>→ <code>${command}</code></p>`)}
    ${leadsTo(group.flatMap(({ consequences }) => consequences))}
  </article>`;
}

/** Consequences, the same kind together, folded but for how many there are of each; theirs below them. */
function leadsTo(consequences: readonly Finding[]): Html | null {
  const groups = Map.groupBy(consequences, ({ severity, check }) => `${severity} ${check}`);
  if (groups.size === 0) return null;
  return html`<div class="consequences">
    <p class="dim small">leads to</p>
    ${[...groups.values()].map((group) => {
      const [{ severity, title }] = group as [Finding];
      return html`<details>
        <summary>
          <span class="badge ${severity}">${severity}</span>
          ${title}${group.length > 1 ? ` (${group.length})` : null}
        </summary>
        <ul>
          ${group.slice(0, MOST).map(({ message }) => html`<li>${message}</li>`)}
        </ul>
        ${leadsTo(group.flatMap((one) => one.consequences))}
      </details>`;
    })}
  </div>`;
}

function folding(lines: readonly string[], around: (lines: readonly string[]) => Html): Html {
  const rest = lines.slice(SHOWN, MOST);
  return html`${around(lines.slice(0, SHOWN))}${
    rest.length === 0
      ? null
      : html`<details>
          <summary class="dim">${lines.length - SHOWN} more</summary>
          ${around(rest)}
        </details>`
  }${lines.length > MOST ? html`<p class="dim">${lines.length - MOST} more in the JSON of this report.</p>` : null}`;
}

function distinct(texts: readonly (string | null)[]): string[] {
  return [...new Set(texts.filter((text) => text !== null))];
}
