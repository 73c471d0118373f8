import { PgdbaError, toPgdbaError } from "../../errors.ts";
import { type Json, type JsonObject, type JsonSchema, type Library, RISKS } from "../../types.ts";
import type { LibraryEntry } from "../../types.ts";
import type { Parsed } from "../args.ts";
import type { Command, Result } from "../command.ts";
import type { Front, IndexedRunbook } from "../front.ts";
import { libraryOf } from "../library.ts";
import { outlineOf } from "../outline.ts";
import { outputNames } from "../output-names.ts";

/** Bytes of JSON from which on the list gives names alone: whoever reads it, reads all of it, and then chooses. */
const MAX_BYTES = 8_000;

/** A runbook of the library, or why it can't be used. */
type Listed = { entry: LibraryEntry } & (
  | { outline: IndexedRunbook; broken?: undefined }
  | { outline?: undefined; broken: { code: string; message: string } }
);

export default {
  name: "list",
  place: 2,
  summary: "List the runbooks there are, or find some by words",
  usage: "[<group> | <prefix>/ | WORD…] [--full] [--kind KIND]",
  takes: "runbook",
  flags: {
    kind: {
      type: "string",
      takes: "kind",
      summary: "List documents of another kind, such as check",
    },
  },
  /** What is typed behind it are words to look for, and no part of its name. */
  async run(front, parsed, words) {
    return { ...(await listOf(front, parsed, words)), command: "list" };
  },
} satisfies Command;

async function listOf(front: Front, parsed: Parsed, words: readonly string[]): Promise<Result> {
  const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
  const kind = parsed.flags["kind"];
  if (typeof kind === "string" && kind !== "runbook") return listDocuments(library, kind, words);
  const full = parsed.flags["full"] === true;
  const entries = library.entries("runbook");
  const beginning = beginningOf(words, entries);
  const chosen = entries.filter(({ name }) => name.startsWith(beginning ?? ""));
  const listed = await Promise.all(chosen.map((entry) => outlined(front, library, entry)));
  if (words.length > 0 && beginning === undefined) return found(listed, words, full);
  if (full) return { exit: 0, data: { runbooks: listed.map(whole) }, text: asText(listed) };
  // Whoever names a group or a prefix wants all of it.
  const shown = beginning === undefined ? listed.filter(({ outline }) => !outline?.part) : listed;
  return { exit: 0, data: brief(shown), text: asText(shown) };
}

/** What all wanted names begin with, where a name is meant and not words to look for; `backup` is one where there is `backup/…`. */
function beginningOf(
  words: readonly string[],
  entries: readonly LibraryEntry[],
): string | undefined {
  const [first = "", ...rest] = words;
  if (rest.length > 0 || first === "") return undefined;
  if (first.includes("/")) return first;
  return entries.some(({ name }) => name.startsWith(`${first}/`)) ? `${first}/` : undefined;
}

/** Built-in ones come from the index, so that listing parses nothing. */
async function outlined(front: Front, library: Library, entry: LibraryEntry): Promise<Listed> {
  try {
    return { entry, outline: await outlineOf(front, library, entry) };
  } catch (thrown) {
    const { code, message } = toPgdbaError(thrown);
    return { entry, broken: { code, message } };
  }
}

/** Names with their summaries, by risk; of too many only the names, by group and risk. */
function brief(listed: readonly Listed[]): JsonObject {
  const runbooks = byRisk(listed, (part) =>
    Object.fromEntries(part.map((one) => [one.entry.name, saidOf(one)])),
  );
  if (JSON.stringify(runbooks).length <= MAX_BYTES) return { runbooks };
  const groups: JsonObject = {};
  for (const [group, part] of Map.groupBy(listed, ({ entry }) => entry.name.split("/")[0]!)) {
    const actions = byRisk(part, (some) =>
      some.map(({ entry }) => entry.name.slice(group.length + 1) || group),
    );
    groups[group] = { count: part.length, ...actions };
  }
  const next =
    "`pgdba list GROUP` gives the summaries, `pgdba list WORD…` finds by words, `pgdba show NAME` tells all of one";
  if (JSON.stringify(groups).length <= MAX_BYTES) return { count: listed.length, groups, next };
  const counts = Object.entries(groups).map(([group, { count }]: [string, any]) => [group, count]);
  return { count: listed.length, groups: Object.fromEntries(counts) as JsonObject, next };
}

