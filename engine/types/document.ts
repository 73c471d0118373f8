/** Documents, the layers they come from, and their faults. */
import type { Json, JsonObject, Where } from "../json.ts";

/** Draft-07 JSON Schema. The engine's own keywords:
 * `x-lang` on a string: `cel` (an expression, handed to the step as written), `text` (Handlebars, handed to the step as
 * written, to be rendered with `ctx.render`), `static` (no template allowed); without it a string is rendered before `run`.
 * `x-secret` on a param: see `ParamSpec.secret`.
 * `x-instead` on a mapping: keys that people expect and that it does not have, each with what to write instead.
 * `x-names` on a part of an output: names and words, not data; they are no secrets where the step is sensitive. */
export interface JsonSchema {
  type?: string | readonly string[];
  properties?: Record<string, JsonSchema>;
  required?: readonly string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  enum?: readonly Json[];
  const?: Json;
  anyOf?: readonly JsonSchema[];
  oneOf?: readonly JsonSchema[];
  allOf?: readonly JsonSchema[];
  description?: string;
  default?: Json;
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  minProperties?: number;
  maxProperties?: number;
  examples?: readonly Json[];
  title?: string;
  "x-lang"?: "cel" | "text" | "static";
  "x-secret"?: boolean;
  "x-instead"?: Readonly<Record<string, string>>;
  "x-names"?: boolean;
}

/** A key or index path into a document: `["steps", 2, "when"]`. */
export type DocPath = readonly (string | number)[];

/** A span of a file: `offset` and `length` in UTF-16 units of `text`. */
export interface Span extends Where {
  offset: number;
  length: number;
  text: string;
}

/** `rule` is a stable name such as `unknown-step`, `frame` the source line with a caret under the fault. */
export interface Diagnostic {
  severity: "error" | "warning";
  rule: string;
  message: string;
  hint?: string;
  where: Where;
  frame: string;
}

export type LayerName = "builtin" | "system" | "user" | "project" | "extra";

/** The part of a document that `list` shows, known without loading it where the layer has an index. */
export interface LibraryEntry {
  /** Path below the layer without `.yaml`: `health/check`. */
  name: string;
  kind: string;
  layer: LayerName;
  file: string;
  /** Lower layers that have the same name, nearest first. */
  overrides: { layer: LayerName; file: string }[];
  /** What is known of a runbook without loading it; undefined where only the document knows. */
  outline?: RunbookOutline | undefined;
}

export interface RunbookOutline {
  risk: string;
  needs: readonly string[];
  /** The words that it says it `gives`. */
  gives: readonly string[];
  /** One of its params is a person's answer to its question. */
  confirms: boolean;
}

/** One YAML document, `extends` already resolved; `data` holds plain null-prototype objects. */
export interface Doc extends Omit<LibraryEntry, "overrides"> {
  data: JsonObject;
  /** Hex SHA-256 over the texts that made it, own and extended. */
  digest: string;
  /** The names that it is judged by: its own, and those of all that it extends or replaces, however far. */
  lineage: string[];
  /** The documents that it extends or replaces, as their own layers give them: it is judged as each of these, too. */
  below?: readonly { name: string; data: JsonObject }[] | undefined;
  /** The place where the value at `path` (or, with `key`, its key) was written; the nearest written ancestor when it was not. */
  at(path: DocPath, key?: boolean): Span;
}

/** All documents of all layers, the later layer winning by name. */
export interface Library {
  entries(kind?: string): LibraryEntry[];
  find(name: string): LibraryEntry | undefined;
  /** @throws PgdbaError unknown_runbook | invalid_runbook (with diagnostics in `data`) */
  load(name: string): Promise<Doc>;
}
