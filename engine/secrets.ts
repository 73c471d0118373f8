const MASK = "********";
/** Below this a value would mask ordinary words; such a secret is still refused in argv. */
const SHORTEST_MASKED = 4;
/** A secret this long is known by either end, so that what was cut off from it in a message or a trace is masked too. */
const LONG = 32;
const END = 16;

/** Keeps the values that must appear in no artifact, and masks them in text and data on the way out. */
export class Secrets {
  #values = new Set<string>();
  #needles: string[] = [];
  /** The long ones among the needles. */
  #long: string[] = [];

  /** Registers `value` and the forms it takes in other encodings; each line of a longer value counts too. */
  add(value: string): void {
    if (value === "" || this.#values.has(value)) return;
    this.#values.add(value);
    const lines = value
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line.length >= 12);
    const forms = [value, value.trim(), ...lines].flatMap(encodings);
    const needles = new Set([
      ...this.#needles,
      ...forms.filter((form) => form.length >= SHORTEST_MASKED),
    ]);
    // Longest first, so that an encoding is not left half masked by a shorter one it contains.
    this.#needles = [...needles].toSorted((a, b) => b.length - a.length);
    this.#long = this.#needles.filter((needle) => needle.length >= LONG);
  }

  /** Registers every text inside `data`, for the output of a step marked sensitive. */
  addData(data: unknown): void {
    if (typeof data === "string") {
      if (data.length >= SHORTEST_MASKED) this.add(data);
    } else if (typeof data === "number") {
      if (Math.abs(data) >= 100_000) this.add(String(data));
    } else if (Array.isArray(data)) {
      for (const item of data) this.addData(item);
    } else if (data !== null && typeof data === "object") {
      for (const item of Object.values(data)) this.addData(item);
    }
  }

  /** True when `text` holds a registered value as it is. */
  exposedIn(text: string): boolean {
    for (const value of this.#values) if (text.includes(value)) return true;
    return false;
  }

  redact(text: string): string {
    let out = text;
    for (const needle of this.#needles) {
      if (out.includes(needle)) out = out.replaceAll(needle, MASK);
    }
    for (const needle of this.#long) out = withoutEnds(out, needle);
    return out;
  }

  /** A deep copy of JSON-like data with every string and key masked; the same object when there is nothing to mask. */
  redactData<T>(data: T): T {
    if (this.#needles.length === 0) return data;
    return this.#walk(data) as T;
  }

  #walk(value: unknown): unknown {
    if (typeof value === "string") return this.redact(value);
    if (typeof value === "number" || typeof value === "bigint") {
      const text = String(value);
      return text.length >= SHORTEST_MASKED && this.#values.has(text) ? MASK : value;
    }
    if (Array.isArray(value)) return value.map((item) => this.#walk(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [this.redact(key), this.#walk(item)]),
    );
  }
}

/** Masks what begins like `needle` or ends like it, as far as the likeness goes. */
function withoutEnds(text: string, needle: string): string {
  let out = text;
  const head = needle.slice(0, END);
  for (let at = out.indexOf(head); at >= 0; at = out.indexOf(head, at + MASK.length)) {
    let length = END;
    while (length < needle.length && out[at + length] === needle[length]) length += 1;
    out = out.slice(0, at) + MASK + out.slice(at + length);
  }
  const tail = needle.slice(-END);
  for (let at = out.indexOf(tail); at >= 0; at = out.indexOf(tail, at + MASK.length)) {
    let before = 0;
    while (before < at && out[at - before - 1] === needle[needle.length - END - before - 1])
      before += 1;
    out = out.slice(0, at - before) + MASK + out.slice(at + END);
    at -= before;
  }
  return out;
}

function encodings(value: string): string[] {
  const bytes = Buffer.from(value, "utf8");
  const base64 = bytes.toString("base64");
  return [
    value,
    JSON.stringify(value).slice(1, -1),
    base64,
    base64.replace(/=+$/, ""),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    encodeURIComponent(value),
    value.replaceAll("'", "''"),
    value
      .replaceAll("&", "&amp;")
      .replaceAll("<", "&lt;")
      .replaceAll(">", "&gt;")
      .replaceAll('"', "&quot;"),
  ];
}
