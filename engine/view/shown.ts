import { isMapping } from "../json.ts";
import type { Json, JsonObject, Shown } from "../types.ts";
import { type Canvas, narrowed } from "./canvas.ts";
import { asFinding } from "./finding.ts";
import { renderFindings } from "./report.ts";
import { table } from "./table.ts";
import { clip, indent, printable, singleLine } from "./text.ts";
import { renderValue } from "./value.ts";

/** Cells of a text in a table; the JSON has all of it. */
const CELL = 300;

/**
 * The parts of its output that a runbook declares to be shown, in that order: findings as a report has them, a text of several lines as it
 * was drawn, lists (and maps) of objects as a table of the columns that are named, all else as keys and values.
 */
export function renderShown(data: JsonObject, shown: readonly Shown[], canvas: Canvas): string[] {
  const blocks: string[][] = [];
  let plain: JsonObject = {};
  const flush = (): void => {
    if (Object.keys(plain).length > 0) blocks.push(renderValue(plain, canvas));
    plain = {};
  };
  for (const { name, columns } of shown) {
    const value = data[name] ?? null;
    // This run was not asked for it.
    if (value === null) continue;
    // A table without rows is worth a line only when nothing else is shown.
    if (columns !== undefined && isEmpty(value) && shown.length > 1) continue;
    const block = renderBlock(name, value, columns, canvas);
    if (block === null) plain[name] = value;
    else {
      flush();
      blocks.push(block);
    }
  }
  flush();
  const names = new Set(shown.map(({ name }) => name));
  const more = Object.keys(data).filter(
    (name) => !names.has(name) && (data[name] ?? null) !== null,
  );
  if (more.length > 0)
    blocks.push([canvas.paint.dim(`with --format json also: ${more.map(printable).join(", ")}`)]);
  return blocks.flatMap((block, n) => (n === 0 ? block : ["", ...block]));
}

/** Lines of its own, or null for what may stand beside its key. */
function renderBlock(
  name: string,
  value: Json,
  columns: readonly string[] | undefined,
  canvas: Canvas,
): string[] | null {
  const head = canvas.paint.bold(printable(name));
  // Lines of a drawing that is wider than the terminal are better cut by it than broken here.
  if (typeof value === "string" && value.includes("\n"))
    return printable(value).replace(/\n$/, "").split("\n");
  const rows = rowsOf(value);
  if (rows === null) return null;
  const findings = Array.isArray(value) ? value.map(asFinding) : [null];
  // It is worth a line that nothing was found; any other list is merely empty.
  const found = findings.length > 0 || name === "findings";
  if (columns === undefined && found && findings.every((one) => one !== null))
    return renderFindings(findings, { ...canvas, evidence: false });
  if (rows.length === 0) return null;
  const picked = columns === undefined ? rows : rows.map((row) => pick(row, columns));
  return [head, ...indent(table(picked, narrowed(canvas, 2)), "  ")];
}

function isEmpty(value: Json): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** A list of objects, or a map of them with their keys as `name`. */
function rowsOf(value: Json): JsonObject[] | null {
  if (Array.isArray(value)) return value.every(isMapping) ? value : null;
  if (!isMapping(value)) return null;
  const entries = Object.entries(value);
  if (entries.length === 0 || !entries.every(([, row]) => isMapping(row))) return null;
  return entries.map(([name, row]) => ({ name, ...(row as JsonObject) }));
}

/** The columns that some row has, in the order given; `name` of a map stands first. */
function pick(row: JsonObject, columns: readonly string[]): JsonObject {
  return Object.fromEntries(
    columns.flatMap((column) => {
      const value = row[column];
      if (value === undefined) return [];
      return [[column, typeof value === "string" ? clip(singleLine(value), CELL) : value]];
    }),
  );
}