function byRisk(listed: readonly Listed[], say: (part: Listed[]) => Json): JsonObject {
  const parts = Map.groupBy(listed, ({ outline }) => outline?.risk ?? "broken");
  return Object.fromEntries(
    [...RISKS, "broken" as const].flatMap((risk) => {
      const part = parts.get(risk);
      return part === undefined ? [] : [[risk, say(part)]];
    }),
  );
}

async function found(
  listed: readonly Listed[],
  words: readonly string[],
  full: boolean,
): Promise<Result> {
  const { MOST_FOUND, rank } = await import("../search/rank.ts");
  const searched = listed.flatMap((one) =>
    one.outline === undefined || one.outline.part
      ? []
      : [{ ...one.outline, name: one.entry.name, one }],
  );
  const all = rank(searched, words).map(({ one }) => one);
  const shown = full ? all : all.slice(0, MOST_FOUND);
  const rest = all.length - shown.length;
  return {
    exit: 0,
    data: {
      found: shown.map((one) => (full ? whole(one) : short(one))),
      ...(rest === 0 ? {} : { further: rest }),
      ...(all.length === 0 ? { next: "Try fewer or other words, or `pgdba list`" } : {}),
    },
    text: all.length === 0 ? "Nothing was found." : asText(shown),
  };
}

function short(one: Listed): JsonObject {
  const { risk = null, hazards = [] } = one.outline ?? {};
  return {
    name: one.entry.name,
    risk,
    ...(hazards.length === 0 ? {} : { hazards }),
    summary: saidOf(one),
  };
}

function saidOf({ entry, outline, broken }: Listed): string {
  const layer = entry.layer === "builtin" ? "" : `[${entry.layer}] `;
  return `${layer}${broken ? "does not compile; see pgdba lint" : outline.summary}`;
}

/** All facts by which a program chooses a runbook. */
function whole({ entry, outline, broken }: Listed): JsonObject {
  const place = { layer: entry.layer, overrides: entry.overrides.map((one) => one.layer) };
  if (broken) return { name: entry.name, ...place, broken };
  const { summary, tags, part, risk, hazards, needs, gives, locks, params, output } = outline;
  return {
    name: entry.name,
    summary,
    ...(tags === undefined ? {} : { tags }),
    ...(part === undefined ? {} : { part }),
    risk,
    hazards,
    needs,
    gives,
    locks,
    params,
    output: outputNames(output as JsonSchema) as Json,
    ...place,
  };
}

function asText(listed: readonly Listed[]): string {
  const width = Math.max(0, ...listed.map(({ entry }) => entry.name.length));
  return listed
    .map(
      (one) =>
        `${one.entry.name.padEnd(width)}  ${(one.outline?.risk ?? "?").padEnd(11)}  ${saidOf(one)}`,
    )
    .join("\n");
}

/** Those that have each of the words in their name, title or group. */
async function listDocuments(
  library: Library,
  kind: string,
  words: readonly string[],
): Promise<Result> {
  const kinds = [...new Set(["runbook", ...library.entries().map((entry) => entry.kind)])];
  if (!kinds.includes(kind)) {
    // Only here, so that the list itself stays instant.
    const { didYouMean } = await import("../../check/messages.ts");
    throw new PgdbaError(
      "usage",
      `There are no documents of the kind ${JSON.stringify(kind.slice(0, 100))}`,
      {
        hint: didYouMean(kind, kinds),
      },
    );
  }
  const documents: JsonObject[] = [];
  for (const { name, layer } of library.entries(kind)) {
    const { title, group } = (await library.load(name)).data;
    const said = `${name} ${title ?? ""} ${group ?? ""}`.toLowerCase();
    if (!words.every((word) => said.includes(word.toLowerCase()))) continue;
    documents.push({
      name,
      ...(title === undefined ? {} : { title }),
      ...(group === undefined ? {} : { group }),
      layer,
    });
  }
  const width = Math.max(0, ...documents.map((one) => String(one["name"]).length));
  return {
    exit: 0,
    data: { documents },
    text: documents
      .map((one) => `${String(one["name"]).padEnd(width)}  ${String(one["title"] ?? "")}`)
      .join("\n"),
  };
}
