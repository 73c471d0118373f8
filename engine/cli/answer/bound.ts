import { isMapping } from "../../json.ts";
import type { Envelope, Json, JsonObject } from "../../types.ts";

/** Bytes of JSON of an answer, unless somebody asks for all of it; of a brief one. An agent reads all that it is given. */
export const MAX_ANSWER = 20_000;
export const MAX_BRIEF = 4_000;

/** Kept free at first for what tells what was left out; of it, for the words beside its counts and for counts that grow. */
const ROOM = 1_200;
const WORDS = 300;
const GROWTH = 100;
/** A map with fewer entries is a record, whose keys callers rely on; one with more is a list by another name. */
const MOST_FIELDS = 40;
/** Where lists and texts would have less than so many bytes, what lies deep is left out first: a summary is worth more than a schema of a schema. */
const WORTH_READING = 250;
/** Levels of maps and lists, from the data on, that are kept then. */
const DEPTHS = [7, 6, 5, 4, 3];
/** No text is cut shorter, in characters. */
const SHORTEST_TEXT = 64;
/** Texts are not cut shorter than this to keep more entries of a list: a command of usual length stays whole. */
const WHOLE_TEXT = 500;
/** Places that are told by name; what was left out at others is added up. */
const MOST_PLACES = 15;

/** What was left out, by place: entries of lists and maps, characters of texts. */
export type LeftOut = Record<string, number>;

/**
 * The envelope within `max` bytes of JSON. First go the steps of the run that went well; then lists, texts and large maps are cut to a common
 * length in bytes, the longest that fits, so that the longest are cut and the short ones stay whole. An entry counts without the lists in it. Where that leaves
 * too little of each, the deepest levels go. A long text is cut shorter before a whole entry goes: the figures beside the text are in that entry.
 * Lists keep their beginning: what is worst, newest or largest stands first in answers of ours.
 */
export function bound(envelope: Envelope, max: number): { envelope: Envelope; left: LeftOut } {
  if (sizeOf(envelope) <= max) return { envelope, left: {} };
  const left: LeftOut = {};
  const { success, timestamp, command } = envelope;
  const data = withoutGoodSteps(envelope.data, "run.steps", left);
  const error = withoutGoodSteps(envelope.error as Json, "error.run.steps", left);
  const head = sizeOf({ success, timestamp, command, data: null, error: null });
  const all: JsonObject = { data, error };
  const within = (reserved: number) => {
    const best = deepest(all, max - head - reserved, max);
    const told = mostOf({ ...left, ...best.left });
    return { value: best.value as { data: Json; error: Envelope["error"] }, told };
  };
  const first = within(ROOM);
  // Mostly little is to be told: what that leaves free holds more of the answer, unless then more is to be told.
  const most = sizeOf(first.told) + GROWTH;
  const fuller = most + WORDS < ROOM ? within(most + WORDS) : first;
  const { value, told } = sizeOf(fuller.told) <= most ? fuller : first;
  return { envelope: { ...envelope, ...value }, left: told };
}

/** Of the depths that fit, the deepest that leaves something worth reading. */
function deepest(all: JsonObject, room: number, max: number): Bounded {
  let best = longest(all, room, max, Infinity);
  for (const depth of DEPTHS) {
    if (best !== undefined && best.length >= WORTH_READING) break;
    best = longest(all, room, max, depth) ?? best;
  }
  return (
    best ?? {
      value: { data: null, error: nameOf(all["error"] ?? null) },
      left: { "(all)": 1 },
      length: 0,
    }
  );
}

interface Bounded {
  value: Json;
  left: LeftOut;
  length: number;
}

/** Cut to the longest common length that fits, with nothing below `depth`; undefined where none fits. */
function longest(all: JsonObject, room: number, max: number, depth: number): Bounded | undefined {
  const cutTo = (length: number) => ({ ...cutMap(all, { length, depth }, "", 0), length });
  let best = cutTo(max);
  if (best.size <= room) return best;
  best = cutTo(0);
  if (best.size > room) return undefined;
  let [fits, tooLong] = [0, max];
  while (tooLong - fits > 1) {
    const length = (fits + tooLong) >> 1;
    const next = cutTo(length);
    if (next.size > room) tooLong = length;
    else [fits, best] = [length, next];
  }
  return best;
}

/** An error without its evidence. */
function nameOf(error: Json): Json {
  if (!isMapping(error)) return null;
  const { code, message, hint } = error as Record<string, Json>;
  return { code, message, hint, step: null, where: null, retryable: false } as JsonObject;
}

/** Leaves out what says of a run only that nothing was wrong; those that changed, failed or are unknown stay as long as there is room. */
function withoutGoodSteps(value: Json, place: string, left: LeftOut): Json {
  if (!isMapping(value) || !isMapping(value["run"]) || !Array.isArray(value["run"]["steps"]))
    return value;
  const steps = value["run"]["steps"];
  const kept = steps.filter(
    (step) => isMapping(step) && step["status"] !== "ok" && step["status"] !== "skipped",
  );
  if (kept.length < steps.length) left[place] = steps.length - kept.length;
  return { ...value, run: { ...value["run"], steps: kept } };
}

/** `size` in bytes of JSON; `own` without that of the lists in it. */
interface Cut {
  value: Json;
  size: number;
  own: number;
  left: LeftOut;
}

