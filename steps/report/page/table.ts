import { amount } from "../../../engine/shared/amount.ts";
import { html, type Html, type Part } from "../../../engine/shared/markup.ts";

export interface Column<T> {
  title: string;
  /** Figures stand right; names are kept from being squeezed, what is short from being broken; bars have a width of their own. */
  kind?: "n" | "name" | "short" | "bar";
  cell(row: T): Part;
}

/** Rows of a table in the page; the JSON has them all. */
const MOST = 100;

/** A table, or a line that says there is nothing. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], none = "None."): Html {
  if (rows.length === 0) return html`<p class="dim">${none}</p>`;
  return html`<div class="scroll">
      <table>
        <thead>
          <tr>
            ${columns.map(({ title, kind }) => html`<th class="${kind ?? ""}">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.slice(0, MOST).map(
            (row) =>
              html`<tr>
                ${columns.map(({ kind, cell }) => html`<td class="${kind ?? ""}">${shown(cell(row))}</td>`)}
              </tr> `,
          )}
        </tbody>
      </table>
    </div>
    ${rows.length > MOST ? html`<p class="dim small">${rows.length - MOST} more in the JSON of this report.</p>` : null}`;
}

function shown(part: Part): Part {
  return part === null ? "–" : part;
}

/** Facts beside their names; those that are not known are left out. */
export function facts(rows: readonly (readonly [string, Part])[]): Html {
  return html`<dl>
    ${rows
      .filter(([, value]) => value !== null)
      .map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd>${value}</dd>`,
      )}
  </dl>`;
}

/** A time to the minute; null stays so. */
export function day(iso: string | null | undefined): string | null {
  return iso == null ? null : `${iso.slice(0, 16).replace("T", " ")} UTC`;
}

export function grouped(value: number | null): string | null {
  return value === null ? null : value.toLocaleString("en-US");
}

/** A number with its noun: `1 table`, `1,234 tables`. */
export function some(value: number, one: string, many?: string): string {
  return amount(value, one, many, value.toLocaleString("en-US"));
}
