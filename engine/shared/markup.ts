/** Markup that is already safe. Only `html` and `raw` make it, so that a plain string can't get into a page unescaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Html | string | number | null | readonly Part[];

/** Markup from a template. All values are escaped; lists are joined, null is nothing. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(
    strings.map((text, n) => text + (n < parts.length ? render(parts[n] ?? null) : "")).join(""),
  );
}

/** Markup of our own that holds no data, such as a style sheet. */
export function raw(text: string): Html {
  return new Html(text);
}

function render(part: Part): string {
  if (part === null) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "string" || typeof part === "number") return escapeHtml(String(part));
  return part.map(render).join("");
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "`": "&#96;",
};

/** Safe in text and in quoted attributes. What would not be seen, or turn the direction of text, is shown by its number. */
function escapeHtml(text: string): string {
  return text
    .replace(/[&<>"'`]/g, (character) => ENTITIES[character] ?? character)
    .replace(
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu,
      (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
    );
}
