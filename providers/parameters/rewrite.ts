import { PgdbaError } from "../../engine/errors.ts";

/** A part of a text that is replaced: offsets of the text as it was, in UTF-16 units. */
export interface Edit {
  from: number;
  to: number;
  text: string;
}

/** A text made from another one. */
export interface Rewritten {
  text: string;
  /** The place in the other text that an offset of `text` comes from. */
  origin(offset: number): number;
}

/** A text as it is. */
export function unchanged(text: string): Rewritten {
  return { text, origin: (offset) => offset };
}

/** Applies edits that don't overlap; origins are those of what `source` was made from. */
export function rewrite(source: Rewritten, edits: readonly Edit[]): Rewritten {
  const pieces: { at: number; from: number; kept: boolean }[] = [];
  let text = "";
  let from = 0;
  const keep = (to: number): void => {
    pieces.push({ at: text.length, from, kept: true });
    text += source.text.slice(from, to);
  };
  for (const edit of edits.toSorted((a, b) => a.from - b.from)) {
    keep(edit.from);
    pieces.push({ at: text.length, from: edit.from, kept: false });
    text += edit.text;
    from = edit.to;
  }
  keep(source.text.length);
  return {
    text,
    origin(offset) {
      const piece = pieces.findLast(({ at }) => at <= offset);
      if (piece === undefined) return source.origin(offset);
      return source.origin(piece.from + (piece.kept ? offset - piece.at : 0));
    },
  };
}

/** The UTF-16 offset of a position in the server's sense: characters, from 1. */
export function offsetOf(text: string, position: number): number {
  return [...text].slice(0, Math.max(0, position - 1)).join("").length;
}

/** The place of an error in a text, as the server counts; null where it does not say. */
export function positionOf(error: unknown): number | null {
  const data = error instanceof PgdbaError ? error.data : undefined;
  if (typeof data !== "object" || data === null || Array.isArray(data)) return null;
  return data["position"] === undefined ? null : Number(data["position"]);
}

/** An error with another position, where it has one. */
export function repositioned(error: unknown, place: (position: number) => number): unknown {
  const position = positionOf(error);
  if (!(error instanceof PgdbaError) || position === null) return error;
  const { code, message, hint, retryable, cause } = error;
  const data = { ...(error.data as object), position: String(Math.max(1, place(position))) };
  return new PgdbaError(code, message, { hint, retryable, cause, data });
}

/** An error's position in the text that `rewritten` was made from. */
export function inOrigin(error: unknown, rewritten: Rewritten, source: string): unknown {
  return repositioned(error, (position) => {
    const offset = rewritten.origin(offsetOf(rewritten.text, position));
    return Array.from(source.slice(0, offset)).length + 1;
  });
}

/** Makes an error's position that of the text which was given, without the `offset` characters put before it. */
export async function movedBack<T>(offset: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw repositioned(error, (position) => position - offset);
  }
}
