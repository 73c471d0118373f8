import { PgdbaError } from "../../errors.ts";
import { isMapping } from "../../json.ts";
import type { Envelope, Json, JsonObject, Shown } from "../../types.ts";
import type { Parsed } from "../args.ts";
import { bound, type LeftOut, MAX_ANSWER, MAX_BRIEF, mostOf, sizeOf } from "./bound.ts";
import { select } from "./select.ts";

/** Whatever it takes as text, of an answer stays at least this part. */
const LEAST = 8;

/** How much of an answer is wanted: the flags `--full`, `--brief` and `--select`. */
export interface Wanted {
  full: boolean;
  brief: boolean;
  /** Paths into the data; empty for all of it. */
  select: readonly string[];
}

/** @throws PgdbaError usage when they contradict each other */
export function wantedOf(flags: Parsed["flags"]): Wanted {
  const [full, brief] = [flags["full"] === true, flags["brief"] === true];
  if (full && brief)
    throw new PgdbaError("usage", "--full and --brief contradict each other", {
      hint: "Give one of them; without both an answer has at most 20 kB.",
    });
  const paths = ([flags["select"] ?? []].flat() as string[]).flatMap((text) => text.split(","));
  return { full, brief, select: paths.map((path) => path.trim()).filter((path) => path !== "") };
}

/** The envelope as it is wanted; what was left out stands in `cut` of its data, or of its error, and in `warning` in words. */
export function shape(
  envelope: Envelope,
  wanted: Wanted,
  { shown, textOf }: Rendering,
): Promise<{ envelope: Envelope; text: string; warning?: string }> {
  let part = envelope;
  let unshown: LeftOut = {};
  if (wanted.brief && wanted.select.length === 0) {
    part = briefly(part, shown);
    if (shown !== undefined && isMapping(envelope.data)) unshown = unshownOf(envelope.data, shown);
  }
  // A path is the same with and without --brief: it may be one of either answer, and what is brief alone is brief in a part as well.
  if (wanted.select.length > 0 && part.data !== null) {
    const { data } = part;
    const [first, second] = wanted.brief
      ? [briefly(part, shown).data, data]
      : [data, isMapping(data) ? reportOf(data) : data];
    part = { ...part, data: select(first, wanted.select, second) };
  }
  const most = wanted.full ? Infinity : wanted.brief ? MAX_BRIEF : MAX_ANSWER;
  return within(part, most, { textOf, unshown });
}

/** How an envelope is printed: which of its parts in a table, and its text. */
interface Rendering {
  shown?: readonly Shown[] | undefined;
  textOf(envelope: Envelope): Promise<string>;
}

/** Cut until its text, and not only its JSON, has at most `most` bytes: YAML and tables take more room for the same. */
async function within(
  whole: Envelope,
  most: number,
  { textOf, unshown }: Pick<Rendering, "textOf"> & { unshown: LeftOut },
): Promise<{ envelope: Envelope; text: string; warning?: string }> {
  for (let max = most; ;) {
    const { envelope: cut, left } = bound(whole, max);
    const isCut = Object.keys(left).length > 0;
    const all = { ...unshown, ...left };
    const envelope = Object.keys(all).length > 0 ? withLeft(cut, all) : cut;
    const text = await textOf(envelope);
    const size = Buffer.byteLength(text);
    if (size <= most || max < most / LEAST)
      return { envelope, text, ...(isCut ? { warning: inWords(left) } : {}) };
    max = Math.floor(Math.min(max, sizeOf(envelope)) * Math.min(0.95, most / size));
  }
}

/** An answer that has grown since it was cut, within its bound again; what was left out before is counted with it. */
export function boundAgain(envelope: Envelope, brief: boolean): Envelope {
  const { envelope: cut, left } = bound(envelope, brief ? MAX_BRIEF : MAX_ANSWER);
  if (Object.keys(left).length === 0) return envelope;
  const part = envelope.error ?? envelope.data;
  const before = isMapping(part) && isMapping(part["cut"]) ? part["cut"] : {};
  const all = { ...(before as LeftOut) };
  for (const [place, count] of Object.entries(left)) all[place] = (all[place] ?? 0) + count;
  return withLeft(cut, all);
}

/** The text that a command has written itself, cut at the end of a line. */
export function withinText(text: string): string {
  if (Buffer.byteLength(text) <= MAX_ANSWER) return text;
  const lines = text.trimEnd().split("\n");
  let [count, size] = [0, 100];
  while (count < lines.length && size + Buffer.byteLength(lines[count]!) < MAX_ANSWER)
    size += Buffer.byteLength(lines[count++]!) + 1;
  return `${lines.slice(0, count).join("\n")}\n… (${lines.length - count} more lines; --full gives all)\n`;
}

function inWords(left: LeftOut): string {
  const places = Object.entries(left).map(([place, count]) => `${count} of ${place}`);
  return `Left out of this answer: ${places.join(", ")}. --full gives all of it, --select PATH a part, --select LIST.0-99 some entries, --select TEXT.0-9999 some characters.`;
}

