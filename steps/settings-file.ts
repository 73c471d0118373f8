import { resolve } from "node:path";
import { PgdbaError } from "../engine/errors.ts";
import { readBytes } from "../engine/shared/read-file.ts";
import { parseYaml } from "../engine/shared/yaml.ts";
import { isMapping, type Json } from "../engine/types.ts";

/** A value as given: null is back to what it is without us. */
export type Given = string | number | boolean | null;

/** Wanted values by name as written. */
export type Wanted = Map<string, Given>;

const MAX_BYTES = 1024 * 1024;

/** The values of a file: YAML, JSON (also what `config tune` or `config show` printed) or lines of postgresql.conf. */
export async function readWanted(cwd: string, path: string): Promise<Wanted> {
  const file = resolve(cwd, path);
  const hint = "Give a file of settings, at most 1 MB.";
  // A postgresql.conf may have comments in any encoding.
  const text = readBytes(file, { maxBytes: MAX_BYTES, hint }).toString("utf8");
  if (/\.ya?ml$/i.test(file)) return wantedFrom(await yamlOf(file, text), file);
  // No line of postgresql.conf begins with a brace.
  if (/\.json$/i.test(file) || /^\s*[{[]/.test(text))
    return wantedFrom(parseJson(file, text), file);
  return parseConf(file, text);
}

/** The values in data: a map, with each value plain or as `{value: …}`, or a list of `{name, value}`. */
export function wantedFrom(data: Json, where = "settings"): Wanted {
  const wanted: Wanted = new Map();
  assertWhole(data, where);
  const entries = entriesOf(data);
  if (entries === null)
    throw bad(where, "holds no settings", "Write `work_mem: 64MB`, one setting a line.");
  for (const [name, value] of entries) {
    const plain = isMapping(value) && "value" in value ? (value["value"] ?? null) : value;
    if (plain !== null && typeof plain === "object")
      throw bad(
        where,
        `${shortened(name)} is not one value`,
        "Write text, a number, true or false, or null to take the setting out.",
      );
    for (const known of wanted.keys())
      if (known.toLowerCase() === name.toLowerCase())
        throw bad(where, `${shortened(name)} is given twice`, "Give it once.");
    wanted.set(name, plain);
  }
  if (wanted.size === 0)
    throw bad(where, "holds no settings", "Write `work_mem: 64MB`, one setting a line.");
  return wanted;
}

/** The text of a value as it would stand in postgresql.conf. */
export function textOf(value: Exclude<Given, null>): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value);
}

/** Cuts a text that an error repeats from the input. */
export function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Lines `name = value`; the last of a name counts, as for the server. @throws PgdbaError invalid_param for anything else */
export function parseConf(where: string, text: string): Wanted {
  const byName = new Map<string, [string, string]>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const match =
      /^\s*(?:#.*)?$|^\s*([A-Za-z_][A-Za-z0-9_$.]*)\s*(?:=\s*|\s)\s*(?:'((?:[^'\\]|''|\\.)*)'|([^\s'#]+))\s*(?:#.*)?$/.exec(
        line,
      );
    const at = `line ${index + 1}`;
    if (match === null)
      throw bad(where, `${at} is not \`name = value\``, "Put text with blanks in single quotes.");
    const [, name, quoted, bare] = match;
    if (name === undefined) continue;
    if (/^include/i.test(name))
      throw bad(where, `${at} includes another file`, "Give the settings themselves.");
    byName.set(name.toLowerCase(), [name, quoted === undefined ? (bare ?? "") : unquote(quoted)]);
  }
  if (byName.size === 0)
    throw bad(where, "holds no settings", "Write `work_mem = 64MB`, one setting a line.");
  return new Map(byName.values());
}

const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** As GUC_scanstr (guc-file.l) reads a quoted value. */
function unquote(text: string): string {
  return text.replace(/''|\\([0-7]{1,3}|.)/g, (_, escaped: string | undefined) => {
    if (escaped === undefined) return "'";
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8));
    return ESCAPES[escaped] ?? escaped;
  });
}

function parseJson(file: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw bad(file, `is not JSON: ${(cause as Error).message}`, "Correct it.", cause);
  }
}

/** Values stay as written (0.10 is no 0.1); `null` and `~` are null. */
async function yamlOf(file: string, text: string): Promise<Json> {
  const data = await parseYaml(text, file, { code: "invalid_param", schema: "failsafe" });
  return JSON.parse(JSON.stringify(data), (_, value: unknown) =>
    value === "null" || value === "~" ? null : value,
  ) as Json;
}

/** Refuses an answer of ours from which settings were left out: what is not there would count as equal. */
function assertWhole(data: Json, where: string): void {
  const answer = isMapping(data) && isMapping(data["data"]) ? data["data"] : data;
  const cut = isMapping(answer) && isMapping(answer["cut"]) ? answer["cut"] : {};
  if (Object.keys(cut).some((place) => /^settings(\.|$)/.test(place)))
    throw bad(
      where,
      "is an answer from which settings were left out",
      "Save it once more, whole: `pgdba config show --full` prints all.",
    );
}

/** Looks through what our own commands print around the settings. */
function entriesOf(data: Json): [string, Json][] | null {
  if (Array.isArray(data)) {
    const entries = data.map((item): [string, Json] | null =>
      isMapping(item) && typeof item["name"] === "string"
        ? [item["name"], item["value"] ?? null]
        : null,
    );
    return entries.every((entry) => entry !== null) ? entries : null;
  }
  if (!isMapping(data)) return null;
  const inner = isMapping(data["data"]) ? data["data"]["settings"] : data["settings"];
  return inner === undefined ? Object.entries(data) : entriesOf(inner);
}

function bad(where: string, message: string, hint: string, cause?: unknown): PgdbaError {
  return new PgdbaError("invalid_param", `${where} ${message}`, { hint, cause });
}