/** To which common length, and down to which depth. */
interface Limits {
  length: number;
  depth: number;
  /** The length of texts where it is less than the common one: those in the entries of a list. */
  text?: number;
}

function cut(value: Json, limits: Limits, place: string, depth: number): Cut {
  if (typeof value === "string") return cutText(value, limits.text ?? limits.length, place);
  if (Array.isArray(value)) return cutList(value, limits, place, depth);
  if (isMapping(value)) return cutMap(value, limits, place, depth);
  const size = sizeOf(value);
  return { value, size, own: size, left: {} };
}

function cutText(text: string, length: number, place: string): Cut {
  const size = sizeOf(text);
  const most = Math.max(length, SHORTEST_TEXT);
  if (size <= most + 30) return { value: text, size, own: size, left: {} };
  // A character that takes two units is not cut in half.
  const end = /[\ud800-\udbff]/.test(text[most - 1] ?? "") ? most - 1 : most;
  const start = text.slice(0, end);
  const rest = text.length - start.length;
  const value = `${start}… (${rest} more characters)`;
  const now = sizeOf(value);
  return { value, size: now, own: now, left: { [`${place} (characters)`]: rest } };
}

/** How long the texts in the entries of a list may be so that all entries fit; where they can't, so that one entry does not take the room of many. */
function textsWithin(entries: readonly Json[], length: number): number {
  const shortest = Math.max(SHORTEST_TEXT, Math.min(WHOLE_TEXT, length >> 1));
  if (length > shortest && fit(entries, length, length)) return length;
  if (fit(entries, length, shortest)) {
    for (let text = length >> 1; text > shortest; text >>= 1)
      if (fit(entries, length, text)) return text;
    return shortest;
  }
  const text = Math.max(shortest, length >> 3);
  // A list shows one entry at least: where that has very many texts, each of them is short.
  const isTooLarge = length >= 2 * WHOLE_TEXT && !fit(entries.slice(0, 1), length, text);
  return isTooLarge ? SHORTEST_TEXT : text;
}

/** True when the entries fit without the lists in them, which are cut by themselves. */
function fit(entries: readonly Json[], length: number, text: number): boolean {
  let own = 2;
  return entries.every((entry) => (own += ownSize(entry, text) + 1) <= length);
}

function ownSize(value: Json, text: number): number {
  if (typeof value === "string") return cutText(value, text, "").own;
  if (Array.isArray(value)) return 0;
  if (!isMapping(value)) return sizeOf(value);
  const entries = Object.entries(value);
  if (entries.length > MOST_FIELDS) return 0;
  return entries.reduce((sum, [key, one]) => sum + sizeOf(key) + 2 + ownSize(one, text), 2);
}

function cutList(list: readonly Json[], all: Limits, place: string, depth: number): Cut {
  const length = depth > all.depth ? 0 : all.length;
  const limits = { ...all, text: textsWithin(list, length) };
  const kept: Json[] = [];
  const left: LeftOut = {};
  let [size, own] = [2, 2];
  for (const item of list) {
    const one = cut(item, limits, place, depth + 1);
    if (own + one.own > length) break;
    kept.push(one.value);
    size += one.size + 1;
    own += one.own + 1;
    addTo(left, one.left);
  }
  if (kept.length < list.length) addTo(left, { [place]: list.length - kept.length });
  return { value: kept, size, own: 0, left };
}

function cutMap(map: JsonObject, all: Limits, place: string, depth: number): Cut {
  const entries = Object.entries(map);
  const isDeep = depth > all.depth;
  const isLong = isDeep || (entries.length > MOST_FIELDS && depth > 1);
  const length = isDeep ? 0 : all.length;
  const limits = isLong ? { ...all, text: textsWithin(Object.values(map), length) } : all;
  const kept: [string, Json][] = [];
  const left: LeftOut = {};
  let [size, own] = [2, 2];
  for (const [key, value] of entries) {
    const one = cut(value, limits, placeOf(place, key, depth), depth + 1);
    const name = sizeOf(key) + 2;
    if (isLong && own + one.own + name > length) break;
    kept.push([key, one.value]);
    size += one.size + name;
    own += one.own + name;
    addTo(left, one.left);
  }
  if (kept.length < entries.length) addTo(left, { [place]: entries.length - kept.length });
  return { value: Object.fromEntries(kept), size, own: isLong ? 0 : own, left };
}

/** As `--select` takes it: from the data on, and through lists without a number. */
function placeOf(place: string, key: string, depth: number): string {
  if (depth === 0) return key === "data" ? "" : key;
  return place === "" ? key : `${place}.${key}`;
}

function addTo(sum: LeftOut, more: LeftOut): void {
  for (const [place, count] of Object.entries(more)) sum[place] = (sum[place] ?? 0) + count;
}

/** The places where most was left out; the rest is added up. */
export function mostOf(left: LeftOut): LeftOut {
  const places = Object.entries(left).toSorted(([, a], [, b]) => b - a);
  const rest = places.slice(MOST_PLACES).reduce((sum, [, count]) => sum + count, 0);
  return Object.fromEntries([
    ...places.slice(0, MOST_PLACES).map(([place, n]) => [place.slice(0, 60), n] as const),
    ...(rest === 0 ? [] : [["(elsewhere)", rest] as const]),
  ]);
}

/** Bytes of JSON. */
export function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? "");
}