function withLeft(envelope: Envelope, left: LeftOut): Envelope {
  const told = { cut: left, cut_hint: "--full gives all, --select PATH a part" };
  if (envelope.error !== null) return { ...envelope, error: { ...envelope.error, ...told } };
  const { data } = envelope;
  return { ...envelope, data: isMapping(data) ? { ...data, ...told } : { value: data, ...told } };
}

/** The parts that people see in a table, where they are declared, and of the run what matters once it is over. */
function briefly(envelope: Envelope, shown: readonly Shown[] | undefined): Envelope {
  const { data, error } = envelope;
  return {
    ...envelope,
    data: isMapping(data)
      ? withBriefRun(shown === undefined ? reportOf(data) : partsOf(data, shown))
      : data,
    error: error === null ? null : (withBriefRun(error as unknown as JsonObject) as never),
  };
}

/** Of a report its findings in one line each, with the command that mends them: what is well needs no room in a short answer. */
function reportOf(data: JsonObject): JsonObject {
  const { summary, findings, errors, run } = data;
  if (!isMapping(summary) || !Array.isArray(findings)) return data;
  const short = findings.map((one): Json => {
    if (!isMapping(one)) return one;
    const { check, severity, object, message, remedy, consequences } = one;
    const {
      command = null,
      also,
      by_hand = null,
      runbook = null,
      params = null,
    } = isMapping(remedy) ? remedy : {};
    const others = Array.isArray(also)
      ? also.flatMap((more) => (isMapping(more) && more["command"] ? [more["command"]] : []))
      : [];
    const leads = Array.isArray(consequences) ? consequences.length : 0;
    // There is a runbook and no command where it must run on the primary, and nobody knows which server that is.
    const on = runbook !== null && command === null ? "the primary" : null;
    const parts = { severity, check, object, message, command, runbook, params, on, by_hand };
    return Object.fromEntries(
      Object.entries({
        ...parts,
        ...(others.length === 0 ? {} : { also: others }),
        consequences: leads,
      }).filter(([, value]) => value !== undefined && value !== null && value !== 0),
    ) as JsonObject;
  });
  return Object.fromEntries(
    Object.entries({ summary, findings: short, errors, run }).filter(
      ([, value]) => value !== undefined,
    ),
  ) as JsonObject;
}

function partsOf(data: JsonObject, shown: readonly Shown[]): JsonObject {
  const parts = shown.flatMap(({ name, columns }): [string, Json][] => {
    const value = data[name];
    if (value === undefined) return [];
    const only = (row: Json): Json =>
      columns !== undefined && isMapping(row)
        ? Object.fromEntries(Object.entries(row).filter(([key]) => columns.includes(key)))
        : row;
    return [[name, Array.isArray(value) ? value.map(only) : only(value)]];
  });
  const { run } = data;
  return { ...Object.fromEntries(parts), ...(run === undefined ? {} : { run }) };
}

/** What a brief answer leaves out: how many entries there are in parts and columns that no table shows. */
function unshownOf(data: JsonObject, shown: readonly Shown[]): LeftOut {
  const left: LeftOut = {};
  for (const [name, value] of Object.entries(data)) {
    if (name === "run" || isEmpty(value)) continue;
    const part = shown.find((one) => one.name === name);
    if (part === undefined) left[name] = Array.isArray(value) ? value.length : 1;
    if (part?.columns === undefined) continue;
    for (const row of Array.isArray(value) ? value : [value])
      for (const [key, cell] of isMapping(row) ? Object.entries(row) : [])
        if (!part.columns.includes(key) && !isEmpty(cell))
          left[`${name}.${key}`] = (left[`${name}.${key}`] ?? 0) + 1;
  }
  return mostOf(left);
}

function isEmpty(value: Json): boolean {
  return value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

function withBriefRun(value: JsonObject): JsonObject {
  const { run } = value;
  if (!isMapping(run) || run["id"] === undefined) return value;
  const { id, status, warnings, plan, gate } = run as Record<string, Json>;
  const ahead = gate === undefined ? {} : { gate };
  const would = plan === true ? { ...ahead, would: wouldDo(run["steps"]) } : {};
  return { ...value, run: { id, status, warnings, ...would } as JsonObject };
}

/** Of a plan what each step would do: it is what was asked for. */
function wouldDo(steps: Json | undefined): Json {
  if (!Array.isArray(steps)) return [];
  return steps.flatMap((one): Json[] => {
    if (!isMapping(one)) return [];
    const { path, type, status, preview } = one as Record<string, Json>;
    if (status === "previewed") return [{ path: path!, type: type!, preview: preview ?? null }];
    const isOpen = status === "not_previewable" || status === "undetermined";
    return isOpen ? [{ path: path!, type: type!, status: status! }] : [];
  });
}
