import { PgdbaError, toPgdbaError } from "../../errors.ts";
import type { Json, JsonObject, JsonSchema, Library, LibraryEntry } from "../../types.ts";
import type { Command, Result } from "../command.ts";
import type { Front, IndexedRunbook } from "../front.ts";
import { libraryOf } from "../library.ts";
import { outlineOf } from "../outline.ts";

export default {
  name: "list",
  place: 2,
  summary: "List the runbooks there are",
  usage: "[<prefix>] [--kind KIND]",
  takes: "runbook",
  flags: {
    kind: {
      type: "string",
      takes: "kind",
      summary: "List documents of another kind, such as check",
    },
  },
  async run(front, parsed, words) {
    const library = libraryOf(front, (parsed.flags["runbooks"] as string[] | undefined) ?? []);
    const prefix = words[0] ?? "";
    const kind = parsed.flags["kind"];
    if (typeof kind === "string" && kind !== "runbook") return listDocuments(library, kind, prefix);
    const entries = library.entries("runbook").filter((entry) => entry.name.startsWith(prefix));
    const runbooks: Json[] = [];
    for (const entry of entries) runbooks.push(await describe(front, library, entry));
    return { exit: 0, data: { runbooks }, text: asText(runbooks as JsonObject[]) };
  },
} satisfies Command;

async function listDocuments(library: Library, kind: string, prefix: string): Promise<Result> {
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
  for (const { name, layer } of library
    .entries(kind)
    .filter((entry) => entry.name.startsWith(prefix))) {
    const { title, group } = (await library.load(name)).data;
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

/** The facts by which an agent chooses a runbook. Built-in ones come from the index, so that listing parses nothing. */
export async function describe(
  front: Front,
  library: Library,
  entry: LibraryEntry,
): Promise<JsonObject> {
  const place = { layer: entry.layer, overrides: entry.overrides.map((one) => one.layer) };
  try {
    return { name: entry.name, ...outline(await outlineOf(front, library, entry)), ...place };
  } catch (thrown) {
    const { code, message } = toPgdbaError(thrown);
    return { name: entry.name, ...place, broken: { code, message } };
  }
}

function outline(runbook: IndexedRunbook): JsonObject {
  const { summary, risk, hazards, needs, locks, gives, params, output } = runbook;
  return {
    summary,
    risk,
    hazards,
    needs,
    gives,
    locks,
    params,
    output: brief(output as JsonSchema) as Json,
  };
}

/** The names that the output has, each with its type; the whole of it is for `show`, so that the list stays short. */
function brief({ properties = {} }: JsonSchema): JsonSchema {
  const shown = Object.entries(properties).map(([name, { type, description }]) => [
    name,
    {
      ...(type === undefined ? {} : { type }),
      ...(description === undefined ? {} : { description }),
    },
  ]);
  return { type: "object", properties: Object.fromEntries(shown) };
}

function asText(runbooks: JsonObject[]): string {
  const width = Math.max(0, ...runbooks.map((one) => String(one["name"]).length));
  return runbooks
    .map((one) => {
      const layer = one["layer"] === "builtin" ? "" : `[${String(one["layer"])}] `;
      const said = one["broken"] ? "does not compile; see pgdba lint" : String(one["summary"]);
      return `${String(one["name"]).padEnd(width)}  ${String(one["risk"] ?? "?").padEnd(11)}  ${layer}${said}`;
    })
    .join("\n");
}
