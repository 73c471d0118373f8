import type { Json, JsonObject } from "../types.ts";
import { clip, indent, largest, pad, printable, width, wrap } from "./text.ts";
import { type Canvas, isScalar, scalarText } from "./canvas.ts";

const GAP = 2;
/** Cells below which a column is not readable; when not even that fits, rows become records. */
const NARROWEST = 6;
/** A word up to this long (an id, a name, a time) is not broken. */
const UNBROKEN = 32;
/** With more columns than these a terminal shows a part; cells that the text in a column gets before that. */
const MANY = 6;
const READABLE = 32;
const FEW = 5;

/** Rows as a table no wider than the canvas: the widest columns are wrapped first, numbers stand right. */
export function table(rows: JsonObject[], canvas: Canvas): string[] {
  const all = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (all.length === 0) return [canvas.paint.dim("(empty)")];
  const keys = foremost(rows, all, canvas.columns);
  const cells = rows.map((row) => keys.map((key) => cellText(row[key], key)));
  const headers = keys.map(printable);
  const natural = headers.map((header, column) =>
    largest(
      [header, ...cells.map((row) => row[column] ?? "")].flatMap((text) =>
        text.split("\n").map(width),
      ),
    ),
  );
  const least = headers.map((header, column) =>
    leastWidth([header, ...cells.map((row) => row[column] ?? "")]),
  );
  const widths = fit(natural, least, canvas.columns - GAP * (keys.length - 1));
  if (widths === null) return records(headers, cells, canvas);
  const right = keys.map((key) =>
    rows.every((row) => row[key] == null || typeof row[key] === "number"),
  );
  const left = all.filter((key) => !keys.includes(key)).map(printable);
  return [
    ...tableRow(headers, widths, right).map(canvas.paint.bold),
    ...cells.flatMap((row) => tableRow(row, widths, right)),
    ...(left.length === 0
      ? []
      : wrap(`JSON also has: ${left.join(", ")}`, canvas.columns).map(canvas.paint.dim)),
  ];
}

/** The first of many columns, as far as they can be read beside each other. A table of a few rows shows all, as records. */
function foremost(rows: JsonObject[], keys: string[], columns: number): string[] {
  if (rows.length <= FEW) return keys;
  const sizes = keys.map((key) => {
    const texts = [printable(key), ...rows.map((row) => cellText(row[key], key))];
    const natural = largest(texts.flatMap((text) => text.split("\n").map(width)));
    // Few columns may be wrapped, as long as no id in them is broken.
    const needed = keys.length > MANY ? Math.min(READABLE, natural) : leastWidth(texts);
    return { key, natural, needed };
  });
  // The first two say what the row is, and the longest text is what people came for; then as many of the others as fit.
  const [first, second, ...rest] = sizes;
  const longest = rest
    .filter(({ natural }) => natural > READABLE)
    .toSorted((a, b) => b.natural - a.natural)[0];
  let room = columns + GAP;
  const chosen = new Set(
    [first, second, longest, ...rest.filter((one) => one !== longest)].flatMap((one) => {
      if (!one) return [];
      if (one !== first && one !== second && room - GAP - one.needed < 0) return [];
      room -= GAP + one.needed;
      return [one.key];
    }),
  );
  return keys.filter((key) => chosen.has(key));
}

function cellText(value: Json | undefined, key: string): string {
  if (value === undefined) return "";
  if (isScalar(value)) return scalarText(value, key);
  return parts(value, key).join(", ") || "-";
}

/** What is nested, in one line: `reach 10.0.0.1:5432, roles postgres`. JSON would be broken between the lines of a cell. */
function parts(value: Json, key: string): string[] {
  if (isScalar(value)) return [scalarText(value, key)];
  if (Array.isArray(value)) return value.flatMap((item) => parts(item, key));
  const { host, port, ...rest } = value;
  const isPlace = typeof host === "string" && typeof port === "number";
  const place = isPlace ? [`${printable(host)}:${port}`] : [];
  return [
    ...place,
    ...Object.entries(isPlace ? rest : value).flatMap(([name, item]) => {
      const [first = "-", ...more] = parts(item, name);
      return [`${printable(name)} ${first}`, ...more];
    }),
  ];
}

/** Cells that a column needs so that no id, name or time in it is broken. */
function leastWidth(texts: string[]): number {
  const words = texts.flatMap((text) => text.split(/\s+/).map(width));
  return Math.max(
    Math.min(NARROWEST, largest(texts.map(width))),
    largest(words.filter((cells) => cells <= UNBROKEN)),
  );
}

/** Widths that add up to at most `room`, taken from the widest columns; null when some column would become unreadable. */
function fit(natural: number[], least: number[], room: number): number[] | null {
  const at = (limit: number) =>
    natural.map((cells, column) => Math.max(least[column] ?? 0, Math.min(cells, limit)));
  const total = (limit: number) => at(limit).reduce((sum, cells) => sum + cells, 0);
  let limit = Math.min(largest(natural), Math.max(room, NARROWEST));
  while (limit > NARROWEST && total(limit) > room) limit -= 1;
  if (total(limit) > room) return null;
  const widths = at(limit);
  // Cells lost by the last step of `limit` go back to the columns that were cut, from the left.
  let spare = room - total(limit);
  return widths.map((cells, column) =>
    cells < (natural[column] ?? 0) && spare-- > 0 ? cells + 1 : cells,
  );
}

function tableRow(texts: string[], widths: number[], right: boolean[]): string[] {
  const columns = texts.map((text, column) => wrap(text, widths[column] ?? 1));
  const height = Math.max(1, largest(columns.map((lines) => lines.length)));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map((lines, column) => pad(lines[line] ?? "", widths[column] ?? 0, right[column]))
      .join(" ".repeat(GAP))
      .trimEnd(),
  );
}

function records(headers: string[], cells: string[][], { columns, paint }: Canvas): string[] {
  const keys = Math.min(largest(headers.map(width)), Math.floor(columns / 3));
  return cells.flatMap((row, n) => [
    ...(n === 0 ? [] : [""]),
    ...row.flatMap((text, column) => {
      const [first = "", ...rest] = wrap(text, Math.max(1, columns - keys - GAP));
      return [
        `${paint.dim(pad(clip(headers[column] ?? "", keys), keys))}${" ".repeat(GAP)}${first}`.trimEnd(),
        ...indent(rest, " ".repeat(keys + GAP)),
      ];
    }),
  ]);
}
