import { type Source, sourceOf, spanAt, toJson, type Tree, type TreeMap } from "../load/tree.ts";
import { isMapping } from "../json.ts";
import type { Doc, Json, JsonObject, LayerName } from "../types.ts";

/** The documents of a run as the journal keeps them: their data, and where each value was written. */
export interface FrozenDocs {
  sources: { file: string; text: string }[];
  docs: Record<string, FrozenDoc>;
}

interface FrozenDoc {
  kind: string;
  layer: LayerName;
  file: string;
  digest: string;
  lineage: string[];
  below?: Doc["below"];
  data: JsonObject;
  /** For every value of `data`, parents first: its source, its offset and length, and those of its key. */
  spans: number[];
}

/** Numbers per value. */
const SPAN = 5;

export function freeze(docs: Iterable<Doc>): FrozenDocs {
  const sources: FrozenDocs["sources"] = [];
  const indexOf = (file: string, text: string): number => {
    const known = sources.findIndex((one) => one.file === file && one.text === text);
    return known < 0 ? sources.push({ file, text }) - 1 : known;
  };
  const frozen: FrozenDocs["docs"] = {};
  for (const { name, kind, layer, file, digest, lineage, below = [], data, at } of docs) {
    const spans: number[] = [];
    const walk = (value: Json, path: (string | number)[]): void => {
      const own = at(path);
      const key = at(path, true);
      spans.push(indexOf(own.file, own.text), own.offset, own.length, key.offset, key.length);
      if (Array.isArray(value)) value.forEach((item, index) => walk(item, [...path, index]));
      else if (value !== null && typeof value === "object")
        for (const [name, item] of Object.entries(value)) walk(item, [...path, name]);
    };
    walk(data, []);
    frozen[name] = { kind, layer, file, digest, lineage: [...lineage], below, data, spans };
  }
  return { sources, docs: frozen };
}

/** As version 1 of the journal kept them: without positions. */
type Bare = Record<string, { data: JsonObject; file: string; digest: string; lineage?: string[] }>;

function fromVersion1(docs: Bare): FrozenDocs {
  return freeze(
    Object.entries(docs).map(([name, doc]): Doc => {
      const at = () => ({ file: doc.file, line: 1, column: 1, offset: 0, length: 0, text: "" });
      return { lineage: [name], ...doc, name, kind: "runbook", layer: "builtin", at };
    }),
  );
}

/** The documents again, by name, with their positions; undefined for what `freeze` did not make. */
export function thaw(kept: Json): Map<string, Doc> | undefined {
  if (!isMapping(kept)) return undefined;
  if (!Array.isArray(kept["sources"])) {
    const bare = Object.values(kept).every(
      (doc) =>
        isMapping(doc) && isMapping(doc["data"]) && isText(doc["file"]) && isText(doc["digest"]),
    );
    return bare ? thawed(fromVersion1(kept as unknown as Bare)) : undefined;
  }
  const { sources, docs } = kept;
  const sound =
    sources.every((one) => isMapping(one) && isText(one["file"]) && isText(one["text"])) &&
    isMapping(docs) &&
    Object.values(docs!).every((doc) => isFrozenDoc(doc, sources.length));
  return sound ? thawed(kept as unknown as FrozenDocs) : undefined;
}

function isFrozenDoc(doc: Json, sources: number): boolean {
  if (!isMapping(doc)) return false;
  const { kind, layer, file, digest, lineage, below = [], data, spans } = doc;
  return (
    [kind, layer, file, digest].every(isText) &&
    Array.isArray(lineage) &&
    lineage.every(isText) &&
    Array.isArray(below) &&
    below.every((one) => isMapping(one) && isText(one["name"]) && isMapping(one["data"])) &&
    isMapping(data) &&
    Array.isArray(spans) &&
    spans.length === SPAN * sizeOf(data) &&
    spans.every(
      (n, at) => Number.isInteger(n) && Number(n) >= 0 && (at % SPAN > 0 || Number(n) < sources),
    )
  );
}

function isText(value: Json | undefined): boolean {
  return typeof value === "string";
}

/** The number of values in a value, itself included. */
function sizeOf(value: Json): number {
  if (value === null || typeof value !== "object") return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + sizeOf(item), 1);
}

function thawed(frozen: FrozenDocs): Map<string, Doc> {
  const sources = frozen.sources.map(({ file, text }) => sourceOf(file, text));
  return new Map(
    Object.entries(frozen.docs).map(([name, { data, spans, ...about }]) => {
      const tree = treeOf(data, spans, sources);
      return [
        name,
        {
          ...about,
          name,
          data: toJson(tree) as JsonObject,
          at: (path, key) => spanAt(tree, path, key),
        },
      ];
    }),
  );
}

function treeOf(data: Json, spans: readonly number[], sources: readonly Source[]): Tree {
  let next = 0;
  const build = (value: Json): Tree => {
    const [source = 0, start = 0, length = 0, key = 0, keyLength = 0] = spans.slice(
      next,
      next + SPAN,
    );
    next += SPAN;
    const children = Array.isArray(value)
      ? value.map(build)
      : value !== null && typeof value === "object"
        ? (new Map(Object.entries(value).map(([name, item]) => [name, build(item)])) as TreeMap)
        : value;
    return {
      source: sources[source]!,
      start,
      end: start + length,
      key: { start: key, end: key + keyLength },
      value: children,
    };
  };
  return build(data);
}
