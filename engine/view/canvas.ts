import type { Json } from "../types.ts";
import type { Paint } from "./color.ts";
import { sizeText } from "./size.ts";
import { printable } from "./text.ts";

/** The room and the colours for a view for people. */
export interface Canvas {
  /** Terminal cells in a line. */
  columns: number;
  paint: Paint;
}

type Scalar = null | boolean | number | string;

export function isScalar(value: Json): value is Scalar {
  return typeof value !== "object" || value === null;
}

/** `canvas` with `cells` fewer columns, for what stands indented. */
export function narrowed(canvas: Canvas, cells: number): Canvas {
  return { ...canvas, columns: Math.max(20, canvas.columns - cells) };
}

/** The value of `key`: numbers of bytes have names that say so, and are shown as sizes. */
export function scalarText(value: Scalar, key = ""): string {
  if (value === null) return "-";
  if (typeof value === "number" && /(^|_)bytes$/.test(key)) return sizeText(value);
  return typeof value === "string" ? printable(value).trimEnd() : String(value);
}
