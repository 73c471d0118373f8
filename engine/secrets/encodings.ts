/** Shorter pieces of an encoding are not looked for: they stand in any longer text by chance. */
const SHORTEST_PIECE = 6;

/** The forms in which a value may turn up: as it is, quoted, escaped and encoded; each once. */
export function encodings(value: string): Set<string> {
  const bytes = Buffer.from(value, "utf8");
  const json = jsonForms(value);
  return new Set([
    value,
    ...json,
    // A JSON text inside of another.
    ...json.flatMap(jsonForms),
    ...base64Forms(bytes),
    ...hexForms(bytes),
    ...urlForms(value),
    ...quotedForms(value),
    ...markupForms(value),
  ]);
}

/** As a string of JSON, also with what other programs escape. */
function jsonForms(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1);
  const escape = (char: string): string => `\\u${hexOf(char.charCodeAt(0), 4)}`;
  const ascii = json.replace(/[^ -~]/g, escape);
  return [
    json,
    ascii,
    json.replaceAll("/", "\\/"),
    ascii.replaceAll("/", "\\/"),
    json.replace(/[<>&]/g, escape),
    ascii.replace(/[<>&]/g, escape),
  ];
}

/**
 * Base64, also of a longer text that holds the value: what is the same wherever it stands there depends on its place modulo three, and
 * the characters at either end take bits from what is beside it.
 */
function base64Forms(bytes: Buffer): string[] {
  const forms: string[] = [];
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    const piece = text.slice(Math.ceil((before * 8) / 6), whole);
    if (piece.length >= SHORTEST_PIECE) forms.push(piece);
    if (before === 0) forms.push(text, text.replace(/=+$/, ""));
  }
  return forms.flatMap((form) => [form, form.replaceAll("+", "-").replaceAll("/", "_")]);
}

function hexForms(bytes: Buffer): string[] {
  const pairs = [...bytes].map((byte) => hexOf(byte, 2));
  const lower = ["", " ", ":", "-", "\\x", "\\\\x", "%"].map((between) => pairs.join(between));
  return lower.flatMap((form) => [form, form.replace(/[a-f]/g, (digit) => digit.toUpperCase())]);
}

function urlForms(value: string): string[] {
  let component: string;
  let address: string;
  try {
    component = encodeURIComponent(value);
    address = encodeURI(value);
  } catch {
    // Half of a surrogate pair has no such form.
    return [];
  }
  const strict = component.replace(
    /[!'()*]/g,
    (char) => `%${hexOf(char.charCodeAt(0), 2).toUpperCase()}`,
  );
  const forms = [component, strict, address, strict.replaceAll("%20", "+")];
  return forms.flatMap((form) => [
    form,
    form.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
  ]);
}

/** As SQL, shells and programming languages quote it. */
function quotedForms(value: string): string[] {
  const backslashed = value.replaceAll("\\", "\\\\");
  return [
    value.replaceAll("'", "''"),
    value.replaceAll('"', '""'),
    backslashed,
    backslashed.replaceAll("'", "''"),
    backslashed.replaceAll("'", "\\'"),
    backslashed.replaceAll('"', '\\"'),
    value.replaceAll("'", `'\\''`),
    value.replaceAll("'", `'"'"'`),
    value.replace(/[\\"$`]/g, "\\$&"),
    value.replace(/[^A-Za-z0-9_@%+=:,./-]/g, "\\$&"),
  ];
}

function markupForms(value: string): string[] {
  const text = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const quotes = ["&quot;", "&#34;", "&#x22;"].map((entity) => text.replaceAll('"', entity));
  const both = ["&#39;", "&#x27;", "&apos;"].flatMap((entity) =>
    quotes.map((form) => form.replaceAll("'", entity)),
  );
  return [text, ...quotes, ...both, ...both.map((form) => form.replaceAll("`", "&#96;"))];
}

function hexOf(number: number, digits: number): string {
  return number.toString(16).padStart(digits, "0");
}
