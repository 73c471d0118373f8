import { html, type Html } from "../../../engine/shared/markup.ts";
import type { Finding } from "../plan/finding.ts";

type Shown = Finding & { command?: string };

export function card({ code, severity, message, advice, evidence, command }: Shown): Html {
  const shown = Object.entries(evidence)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${said(value)}`);
  return html`<article class="finding ${severity}">
    <span class="badge">${severity}</span>
    <span class="dim small">${code.replaceAll("_", " ")}</span>
    <p>${message}</p>
    <p>→ ${advice}</p>
    ${command === undefined ? null : html`<p>→ <code>${command}</code></p>`}
    ${shown.length === 0 ? null : html`<p class="dim small">${shown.join(" · ")}</p>`}
  </article>`;
}

function said(value: unknown): string {
  if (typeof value === "number") return value.toLocaleString("en-US");
  return typeof value === "string" ? value : JSON.stringify(value);
}
