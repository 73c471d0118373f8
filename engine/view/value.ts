import { isMapping } from "../json.ts";
import type { Json, JsonObject } from "../types.ts";
import { type Canvas, isScalar, narrowed, scalarText } from "./canvas.ts";
import { table } from "./table.ts";
import { indent, largest, pad, printable, width, wrap } from "./text.ts";

/** Any JSON as lines: a block of keys and values for an object, a table for a list of objects, bullets for a mixed list. */
export function renderValue(value: Json, canvas: Canvas): string[] {
  if (isScalar(value)) return wrap(scalarText(value), canvas.columns);
  if (Array.isArray(value)) return renderList(value, canvas);
  return renderBlock(value, canvas);
}

function renderList(list: Json[], canvas: Canvas): string[] {
  if (list.length === 0) return [canvas.paint.dim("(none)")];
  if (list.every(isMapping)) return table(list, canvas);
  return list.flatMap((item) => {
    const [first = "", ...rest] = renderValue(item, narrowed(canvas, 2));
    return [`- ${first}`, ...indent(rest, "  ")];
  });
}

function renderBlock(object: JsonObject, canvas: Canvas): string[] {
  const entries = Object.entries(object);
  if (entries.length === 0) return [canvas.paint.dim("(empty)")];
  const inline = entries.filter(([, value]) => inlineText(value, canvas) !== null);
  const keys = Math.min(32, largest(inline.map(([key]) => width(printable(key)))));
  return entries.flatMap(([key, value]) => {
    const label = printable(key);
    const text = inlineText(value, canvas, key);
    if (text === null)
      return [canvas.paint.bold(label), ...indent(renderValue(value, narrowed(canvas, 2)), "  ")];
    const [first = "", ...rest] = wrap(text, narrowed(canvas, keys + 2).columns);
    return [
      `${canvas.paint.dim(pad(label, keys))}  ${first}`,
      ...indent(rest, " ".repeat(keys + 2)),
    ];
  });
}

/** The value as text that may stand beside its key, or null when it needs lines of its own. */
function inlineText(value: Json, canvas: Canvas, key = ""): string | null {
  if (isScalar(value)) {
    const text = scalarText(value, key);
    return text.includes("\n") ? null : text;
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return "(none)";
    if (!value.every(isScalar)) return null;
    const text = value.map((item) => scalarText(item, key)).join(", ");
    return text.includes("\n") || width(text) > canvas.columns - 20 ? null : text;
  }
  return Object.keys(value).length === 0 ? "(empty)" : null;
}
